//! History as the server tells it: all of it by a watch from the past, and what a watcher gets while it happens.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ferrod_proto::etcdserverpb::{
    LeaseTimeToLiveRequest, RangeRequest, WatchCreateRequest, WatchRequest, WatchResponse,
    watch_request::RequestUnion,
};
use ferrod_proto::mvccpb::event::EventType;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use super::ledger::{Effects, LeaseFate, Ledger};
use crate::wire::Wire;

/// How long the server may take to tell its history.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads everything back and compares it with the ledger.
pub(super) async fn check(wire: &Wire, ledger: &mut Ledger) -> Result<()> {
    let (current, state) = everything(wire).await?;
    let history = since(wire, ledger.verified() + 1, current).await?;
    ledger.verify(current, history)?;
    ensure!(
        state == ledger.state,
        "the keys are not what their history makes them"
    );
    check_leases(wire, ledger).await?;
    check_compaction(wire, ledger).await
}

async fn everything(wire: &Wire) -> Result<(i64, Effects)> {
    let request = RangeRequest {
        key: "\0".into(),
        range_end: "\0".into(),
        ..Default::default()
    };
    let answer = wire.kv().range(request).await?.into_inner();
    let revision = answer.header.context("an answer has a header")?.revision;
    Ok((
        revision,
        answer
            .kvs
            .into_iter()
            .map(|kv| (kv.key, Some(kv.value)))
            .collect(),
    ))
}

/// The events of `[first, last]` by revision.
async fn since(wire: &Wire, first: i64, last: i64) -> Result<BTreeMap<i64, Effects>> {
    let mut history = BTreeMap::new();
    if first > last {
        return Ok(history);
    }
    let (_requests, mut stream) = watch(wire, first).await?;
    let reading = async {
        while history
            .keys()
            .next_back()
            .is_none_or(|revision| *revision < last)
        {
            let response = stream.message().await?.context("the watch ended")?;
            ensure!(!response.canceled, "the watch was cancelled: {response:?}");
            collect(&mut history, response)?;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(read) => read.map(|()| history),
        Err(_) => bail!("the watch from {first} to {last} stopped before its end"),
    }
}

async fn watch(
    wire: &Wire,
    start_revision: i64,
) -> Result<(mpsc::Sender<WatchRequest>, Streaming<WatchResponse>)> {
    let (requests, queue) = mpsc::channel(1);
    let create = WatchCreateRequest {
        range_end: "\0".into(),
        start_revision,
        ..Default::default()
    };
    let request_union = Some(RequestUnion::CreateRequest(create));
    requests.send(WatchRequest { request_union }).await?;
    let stream = wire
        .watch()
        .watch(ReceiverStream::new(queue))
        .await?
        .into_inner();
    Ok((requests, stream))
}

fn collect(history: &mut BTreeMap<i64, Effects>, response: WatchResponse) -> Result<()> {
    let last = history.keys().next_back().copied().unwrap_or(0);
    for event in response.events {
        let kind = event.r#type();
        let kv = event.kv.context("an event has a key")?;
        ensure!(
            kv.mod_revision > last,
            "revision {} came after {last}",
            kv.mod_revision
        );
        let value: Option<Bytes> = (kind == EventType::Put).then_some(kv.value);
        let effects: &mut Effects = history.entry(kv.mod_revision).or_default();
        ensure!(
            effects.insert(kv.key, value).is_none(),
            "a key came twice in one revision"
        );
    }
    Ok(())
}

async fn check_leases(wire: &Wire, ledger: &mut Ledger) -> Result<()> {
    let mut stub = wire.lease();
    for (id, fate) in &mut ledger.leases {
        let request = LeaseTimeToLiveRequest {
            id: *id,
            keys: false,
        };
        let exists = stub.lease_time_to_live(request).await?.into_inner().ttl > 0;
        let wanted = match fate {
            LeaseFate::Granted => true,
            LeaseFate::Revoked => false,
            LeaseFate::Unknown => exists,
        };
        ensure!(
            exists == wanted,
            "lease {id} was {fate:?}, it exists: {exists}"
        );
        *fate = if exists {
            LeaseFate::Granted
        } else {
            LeaseFate::Revoked
        };
    }
    // Old ones were looked at often enough.
    while ledger.leases.len() > 64 {
        ledger.leases.pop_first();
    }
    Ok(())
}

async fn check_compaction(wire: &Wire, ledger: &Ledger) -> Result<()> {
    if ledger.compacted < 2 {
        return Ok(());
    }
    let revision = ledger.compacted - 1;
    let request = RangeRequest {
        key: "c".into(),
        revision,
        ..Default::default()
    };
    match wire.kv().range(request).await {
        Err(status) if status.code() == Code::OutOfRange => Ok(()),
        other => bail!("revision {revision} is compacted, reading it gives {other:?}"),
    }
}

/// A watcher of the present.
#[derive(Debug)]
pub(super) struct Listener {
    task: JoinHandle<BTreeMap<i64, Effects>>,
}

/// Starts to listen from `first` on.
pub(super) async fn listen(endpoint: &str, first: i64) -> Result<Listener> {
    let wire = Wire::connect(endpoint).await?;
    let (requests, mut stream) = watch(&wire, first).await?;
    let task = tokio::spawn(async move {
        let _open = requests;
        let mut told = BTreeMap::new();
        // The stream ends with the server.
        while let Ok(Some(response)) = stream.message().await {
            if collect(&mut told, response).is_err() {
                // An entry that no history has, so that the fault is not lost.
                told.insert(i64::MAX, Effects::new());
                break;
            }
        }
        told
    });
    Ok(Listener { task })
}

impl Listener {
    /// What came before the end.
    pub(super) async fn finish(self) -> BTreeMap<i64, Effects> {
        self.task.await.unwrap_or_default()
    }
}
