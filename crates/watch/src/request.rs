//! What a client asks for when it creates a watcher.

use crate::{KeyRange, Kind};
use std::borrow::Cow;

/// The number of a watcher on its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub i64);

impl WatchId {
    /// Stands for no watcher: in refusals, and in progress that speaks for a whole stream.
    pub const NONE: WatchId = WatchId(-1);
}

/// What a watcher wants besides its keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// No puts.
    pub no_put: bool,
    /// No deletes.
    pub no_delete: bool,
    /// Each event carries the row that it replaced.
    pub prev_kv: bool,
    /// A regular sign of life while there are no events.
    pub progress_notify: bool,
    /// Large responses may be cut.
    pub fragment: bool,
}

impl Options {
    /// Whether the filters let changes of this kind through.
    pub fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Create | Kind::Update => !self.no_put,
            Kind::Delete => !self.no_delete,
        }
    }
}

/// A request to create a watcher, as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The keys.
    pub range: KeyRange,
    /// The first revision wanted; 0 means from now on; later than now is fine.
    pub start_revision: i64,
    /// The number wanted; 0 lets the hub choose.
    pub watch_id: i64,
    /// What else is wanted.
    pub options: Options,
    /// Why the caller's rights do not suffice, in the words for the client. It stands here because other
    /// refusals come before it.
    pub denied: Option<Cow<'static, str>>,
}
