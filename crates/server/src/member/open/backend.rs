//! The backend in a data directory: judged, opened, and brought to where the log says that it is.

use std::sync::Arc;
use std::time::SystemTime;

use ferrod_mvcc::KeySpace;
use ferrod_mvcc::backend::{Backend, Care, Lmdb, LmdbOptions, Recovered};
use ferrod_node::StateMeta;

use crate::config::Config;
use crate::logging::error_chain;
use crate::member::data_dir::DataDir;
use crate::member::heal::{OpenError, of_backend};
use crate::member::{Error, deaths};

/// Deaths of which the backend may be the cause.
const DEATHS_DOUBTED: usize = 2;

/// All of the backend is judged before LMDB maps it, if this member has died again and again.
pub(super) fn care_for_backend(config: &Config, now: SystemTime) -> Result<Care, OpenError> {
    let member_dir = config.member_dir();
    let deaths = deaths::note_start(&member_dir, now).map_err(|source| {
        Error::system(format!("note a start in {}", member_dir.display()), source)
    })?;
    if deaths < DEATHS_DOUBTED {
        return Ok(Care::LastCommit);
    }
    tracing::warn!(
        deaths,
        "this member has not ended in good order again and again; looking at each page of its backend"
    );
    Ok(Care::Everything)
}

pub(super) fn open_backend(
    config: &Config,
    dir: &DataDir,
    care: Care,
) -> Result<Arc<dyn Backend>, OpenError> {
    let quota = config.storage.quota.bytes().unwrap_or(1 << 40);
    let (lmdb, recovered) = Lmdb::recover(&dir.backend, LmdbOptions::for_quota(quota), care)
        .map_err(|source| of_backend("open the backend", source))?;
    if let Recovered::Previous { damage } = recovered {
        tracing::warn!(
            error = error_chain(&damage),
            "the last commit to the backend was cut off; going on from the one before, which the log completes"
        );
    }
    if let Some(threshold) = config.storage.bootstrap_defrag_threshold {
        defragment_if_worth_it(&lmdb, threshold)
            .map_err(|source| of_backend("defragment the backend", source))?;
    }
    Ok(Arc::new(lmdb))
}

/// Takes up a copy of the state where a crash has left it: begun by the log, it is installed; otherwise it never was.
pub(super) fn finish_install(
    backend: &dyn Backend,
    begun: Option<&StateMeta>,
) -> Result<(), OpenError> {
    let failed = |source| of_backend("install a received state", source);
    let (applied, _) = KeySpace::stored_applied(backend).map_err(failed)?;
    let begun = begun.filter(|state| state.index.0 > applied);
    for received in backend.received().map_err(failed)? {
        if begun.is_some_and(|state| state.index.0 == received) {
            tracing::info!("snapshot-index" = received, "applying snapshot");
            let installed = backend.install(received, &mut |_| Ok(()));
            installed.map_err(failed)?;
        } else {
            tracing::info!("snapshot-index" = received, "removing unused snapshot");
            backend.discard(received).map_err(failed)?;
        }
    }
    Ok(())
}

fn defragment_if_worth_it(lmdb: &Lmdb, threshold: u64) -> Result<(), ferrod_mvcc::Error> {
    let sizes = lmdb.sizes()?;
    let free = sizes.allocated_bytes.saturating_sub(sizes.used_bytes);
    if free < threshold {
        tracing::info!(
            "freeable-bytes" = free,
            "threshold-bytes" = threshold,
            "skipping defragmentation"
        );
        return Ok(());
    }
    tracing::info!("freeable-bytes" = free, "defragmenting");
    lmdb.defragment()
}
