//! What a stream tells its client.

use crate::{Events, Revision, WatchId};
use std::borrow::Cow;

/// One message to the client of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The watcher, or [`WatchId::NONE`].
    pub watch_id: WatchId,
    /// The revision in the header; 0 in a cancellation by compaction.
    pub header_revision: Revision,
    /// What it says.
    pub body: Body,
}

/// What a response says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The watcher exists from here on.
    Created,
    /// No watcher was created; the reason, in the words for the client.
    Refused(Cow<'static, str>),
    /// Events in the order of their revisions and sub-revisions.
    Events {
        /// What they are.
        events: Events,
        /// Whether the response may be cut.
        may_fragment: bool,
    },
    /// Every event up to the header's revision has been sent before.
    Progress,
    /// The client's cancellation is done.
    Canceled,
    /// The watcher needs revisions before this one, which are gone.
    Compacted(Revision),
}

impl Response {
    /// About how much the message weighs in a queue.
    pub(crate) fn bytes(&self) -> usize {
        std::mem::size_of::<Response>() + self.events().map_or(0, |events| events.bytes().len())
    }

    /// The events; none unless the body is [`Body::Events`].
    pub fn events(&self) -> Option<&Events> {
        match &self.body {
            Body::Events { events, .. } => Some(events),
            _ => None,
        }
    }
}
