//! Who calls the peer port without being a member, or as one that has lost its mind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ferrod_proto::etcdserverpb::MemberListRequest;
use ferrod_proto::peer::message::Body;
use ferrod_proto::peer::parcel::Content;
use ferrod_proto::peer::peer_client::PeerClient;
use ferrod_proto::peer::{
    self, Hello, Lane, Life, Message, Messages, Parcel, refusal::Reason, reply,
};
use prost::Message as _;
use tokio_stream::StreamExt;

use crate::member::Setup;
use crate::usage::anonymous_memory;
use crate::wire::Wire;

/// What hostile parcels may cost at most: far more than the bounds, far less than without them.
const MEMORY_MAX: u64 = 384 << 20;

/// Tries everything on the first member, which is this process.
///
/// # Errors
/// When something is not refused as it should be.
// covers: S-03
pub(super) async fn is_refused(setups: &[Setup], pid: u32) -> Result<()> {
    let [target, other, ..] = setups else {
        bail!("two members are needed")
    };
    let (cluster, to) = identity(target).await?;
    let (_, from) = identity(other).await?;
    let honest = Hello {
        cluster,
        from,
        to,
        lane: Lane::Bulk as i32,
        peer_urls: vec!["http://127.0.0.1:1".to_owned()],
        version: "3.7.1".to_owned(),
        min_cluster_version: "3.0.0".to_owned(),
        protocol: 1,
        protocol_min: 1,
        newcomer: false,
        life: None,
    };
    let lies = [
        (
            Hello {
                cluster: 1,
                ..honest.clone()
            },
            Reason::Cluster,
        ),
        (
            Hello {
                to: 1,
                ..honest.clone()
            },
            Reason::Target,
        ),
        (
            Hello {
                from: 0,
                ..honest.clone()
            },
            Reason::Malformed,
        ),
        (
            Hello {
                from: to,
                ..honest.clone()
            },
            Reason::Malformed,
        ),
        (
            Hello {
                lane: 7,
                ..honest.clone()
            },
            Reason::Malformed,
        ),
        (
            Hello {
                protocol: 0,
                ..honest.clone()
            },
            Reason::Version,
        ),
        (
            Hello {
                protocol: 9,
                protocol_min: 9,
                ..honest.clone()
            },
            Reason::Version,
        ),
        (
            Hello {
                version: "2.3.8".to_owned(),
                ..honest.clone()
            },
            Reason::Version,
        ),
        (
            Hello {
                min_cluster_version: "3.9.0".to_owned(),
                ..honest.clone()
            },
            Reason::Version,
        ),
        (
            Hello {
                newcomer: true,
                ..honest.clone()
            },
            Reason::Lived,
        ),
        (
            Hello {
                life: Some(Life {
                    boot: u64::MAX,
                    nonces: vec![1],
                }),
                ..honest.clone()
            },
            Reason::Malformed,
        ),
        (
            Hello {
                life: Some(Life::default()),
                ..honest.clone()
            },
            Reason::Malformed,
        ),
        // The member has been met with a first start of its own.
        (
            Hello {
                life: Some(Life {
                    boot: 1,
                    nonces: vec![4711],
                }),
                ..honest.clone()
            },
            Reason::PutBack,
        ),
    ];
    for (hello, reason) in lies {
        let text = format!("{hello:?}");
        let answer = talk(target, vec![greet(&hello)]).await?;
        ensure!(answer == Some(reason), "{text}: {answer:?}");
    }
    let answer = talk(target, vec![greet(&honest), say(None)]).await?;
    ensure!(answer == Some(Reason::Malformed), "no body: {answer:?}");
    // What has the form of a message goes to the node, which judges its sense and has the connection ended.
    for (body, expected) in impossible() {
        let text = format!("{body:?}");
        let said = vec![greet(&honest), say(Some(body))];
        let answer = talk(target, said).await?;
        ensure!(answer == expected, "{text}: {answer:?}");
    }
    flood(target, pid, &honest).await?;
    garbage(target)
}

fn greet(hello: &Hello) -> Content {
    Content::Hello(hello.encode_to_vec().into())
}

/// One message of a far term.
fn say(body: Option<Body>) -> Content {
    let message = Message {
        term: 1 << 20,
        body,
    };
    let messages = Messages {
        messages: vec![message],
    };
    Content::Messages(messages.encode_to_vec().into())
}

