//! The thread that makes the hashes of compactions.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ferrod_env::Clock;
use ferrod_mvcc::{CompactionHasher, Views};

use crate::suspect::Suspicion;

/// How long the thread sleeps at a time when there is nothing to do: it is woken for what comes.
const SLEEP: Duration = Duration::from_secs(60);

/// A hash reads the whole store, so of compactions that follow each other closely not all are hashed: the thread rests so
/// many times as long as it has worked. Hashes of small stores are not worth a rest.
const REST_FACTOR: u32 = 40;
const SHORT: Duration = Duration::from_millis(25);

/// Starts the thread. It ends with the key space.
///
/// # Errors
/// If the system has no thread to give.
pub(crate) fn start(
    views: &Views,
    clock: Arc<dyn Clock>,
    suspicion: Arc<Suspicion>,
) -> io::Result<JoinHandle<()>> {
    let hasher = views.compaction_hasher();
    std::thread::Builder::new()
        .name("hash".to_owned())
        .spawn(move || run(hasher, &*clock, &suspicion))
}

fn run(mut hasher: CompactionHasher, clock: &dyn Clock, suspicion: &Suspicion) {
    while !hasher.is_closed() {
        hasher.wait(SLEEP);
        let began = clock.now();
        match hasher.hash_newest() {
            Ok(Some(hash)) => tracing::info!(
                hash = hash.hash,
                revision = hash.hash_revision,
                "compact-revision" = hash.compact_revision,
                "storing new hash"
            ),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(
                    error = crate::logging::error_chain(&error),
                    "a compaction could not be hashed"
                );
                suspicion.look_at(&error);
            }
        }
        let worked = clock.now().saturating_sub(began);
        if worked > SHORT {
            hasher.rest(worked * REST_FACTOR);
        }
    }
}
