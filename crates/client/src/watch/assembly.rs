//! From the messages of a stream to whole responses, and to the place where a new stream must begin.

use ferrod_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};

use super::is_progress_notification;

/// What has been received of one watcher.
///
/// Invariant: every event below the start revision of [`Assembly::request`] that concerns the watcher was handed out
/// as part of a whole response, and none at or above it.
pub(super) struct Assembly {
    request: WatchCreateRequest,
    /// Fragments of a response whose last one has not come yet.
    partial: Option<WatchResponse>,
}

impl Assembly {
    pub(super) fn new(request: WatchCreateRequest) -> Assembly {
        Assembly {
            request: WatchCreateRequest {
                watch_id: 0,
                ..request
            },
            partial: None,
        }
    }

    /// The request for a new stream: it goes on where the last whole response ended.
    pub(super) fn restart(&mut self) -> WatchCreateRequest {
        self.partial = None;
        self.request.clone()
    }

    /// Takes one message. Returns what the caller should see, if it completes something.
    pub(super) fn take(&mut self, message: WatchResponse) -> Option<WatchResponse> {
        if message.created && !message.canceled {
            self.created(&message);
            return None;
        }
        let whole = self.join(message)?;
        self.advance(&whole);
        Some(whole)
    }

    /// "From now" means from the revision at which the server created the watcher, also after a reconnect.
    fn created(&mut self, message: &WatchResponse) {
        if self.request.start_revision == 0 {
            self.request.start_revision = message.header.map_or(0, |header| header.revision + 1);
        }
    }

    fn join(&mut self, message: WatchResponse) -> Option<WatchResponse> {
        let more = message.fragment;
        let mut whole = match self.partial.take() {
            Some(mut partial) if !message.canceled => {
                partial.events.extend(message.events);
                partial
            }
            _ => message,
        };
        if more {
            self.partial = Some(whole);
            return None;
        }
        whole.fragment = false;
        Some(whole)
    }

    fn advance(&mut self, whole: &WatchResponse) {
        let last = whole.events.last().and_then(|event| event.kv.as_ref());
        if let Some(kv) = last {
            self.request.start_revision = kv.mod_revision + 1;
        } else if is_progress_notification(whole) {
            let revision = whole.header.map_or(0, |header| header.revision);
            self.request.start_revision = self.request.start_revision.max(revision + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use ferrod_proto::etcdserverpb::ResponseHeader;
    use ferrod_proto::mvccpb::{Event, KeyValue};

    use super::*;

    fn header(revision: i64) -> Option<ResponseHeader> {
        Some(ResponseHeader {
            revision,
            ..Default::default()
        })
    }

    fn events(revisions: &[i64], fragment: bool) -> WatchResponse {
        let event = |revision: &i64| {
            let kv = KeyValue {
                mod_revision: *revision,
                ..Default::default()
            };
            Event {
                kv: Some(kv),
                ..Default::default()
            }
        };
        let events = revisions.iter().map(event).collect();
        // A watcher that catches up sees a header far above its events: it must not be taken as progress.
        WatchResponse {
            header: header(100),
            events,
            fragment,
            ..Default::default()
        }
    }

    fn created(revision: i64) -> WatchResponse {
        WatchResponse {
            header: header(revision),
            created: true,
            ..Default::default()
        }
    }

    fn assembly(start_revision: i64) -> Assembly {
        Assembly::new(WatchCreateRequest {
            start_revision,
            ..Default::default()
        })
    }

    // covers: P-W-05 (the client side)
    #[test]
    fn a_new_stream_begins_after_the_last_event() {
        let mut assembly = assembly(5);
        assert_eq!(assembly.take(created(50)), None);
        assert_eq!(assembly.restart().start_revision, 5);
        assert!(assembly.take(events(&[6, 9], false)).is_some());
        assert_eq!(assembly.restart().start_revision, 10);
    }

    #[test]
    fn from_now_is_fixed_when_the_watcher_is_created() {
        let mut assembly = assembly(0);
        assembly.take(created(7));
        assert_eq!(assembly.restart().start_revision, 8);
        assembly.take(created(20));
        assert_eq!(assembly.restart().start_revision, 8);
    }

    #[test]
    fn progress_moves_the_start_but_never_back() {
        let mut assembly = assembly(5);
        let progress = |revision| WatchResponse {
            header: header(revision),
            ..Default::default()
        };
        assert!(assembly.take(progress(30)).is_some());
        assert_eq!(assembly.restart().start_revision, 31);
        assembly.take(progress(20));
        assert_eq!(assembly.restart().start_revision, 31);
    }

    #[test]
    fn fragments_are_joined_and_a_lost_tail_is_asked_for_again() {
        let mut assembly = assembly(1);
        assert_eq!(assembly.take(events(&[2, 2], true)), None);
        let whole = assembly.take(events(&[2], false)).unwrap();
        assert_eq!(whole.events.len(), 3);
        assert!(!whole.fragment);

        assert_eq!(assembly.take(events(&[3], true)), None);
        assert_eq!(assembly.restart().start_revision, 3);
        assert_eq!(assembly.take(events(&[3], false)).unwrap().events.len(), 1);
    }

    #[test]
    fn a_refusal_is_handed_out() {
        let refusal = WatchResponse {
            created: true,
            canceled: true,
            ..Default::default()
        };
        assert_eq!(assembly(0).take(refusal.clone()), Some(refusal));
    }
}
