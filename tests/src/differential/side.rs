//! One of the two servers, with the streams that the client holds open on it.

mod call;
mod stream;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use ferrod_proto::etcdserverpb::{
    LeaseTimeToLiveRequest, WatchCancelRequest, WatchCreateRequest, WatchProgressRequest,
    watch_request::RequestUnion,
};

use super::answer::Answer;
use super::op::Op;
use crate::clock::poll;
use crate::member::{Member, Setup};
use crate::wire::Wire;
use stream::WatchStream;

pub(crate) use stream::Item;

/// How long an answer may take before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(15);

/// One server.
#[derive(Debug)]
pub(crate) struct Side {
    setup: Setup,
    member: Option<Member>,
    wire: Wire,
    streams: Vec<WatchStream>,
    _folder: tempfile::TempDir,
}

impl Side {
    /// Starts `binary` on fresh data with `streams` open watch streams.
    pub(crate) async fn start(binary: &Path, streams: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let setup = Setup::new(binary, folder.path())?;
        let member = setup.start()?;
        let wire = Wire::connect(&setup.endpoint()).await?;
        let mut side = Self {
            setup,
            member: Some(member),
            wire,
            streams: Vec::new(),
            _folder: folder,
        };
        side.open_streams(streams).await?;
        Ok(side)
    }

    async fn open_streams(&mut self, count: usize) -> Result<()> {
        self.streams.clear();
        for _ in 0..count {
            self.streams.push(WatchStream::open(&self.wire).await?);
        }
        Ok(())
    }

    /// Stops or kills the server and starts it again; all streams are new afterwards.
    pub(crate) async fn restart(&mut self, kill: bool) -> Result<()> {
        let member = self.member.take().context("the member runs")?;
        if kill {
            member.kill()?;
        } else {
            member.stop()?;
        }
        self.member = Some(self.setup.start()?);
        self.wire = Wire::connect(&self.setup.endpoint()).await?;
        self.open_streams(self.streams.len()).await
    }

    /// Carries out `op` and returns its answer without identities.
    pub(crate) async fn ask(&mut self, op: &Op) -> Answer {
        match tokio::time::timeout(PATIENCE, self.dispatch(op)).await {
            Ok(answer) => answer.normal(),
            Err(_) => Answer::Silence,
        }
    }

    async fn dispatch(&mut self, op: &Op) -> Answer {
        match op {
            Op::Watch { stream, create } => self.create(*stream, create.clone()).await,
            Op::Unwatch { stream, id } => self.cancel(*stream, *id).await,
            Op::Expire(lease) => self.expire(*lease).await,
            // Both need to know what the watchers wait for: `Pair` does them.
            Op::Progress { .. } | Op::Restart { .. } => Answer::Nothing,
            other => call::unary(&self.wire, other)
                .await
                .unwrap_or_else(Answer::from),
        }
    }

    async fn create(&mut self, stream: usize, create: WatchCreateRequest) -> Answer {
        let stream = &mut self.streams[stream];
        let before = stream.count(|r| r.created);
        stream.send(RequestUnion::CreateRequest(create)).await;
        let created = async || stream.nth(before, |r| r.created);
        poll(PATIENCE, created)
            .await
            .map_or(Answer::Silence, Answer::Watch)
    }

    async fn cancel(&mut self, stream: usize, id: i64) -> Answer {
        let stream = &mut self.streams[stream];
        let known = stream.is_known(id);
        let before = stream.count(|r| r.canceled && !r.created && r.watch_id == id);
        stream
            .send(RequestUnion::CancelRequest(WatchCancelRequest {
                watch_id: id,
            }))
            .await;
        if !known {
            return Answer::Nothing;
        }
        let cancelled =
            async || stream.nth(before, |r| r.canceled && !r.created && r.watch_id == id);
        poll(PATIENCE, cancelled)
            .await
            .map_or(Answer::Silence, Answer::Watch)
    }

    /// Asks for progress until an answer comes; a server may leave a request unanswered.
    pub(crate) async fn progress(&mut self, stream: usize, tries: usize) -> Answer {
        let stream = &mut self.streams[stream];
        let before = stream.count(is_progress);
        for _ in 0..tries {
            stream
                .send(RequestUnion::ProgressRequest(WatchProgressRequest {}))
                .await;
            let answered = async || stream.nth(before, is_progress);
            if let Some(response) = poll(Duration::from_millis(100), answered).await {
                return Answer::Progress(response.header.map(|h| h.revision));
            }
        }
        Answer::Progress(None)
    }

    async fn expire(&self, lease: i64) -> Answer {
        let gone = async || {
            let request = LeaseTimeToLiveRequest {
                id: lease,
                keys: true,
            };
            let answer = self
                .wire
                .lease()
                .lease_time_to_live(request)
                .await
                .ok()?
                .into_inner();
            (answer.ttl == -1).then_some(Answer::TimeToLive(answer))
        };
        poll(PATIENCE, gone).await.unwrap_or(Answer::Silence)
    }

    /// What the `instance`-th watcher of a stream has got so far, without the first `skip` items.
    pub(crate) fn items(&self, stream: usize, instance: usize, skip: usize) -> Result<Vec<Item>> {
        self.streams[stream].items(instance, skip)
    }

    /// The connection, for questions outside of the run.
    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Whether the process lives.
    pub(crate) fn is_running(&mut self) -> bool {
        self.member.as_mut().is_some_and(Member::is_running)
    }

    /// What the server said last.
    pub(crate) fn log_tail(&self) -> String {
        self.setup.log_tail(20)
    }
}

fn is_progress(response: &ferrod_proto::etcdserverpb::WatchResponse) -> bool {
    response.watch_id == -1 && !response.created && !response.canceled
}
