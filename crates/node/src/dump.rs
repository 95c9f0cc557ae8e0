//! Reading a log without touching it, for a person or a checker.

use std::path::Path;

use ferrod_env::Disk;
use ferrod_wal::{Identity, TornTail};

use crate::durable_log::disown::configuration;
use crate::{ConfState, Error, LogIndex, Recovered, StartingPoint, record};

/// What a log holds, as far as it can be read.
#[derive(Debug)]
pub struct Dump {
    /// Whose log it is; `None` if not even that could be read.
    pub identity: Option<Identity>,
    /// Entries, and the last hard state.
    pub log: Recovered,
    /// What opening the log would cut off.
    pub torn: Option<TornTail>,
    /// Why opening the log would fail; what lies in front of the damage is in `log`.
    pub damage: Option<Error>,
}

impl Dump {
    /// The configuration as of the last entry that can be read; `None` if the log begins in the middle, so that nobody
    /// can tell.
    #[must_use]
    pub fn configuration(&self) -> Option<ConfState> {
        let first = self.log.entries().first().map(|entry| entry.index);
        let from = match self.log.state() {
            Some(state) => StartingPoint {
                applied: state.index,
                applied_term: state.term,
                conf_state: state.conf.clone(),
            },
            None if first == Some(LogIndex(1)) => StartingPoint::default(),
            None => return None,
        };
        Some(configuration(&self.log, &from, self.log.last()))
    }
}

/// Reads a log and writes nothing. The log may be in use; what is being written may then look torn
/// or damaged.
#[must_use]
pub fn dump(disk: &dyn Disk, dir: &Path) -> Dump {
    let inspection = ferrod_wal::inspect(disk, dir);
    let mut log = Recovered::default();
    let replayed = inspection
        .records
        .into_iter()
        .try_for_each(|record| record::replay(record, &mut log).map(drop));
    let damage = replayed
        .err()
        .or_else(|| inspection.damage.map(Error::from));
    Dump {
        identity: inspection.identity,
        log,
        torn: inspection.torn,
        damage,
    }
}