/// Parcels that are small on the way and large in memory, and more entries than anybody has room for.
async fn flood(target: &Setup, pid: u32, honest: &Hello) -> Result<()> {
    let before = anonymous_memory(pid)?;
    let entries = |count: usize, bytes: usize| {
        let entry = peer::Entry {
            term: 1,
            payload: vec![7; bytes].into(),
            ..peer::Entry::default()
        };
        Some(Body::Append(peer::Append {
            // Of an old term, so nothing comes of them.
            prev_index: 1 << 30,
            prev_term: 1,
            commit: 1,
            entries: vec![entry; count],
        }))
    };
    let greedy = Hello {
        peer_urls: vec![String::new(); 1 << 20],
        ..honest.clone()
    };
    let heard = hear(target, vec![greet(&greedy)], Duration::from_secs(3)).await;
    ensure!(heard.is_err(), "a million URLs: {heard:?}");
    let many = vec![greet(honest), say(entries(1 << 20, 0))];
    let answer = talk(target, many).await?;
    ensure!(
        answer == Some(Reason::Malformed),
        "a million entries: {answer:?}"
    );
    let messages = Messages {
        messages: vec![
            Message {
                term: 1,
                body: entries(4, 1 << 18),
            };
            2
        ],
    };
    let large = Content::Messages(messages.encode_to_vec().into());
    let mut said = vec![greet(honest)];
    said.extend(vec![large; 300]);
    let answer = hear(target, said, Duration::from_secs(3)).await?;
    ensure!(answer.is_none(), "old entries: {answer:?}");
    let grown = anonymous_memory(pid)?.saturating_sub(before);
    ensure!(grown < MEMORY_MAX, "it took {} MiB of memory", grown >> 20);
    Ok(())
}

async fn identity(setup: &Setup) -> Result<(u64, u64)> {
    let wire = Wire::connect(&setup.endpoint()).await?;
    let request = MemberListRequest::default();
    let list = wire.cluster().member_list(request).await?.into_inner();
    let header = list.header.context("no header")?;
    Ok((header.cluster_id, header.member_id))
}

/// Says all of `contents` and returns the refusal, if there is one before long.
async fn talk(target: &Setup, contents: Vec<Content>) -> Result<Option<Reason>> {
    hear(target, contents, Duration::from_millis(500)).await
}

async fn hear(
    target: &Setup,
    contents: Vec<Content>,
    patience: Duration,
) -> Result<Option<Reason>> {
    let wire = Wire::connect(&target.peer_url()).await?;
    let parcels = contents.into_iter().map(|content| Parcel {
        content: Some(content),
    });
    // The connection stays open: whoever hangs up first hears no answer.
    let parcels = tokio_stream::iter(parcels).chain(tokio_stream::pending());
    let mut replies = PeerClient::new(wire.channel())
        .talk(parcels)
        .await?
        .into_inner();
    let refusal = async {
        loop {
            let reply = replies.message().await?.context("no reply")?;
            if let Some(reply::Content::Refusal(refusal)) = reply.content {
                return anyhow::Ok(refusal.reason());
            }
        }
    };
    match tokio::time::timeout(patience, refusal).await {
        Ok(reason) => reason.map(Some),
        Err(_) => Ok(None),
    }
}

/// Each would make raft stop the process if it got so far, or mislead it. What no sound member says ends the connection.
fn impossible() -> Vec<(Body, Option<Reason>)> {
    let entry = peer::Entry {
        term: 1 << 30,
        ..peer::Entry::default()
    };
    let absurd = Some(Reason::Malformed);
    vec![
        (
            Body::Heartbeat(peer::Heartbeat {
                commit: 1 << 40,
                ..peer::Heartbeat::default()
            }),
            absurd,
        ),
        (
            Body::Append(peer::Append {
                prev_index: 1 << 40,
                prev_term: 1 << 40,
                commit: u64::MAX,
                entries: vec![entry],
            }),
            absurd,
        ),
        (
            Body::Accepted(peer::Accepted {
                index: u64::MAX,
                commit: u64::MAX,
            }),
            absurd,
        ),
        (
            Body::ReadIndex(peer::ReadIndex {
                context: vec![0; 1 << 16].into(),
            }),
            absurd,
        ),
        (
            Body::Vote(peer::Vote {
                last_index: 1 << 40,
                last_term: 1 << 40,
                ..peer::Vote::default()
            }),
            absurd,
        ),
        // It may have led a moment ago.
        (Body::Propose(peer::Forward::default()), None),
    ]
}

/// Bytes that are no HTTP at all.
fn garbage(target: &Setup) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(11);
    for len in [1, 24, 10_000] {
        let mut bytes = vec![0; len];
        random.fill(&mut bytes);
        let address = target.peer_url();
        let mut socket = TcpStream::connect(address.trim_start_matches("http://"))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        // It may hang up before it has read everything, which is an answer too.
        let _ = socket.write_all(&bytes);
        let _ = socket.read(&mut [0; 1024]);
    }
    Ok(())
}
