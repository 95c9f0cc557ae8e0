//! Who calls the peer port without being a member, or as one that has lost its mind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ferrod_proto::etcdserverpb::MemberListRequest;
use ferrod_proto::peer::message::Body;
use ferrod_proto::peer::parcel::Content;
use ferrod_proto::peer::peer_client::PeerClient;
use ferrod_proto::peer::{self, Hello, Lane, Message, Messages, Parcel, refusal::Reason, reply};
use tokio_stream::StreamExt;

use crate::member::Setup;
use crate::wire::Wire;

/// Tries everything on the first member.
///
/// # Errors
/// When something is not refused as it should be.
pub(super) async fn is_refused(setups: &[Setup]) -> Result<()> {
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
        ..Hello::default()
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
    ];
    for (hello, reason) in lies {
        let text = format!("{hello:?}");
        let answer = talk(target, vec![Content::Hello(hello)]).await?;
        ensure!(answer == Some(reason), "{text}: {answer:?}");
    }
    let nothing = Message::default();
    let unspeakable = Content::Messages(Messages {
        messages: vec![nothing],
    });
    let answer = talk(target, vec![Content::Hello(honest.clone()), unspeakable]).await?;
    ensure!(answer == Some(Reason::Malformed), "no body: {answer:?}");
    // What has the form of a message is dropped by the node, which judges its sense.
    for body in impossible() {
        let message = Message {
            term: 1 << 20,
            body: Some(body),
        };
        let messages = Content::Messages(Messages {
            messages: vec![message],
        });
        talk(target, vec![Content::Hello(honest.clone()), messages]).await?;
    }
    garbage(target)
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
    match tokio::time::timeout(Duration::from_millis(300), refusal).await {
        Ok(reason) => reason.map(Some),
        Err(_) => Ok(None),
    }
}

/// Each would make raft stop the process if it got so far.
fn impossible() -> Vec<Body> {
    let entry = peer::Entry {
        term: 1 << 30,
        ..peer::Entry::default()
    };
    vec![
        Body::Heartbeat(peer::Heartbeat {
            commit: 1 << 40,
            ..peer::Heartbeat::default()
        }),
        Body::Append(peer::Append {
            prev_index: 1 << 40,
            prev_term: 1 << 40,
            commit: u64::MAX,
            entries: vec![entry],
        }),
        Body::Accepted(peer::Accepted {
            index: u64::MAX,
            commit: u64::MAX,
        }),
        Body::ReadIndex(peer::ReadIndex {
            context: vec![0; 1 << 16].into(),
        }),
        Body::Propose(peer::Forward::default()),
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
