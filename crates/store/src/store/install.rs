//! Going on from a leader's copy of the state, for a member that is too far behind for the log.

use std::cell::RefCell;
use std::sync::Arc;

use ferrod_mvcc::backend::Snapshot;
use ferrod_mvcc::{Attachment, View};

use super::Store;
use crate::recover::{self, Attachments};
use crate::{Cluster, Error};

impl Store {
    /// Replaces everything by the received state of this index, and publishes it: the effect is that of applying all entries
    /// up to there. Nobody gets their answers.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Malformed`]: the member must stop.
    pub fn install(&mut self, applied_index: u64) -> Result<Arc<View>, Error> {
        // Two closures fill it, one after the other.
        let attachments = RefCell::new(Attachments::default());
        let leases = self.leases.clone();
        let mut cluster = Cluster::default();
        let mut malformed = None;
        let mut visit = |found: Attachment<'_>| attachments.borrow_mut().visit(found);
        let mut small = |snapshot: &dyn Snapshot| {
            let read = attachments.take().leases(snapshot);
            let read = read.and_then(|leases| Ok((leases, recover::cluster(snapshot)?)));
            match read {
                Ok((found, known)) => {
                    // As when entries are applied, a reader may find leases newer than its view, never older ones.
                    *leases.write() = found;
                    cluster = known;
                    Ok(())
                }
                Err(Error::Storage(error)) => Err(error),
                Err(error) => {
                    malformed = Some(error);
                    // Only to end the install.
                    Err(ferrod_mvcc::Error::Poisoned)
                }
            }
        };
        let installed = self
            .keyspace
            .install(applied_index, &mut visit, &mut small)
            .map_err(|error| malformed.take().unwrap_or(Error::Storage(error)));
        let view = installed?;
        self.cluster = cluster;
        self.cluster_changed = false;
        self.published.publish(self.cluster.clone());
        Ok(view)
    }
}
