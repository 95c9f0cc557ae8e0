//! Hearing of changes.

mod assembly;
mod watcher;

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};

pub use watcher::{WatchHandle, Watcher};

use crate::{Client, Error};

impl Client {
    /// Starts a watcher. Nothing is sent before [`Watcher::next`] is awaited.
    ///
    /// Each watcher has a gRPC stream of its own, so one that is read slowly holds up no other. `watch_id` is ignored.
    pub fn watch(&self, request: WatchCreateRequest) -> Watcher {
        Watcher::new(self.clone(), request)
    }
}

/// Why a response ends its watcher; none if it does not.
pub fn cancel_cause(response: &WatchResponse) -> Option<Error> {
    let reason = response.cancel_reason.as_str();
    if response.compact_revision != 0 {
        Some(Error::Api(ApiError::Compacted))
    } else if !response.canceled {
        None
    } else if reason.is_empty() {
        Some(Error::Api(ApiError::FutureRevision))
    } else {
        Some(Error::from_reason(reason))
    }
}

/// Whether a response says only that everything up to its header's revision has been delivered.
pub fn is_progress_notification(response: &WatchResponse) -> bool {
    response.events.is_empty()
        && !response.canceled
        && !response.created
        && response.compact_revision == 0
        && response.header.is_some_and(|header| header.revision != 0)
}
