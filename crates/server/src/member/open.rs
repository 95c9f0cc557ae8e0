//! From a data directory to a running log with its state machine.

mod assembly;
mod backend;
mod log;
mod opened;
mod settings;

use std::sync::Arc;
use std::time::SystemTime;

use ferrod_env::{Clock, RealClock};
use ferrod_mvcc::backend::Backend;
use ferrod_mvcc::{Flusher, Options};
use ferrod_node::{ConfState, DurableLog, LogIndex, MemberId, OpenedLog, StartingPoint, Term};
use ferrod_store::Store;

use super::Error;
use super::alone;
use super::data_dir::DataDir;
use super::heal::{Healing, OpenError, of_store};
use super::join::NewMember;
use crate::config::Config;
use crate::lives::{Met, OwnLife};
pub(super) use log::log_options;
pub(super) use opened::Opened;
pub(super) use settings::texts;

/// Opens the data directory and starts the log, with mail for `runtimes` runtimes. In an empty directory the log of
/// `new` is begun.
///
/// # Errors
/// [`OpenError`]; the data directory is as it was, unless it was empty.
pub(super) fn open(
    config: &Config,
    runtimes: usize,
    new: Option<&NewMember>,
    dir: &DataDir,
    healing: Option<&Healing>,
) -> Result<Opened, OpenError> {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let stored = Stored::read(config, dir, new, clock.wall())?;
    assembly::start(config, runtimes, stored, healing, clock)
}

/// What is in a data directory, all read and found to fit together.
struct Stored {
    log: DurableLog,
    opened: OpenedLog,
    backend: Arc<dyn Backend>,
    store: Store,
    flusher: Flusher,
    /// Where the store is in the log.
    from: StartingPoint,
    /// This start.
    life: Arc<OwnLife>,
    /// Whom this member has met.
    met: Met,
}

impl Stored {
    fn read(
        config: &Config,
        dir: &DataDir,
        new: Option<&NewMember>,
        now: SystemTime,
    ) -> Result<Stored, OpenError> {
        let (mut log, mut opened) = log::open_log(config, dir, new)?;
        fail::fail_point!("openAfterLog");
        let care = backend::care_for_backend(config, now)?;
        let backend = backend::open_backend(config, dir, care)?;
        backend::finish_install(&*backend, opened.recovered.state())?;
        let opened_store = Store::open(backend.clone(), Options::default());
        let (mut store, flusher) =
            opened_store.map_err(|source| of_store("read the backend", source))?;
        let from = starting_point(&mut store)?;
        if config.cluster.force_new && dir.initialized {
            alone::leave_others(config, &mut log, &mut opened, &from)?;
        }
        let met = Met::read(&config.member_dir());
        let met = met.map_err(|source| Error::system("read whom this member has met", source))?;
        say_where_it_starts(dir, &opened, &from);
        fail::fail_point!("openAfterBackend");
        Ok(Stored {
            log,
            opened,
            backend,
            store,
            flusher,
            from,
            life: dir.life.clone(),
            met,
        })
    }
}

fn starting_point(store: &mut Store) -> Result<StartingPoint, OpenError> {
    let (applied, applied_term) = store.applied();
    let conf = store
        .conf_state()
        .map_err(|source| of_store("read the members", source))?;
    let ids = |members: Vec<u64>| members.into_iter().map(MemberId).collect();
    Ok(StartingPoint {
        applied: LogIndex(applied),
        applied_term: Term(applied_term),
        conf_state: ConfState::new(ids(conf.voters), ids(conf.learners)),
    })
}

fn say_where_it_starts(dir: &DataDir, opened: &OpenedLog, from: &StartingPoint) {
    let member = format!("{:x}", opened.identity.member);
    let cluster = format!("{:x}", opened.identity.cluster);
    if dir.initialized {
        tracing::info!(
            "cluster-id" = cluster,
            "local-member-id" = member,
            "commit-index" = opened.recovered.hard_state().commit.0.max(from.applied.0),
            "restarting local member"
        );
    } else {
        tracing::info!(
            "local-member-id" = member,
            "cluster-id" = cluster,
            "starting local member"
        );
    }
}
