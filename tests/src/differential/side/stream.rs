//! One open watch stream and all that came on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, anyhow};
use ferrod_proto::etcdserverpb::{WatchRequest, WatchResponse, watch_request::RequestUnion};
use ferrod_proto::mvccpb::Event;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::wire::Wire;

/// What one watcher got, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Event(Event),
    Cancelled {
        header_revision: i64,
        compact_revision: i64,
        reason: String,
    },
}

/// A stream whose responses are collected in the background.
#[derive(Debug)]
pub(super) struct WatchStream {
    requests: mpsc::Sender<WatchRequest>,
    log: Arc<Mutex<Log>>,
}

/// Everything that came, in order, and sorted by watcher.
#[derive(Debug, Default)]
struct Log {
    /// Responses that answer a request: created, cancelled, progress.
    answers: Vec<WatchResponse>,
    /// Which create request of the stream a watch ID belongs to now; an ID may be used again after a cancel.
    owner: BTreeMap<i64, usize>,
    watchers: Vec<Collected>,
    /// IDs of watchers that the client has not cancelled.
    known: Vec<i64>,
}

/// What one watcher got.
#[derive(Debug, Default)]
struct Collected {
    items: Vec<Item>,
    last: i64,
    in_fragments: bool,
    fault: Option<String>,
}

impl WatchStream {
    pub(super) async fn open(wire: &Wire) -> Result<Self> {
        let (requests, queue) = mpsc::channel(16);
        let log = Arc::new(Mutex::new(Log::default()));
        // The headers of the response may come with its first message only, so nothing waits for them here.
        let (mut watch, collected) = (wire.watch(), Arc::clone(&log));
        tokio::spawn(async move {
            let Ok(stream) = watch.watch(ReceiverStream::new(queue)).await else {
                return;
            };
            let mut stream = stream.into_inner();
            while let Ok(Some(response)) = stream.message().await {
                lock(&collected).push(response);
            }
        });
        Ok(Self { requests, log })
    }

    pub(super) async fn send(&self, request: RequestUnion) {
        // A broken stream shows as a missing answer.
        let _ = self
            .requests
            .send(WatchRequest {
                request_union: Some(request),
            })
            .await;
    }

    /// How many answers are `wanted` ones.
    pub(super) fn count(&self, wanted: impl Fn(&WatchResponse) -> bool) -> usize {
        lock(&self.log).answers.iter().filter(|r| wanted(r)).count()
    }

    /// The `n`-th answer that is `wanted`.
    pub(super) fn nth(
        &self,
        n: usize,
        wanted: impl Fn(&WatchResponse) -> bool,
    ) -> Option<WatchResponse> {
        lock(&self.log)
            .answers
            .iter()
            .filter(|r| wanted(r))
            .nth(n)
            .cloned()
    }

    /// Whether `id` belongs to a watcher that the client has not cancelled.
    pub(super) fn is_known(&self, id: i64) -> bool {
        lock(&self.log).known.contains(&id)
    }

    /// What the watcher of the `instance`-th create request got, without the first `skip` items.
    pub(super) fn items(&self, instance: usize, skip: usize) -> Result<Vec<Item>> {
        let log = lock(&self.log);
        let Some(watcher) = log.watchers.get(instance) else {
            return Ok(Vec::new());
        };
        match &watcher.fault {
            Some(fault) => Err(anyhow!("{fault}")),
            None => Ok(watcher.items.get(skip..).unwrap_or_default().to_vec()),
        }
    }
}

impl Log {
    fn push(&mut self, response: WatchResponse) {
        let id = response.watch_id;
        if response.created {
            self.owner.insert(id, self.watchers.len());
            self.watchers.push(Collected::default());
            if !response.canceled {
                self.known.push(id);
            }
            self.answers.push(response);
            return;
        }
        if response.canceled && response.compact_revision == 0 {
            self.known.retain(|known| *known != id);
        }
        if id != -1
            && let Some(owner) = self.owner.get(&id)
        {
            self.watchers[*owner].push(&response);
        }
        if response.canceled || id == -1 {
            self.answers.push(response);
        }
    }
}

impl Collected {
    /// Takes a response apart and checks the rules for responses on the way.
    fn push(&mut self, response: &WatchResponse) {
        let header_revision = response.header.map_or(-1, |h| h.revision);
        for (at, event) in response.events.iter().enumerate() {
            let revision = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
            if revision < self.last {
                self.fault(format!("revision {revision} came after {}", self.last));
            }
            if at == 0 && revision == self.last && !self.in_fragments {
                self.fault(format!(
                    "the events of revision {revision} came in two responses"
                ));
            }
            if header_revision < revision {
                self.fault(format!(
                    "revision {revision} came under header {header_revision}"
                ));
            }
            self.last = revision;
            self.items.push(Item::Event(event.clone()));
        }
        self.in_fragments = response.fragment;
        if response.canceled {
            self.items.push(Item::Cancelled {
                header_revision,
                compact_revision: response.compact_revision,
                reason: response.cancel_reason.clone(),
            });
        } else if response.events.is_empty() {
            self.fault(format!("a response without events or reason: {response:?}"));
        }
    }

    fn fault(&mut self, text: String) {
        self.fault.get_or_insert(text);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
