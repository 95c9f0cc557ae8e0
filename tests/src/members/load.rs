//! Callers that write keys of their own, one after the other, through whichever members there are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use ferrod_proto::etcdserverpb::{PutRequest, RangeRequest};
use tokio::task::JoinSet;
use tonic::Request;

use crate::wire::Wire;

/// Where callers may go; changes while they run.
pub(crate) type Endpoints = Arc<Mutex<Vec<String>>>;

/// A call that takes longer counts as unanswered.
const CALL_LIMIT: Duration = Duration::from_secs(3);
/// All keys of the callers begin so.
const PREFIX: &str = "members/";

/// Callers at work.
pub(crate) struct Load {
    callers: JoinSet<Written>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

/// What callers have written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    acknowledged: BTreeSet<String>,
    unanswered: BTreeSet<String>,
}

impl Load {
    /// Sets `callers` to work.
    pub(crate) fn start(endpoints: Endpoints, callers: u32) -> Load {
        let (stop, acknowledged) = (Arc::default(), Arc::default());
        let mut set = JoinSet::new();
        for number in 0..callers {
            let caller = Caller {
                number,
                endpoints: endpoints.clone(),
                stop: Arc::clone(&stop),
                acknowledged: Arc::clone(&acknowledged),
            };
            set.spawn(caller.work());
        }
        Load {
            callers: set,
            stop,
            acknowledged,
        }
    }

    /// How many writes were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends the work.
    ///
    /// # Errors
    /// When a caller panicked.
    pub(crate) async fn finish(mut self) -> Result<Written> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Written::default();
        while let Some(written) = self.callers.join_next().await {
            let mut written = written?;
            all.acknowledged.append(&mut written.acknowledged);
            all.unanswered.append(&mut written.unanswered);
        }
        Ok(all)
    }
}

struct Caller {
    number: u32,
    endpoints: Endpoints,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Caller {
    async fn work(self) -> Written {
        let mut written = Written::default();
        let mut wire = None;
        let mut turn = self.number as usize;
        for n in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("{PREFIX}{}/{n:08}", self.number);
            if self.put(&mut wire, &mut turn, &key).await {
                written.acknowledged.insert(key);
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            } else {
                written.unanswered.insert(key);
                // Another member may do better; and do not flood a cluster that has no leader.
                (wire, turn) = (None, turn + 1);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        written
    }

    async fn put(&self, wire: &mut Option<Wire>, turn: &mut usize, key: &str) -> bool {
        if wire.is_none() {
            let endpoint = {
                let endpoints = self.endpoints.lock().expect("no caller panics");
                endpoints[*turn % endpoints.len()].clone()
            };
            *wire = Wire::connect(&endpoint).await.ok();
        }
        let Some(wire) = wire else {
            return false;
        };
        let mut request = Request::new(PutRequest {
            key: key.to_owned().into(),
            value: key.to_owned().into(),
            ..PutRequest::default()
        });
        request.set_timeout(CALL_LIMIT);
        let answer = tokio::time::timeout(2 * CALL_LIMIT, wire.kv().put(request)).await;
        matches!(answer, Ok(Ok(_)))
    }
}

impl Written {
    /// How many writes were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// How many may or may not have happened.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Compares with what a member answers.
    ///
    /// # Errors
    /// A write that is lost, one that nobody made, or a wrong value.
    pub(crate) async fn verify(&self, wire: &Wire) -> Result<()> {
        let request = RangeRequest {
            key: PREFIX.into(),
            range_end: "members0".into(),
            ..RangeRequest::default()
        };
        let answer = wire.kv().range(request).await?.into_inner();
        let mut found = BTreeSet::new();
        for kv in answer.kvs {
            ensure!(kv.key == kv.value, "{:?} has another value", kv.key);
            ensure!(kv.version == 1, "{:?} was written twice", kv.key);
            found.insert(String::from_utf8(kv.key.to_vec())?);
        }
        let lost: Vec<_> = self.acknowledged.difference(&found).take(5).collect();
        ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let known =
            |key: &&String| self.acknowledged.contains(*key) || self.unanswered.contains(*key);
        let strange: Vec<_> = found.iter().filter(|key| !known(key)).take(5).collect();
        ensure!(strange.is_empty(), "written by nobody: {strange:?}");
        Ok(())
    }
}
