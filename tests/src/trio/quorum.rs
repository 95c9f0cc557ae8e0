//! What a member says of itself, and what becomes of its watches, with a quorum and without.

use anyhow::{Context, Result, bail, ensure};
use ferrod_proto::etcdserverpb::{
    WatchCreateRequest, WatchRequest, WatchResponse, watch_request::RequestUnion,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use super::{PATIENCE, Trio, put};
use crate::clock::poll;
use crate::member::Setup;
use crate::pages::{Page, get};
use crate::wire::Wire;

const WATCHED: &str = "watched by a member alone";

/// All members are well.
///
/// # Errors
/// When a page says something else.
// covers: P-A-09
pub(super) async fn pages_with(setups: &[Setup]) -> Result<()> {
    for setup in setups {
        let url = setup.endpoint();
        for path in ["/health", "/health?serializable=true"] {
            let page = get(&url, path).await?;
            page.is(200, r#"{"health":"true","reason":""}"#)?;
        }
        for path in ["/livez", "/readyz", "/readyz/linearizable_read"] {
            get(&url, path).await?.is(200, "ok\n")?;
        }
        let page = get(&url, "/livez?verbose").await?;
        page.is(200, "[+]serializable_read ok\nok\n")?;
        let lines = lines(&get(&url, "/readyz?verbose").await?);
        let expected = [
            "",
            "[+]data_corruption ok",
            "[+]linearizable_read ok",
            "[+]non_learner ok",
            "[+]serializable_read ok",
            "ok",
        ];
        ensure!(lines == expected, "{lines:?}");
    }
    Ok(())
}

/// The lines of a page, in an order.
fn lines(page: &Page) -> Vec<String> {
    let text = page.text();
    let mut lines: Vec<_> = text.split('\n').map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Two of three die, and what the third says and does.
///
/// # Errors
/// When it does not notice, or ends more than it should.
// covers: P-W-11
pub(super) async fn lost(trio: &mut Trio) -> Result<()> {
    let alone = &trio.setups[0].clone();
    let mut strict = Watcher::start(alone, true).await?;
    let mut patient = Watcher::start(alone, false).await?;
    for other in [1, 2] {
        trio.kill(other)?;
    }
    pages_without(alone).await?;

    let ended = strict.end().await?;
    ensure!(ended.message() == "etcdserver: no leader", "{ended}");
    let refused = match Watcher::start(alone, true).await {
        Ok(mut late) => late.end().await?,
        Err(error) => error.downcast::<Status>()?,
    };
    ensure!(refused.message() == "etcdserver: no leader", "{refused}");

    let launch = |other: usize| Ok((other, trio.setups[other].launch()?));
    let launched: Result<Vec<_>> = [1, 2].into_iter().map(launch).collect();
    for (other, launched) in launched? {
        trio.members[other] = Some(launched.wait()?);
    }
    put(&trio.setups[1], WATCHED).await?;
    let response = patient.next().await?;
    ensure!(
        response.events.len() == 1 && !response.canceled,
        "{response:?}"
    );
    let well = poll(PATIENCE, async || {
        let page = get(&alone.endpoint(), "/health").await.ok()?;
        (page.status == 200).then_some(())
    });
    well.await.context("it is not well again")?;
    pages_with(std::slice::from_ref(alone)).await
}

async fn pages_without(alone: &Setup) -> Result<()> {
    const NO_LEADER: &str = "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n";
    let url = alone.endpoint();
    // A read that was under way when the leader went may be refused for that first.
    let noticed = poll(PATIENCE, async || {
        let page = get(&url, "/health").await.ok()?;
        page.is(503, NO_LEADER).ok()
    });
    noticed.await.context("it does not miss its leader")?;
    let page = get(&url, "/health?serializable=true").await?;
    page.is(200, r#"{"health":"true","reason":""}"#)?;
    for path in [
        "/livez",
        "/readyz/serializable_read",
        "/readyz?exclude=linearizable_read",
    ] {
        get(&url, path).await?.is(200, "ok\n")?;
    }
    let page = get(&url, "/readyz").await?;
    let lines = lines(&page);
    let good = [
        "[+]data_corruption ok",
        "[+]non_learner ok",
        "[+]serializable_read ok",
    ];
    let bad = "[-]linearizable_read failed: etcdserver: ";
    ensure!(
        page.status == 503
            && lines.len() == 6
            && good.iter().all(|line| lines.iter().any(|l| l == line))
            && lines.iter().any(|line| line.starts_with(bad)),
        "{} {lines:?}",
        page.status
    );
    Ok(())
}

/// Before a member of a new cluster serves clients, it serves metrics, and says what it is waiting for.
///
/// # Errors
/// When it does not.
pub(super) async fn pages_before(setup: &Setup) -> Result<()> {
    let url = format!("http://127.0.0.1:{}", crate::member::free_port()?);
    let setup = setup.clone().flag(format!("--listen-metrics-urls={url}"));
    let _member = setup.spawn()?;
    let alive = poll(PATIENCE, async || get(&url, "/livez").await.ok());
    let page = alive.await.context("it serves no metrics")?;
    page.is(200, "ok\n")?;
    let page = get(&url, "/health").await?;
    page.is(
        503,
        "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n",
    )
}

/// One watch on one member.
struct Watcher {
    responses: Streaming<WatchResponse>,
    /// The stream ends with it.
    _requests: mpsc::Sender<WatchRequest>,
}

impl Watcher {
    async fn start(member: &Setup, has_leader: bool) -> Result<Watcher> {
        let wire = Wire::connect(&member.endpoint()).await?;
        let (requests, outgoing) = mpsc::channel(1);
        let create = WatchCreateRequest {
            key: WATCHED.into(),
            ..Default::default()
        };
        let create = RequestUnion::CreateRequest(create);
        let create = WatchRequest {
            request_union: Some(create),
        };
        requests.send(create).await?;
        let mut call = Request::new(ReceiverStream::new(outgoing));
        if has_leader {
            call.metadata_mut().insert("hasleader", "true".parse()?);
        }
        let responses = wire.watch().watch(call).await?.into_inner();
        let mut watcher = Watcher {
            responses,
            _requests: requests,
        };
        let created = watcher.next().await?;
        ensure!(created.created && !created.canceled, "{created:?}");
        Ok(watcher)
    }

    async fn next(&mut self) -> Result<WatchResponse> {
        let next = tokio::time::timeout(PATIENCE, self.responses.message()).await;
        next.context("a watch says nothing")??
            .context("a watch ended")
    }

    /// What the stream ends with.
    async fn end(&mut self) -> Result<Status> {
        let ending = async {
            loop {
                match self.responses.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => bail!("a stream ended without a reason"),
                    Err(status) => return Ok(status),
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ending).await;
        ended.context("a watch without a leader goes on")?
    }
}
