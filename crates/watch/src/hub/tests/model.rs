//! What a stream may say, judged from outside: by the requests made, the answers read, and the store.

use super::store::{Edit, Seen, Store};
use crate::{Body, Create, KeyRange, Kind, Options, Response, Revision, WatchId};
use std::collections::{BTreeMap, VecDeque};

/// What is known about one stream by who reads it.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Numbers as the server must give them out, at the time of the requests.
    numbers: BTreeMap<WatchId, ()>,
    next_number: i64,
    /// Answers that must come, in this order.
    answers: VecDeque<Answer>,
    /// Watchers between their `created` and their `canceled`, as read.
    watchers: BTreeMap<WatchId, Watcher>,
}

#[derive(Debug)]
enum Answer {
    Created(WatchId, Revision, Watcher),
    Refused(Revision),
    Canceled(WatchId, Revision),
}

#[derive(Debug)]
struct Watcher {
    range: KeyRange,
    options: Options,
    start: Revision,
    /// All events before were read.
    next: Revision,
    progress: Revision,
    is_lost: bool,
}

impl Model {
    pub(super) fn create(&mut self, create: &Create, now: Revision) {
        let number = self.number(create.watch_id);
        let refused =
            create.start_revision < 0 || create.denied.is_some() || create.range.is_empty();
        let answer = match number {
            Some(number) if !refused => {
                self.numbers.insert(number, ());
                if create.watch_id == 0 {
                    self.next_number = number.0 + 1;
                }
                let start = Revision(create.start_revision);
                let next = if start.0 == 0 { now.next() } else { start };
                let (range, options) = (create.range.clone(), create.options);
                let progress = Revision(0);
                let watcher = Watcher {
                    range,
                    options,
                    start,
                    next,
                    progress,
                    is_lost: false,
                };
                Answer::Created(number, now, watcher)
            }
            _ => Answer::Refused(now),
        };
        self.answers.push_back(answer);
    }

    fn number(&self, wanted: i64) -> Option<WatchId> {
        let is_free = |number: &WatchId| !self.numbers.contains_key(number);
        match wanted {
            0 => (self.next_number..).map(WatchId).find(is_free),
            other => Some(WatchId(other)).filter(is_free),
        }
    }

    pub(super) fn cancel(&mut self, id: WatchId, now: Revision) {
        if self.numbers.remove(&id).is_some() {
            self.answers.push_back(Answer::Canceled(id, now));
        }
    }

    /// A number that is in use, if there is one.
    pub(super) fn some_number(&self, n: usize) -> Option<WatchId> {
        self.numbers
            .keys()
            .nth(n % self.numbers.len().max(1))
            .copied()
    }

    /// Judges one response.
    pub(super) fn read(&mut self, response: Response, store: &Store) {
        let (id, header) = (response.watch_id, response.header_revision);
        match response.body {
            Body::Created => match self.answers.pop_front() {
                Some(Answer::Created(expected, at, watcher)) => {
                    assert_eq!((id, header), (expected, at));
                    assert!(self.watchers.insert(id, watcher).is_none());
                }
                other => panic!("created instead of {other:?}"),
            },
            Body::Refused(_) => match self.answers.pop_front() {
                Some(Answer::Refused(at)) => assert_eq!((id, header), (WatchId::NONE, at)),
                other => panic!("refused instead of {other:?}"),
            },
            Body::Canceled => match self.answers.pop_front() {
                Some(Answer::Canceled(expected, at)) => {
                    assert_eq!((id, header), (expected, at));
                    assert!(self.watchers.remove(&id).is_some());
                }
                other => panic!("canceled instead of {other:?}"),
            },
            Body::Events { events, .. } => {
                let watcher = self
                    .watchers
                    .get_mut(&id)
                    .expect("created before its events");
                watcher.read(
                    events.iter().map(|event| Seen::decode(&event)).collect(),
                    header,
                    store,
                );
            }
            Body::Progress => {
                let all = id == WatchId::NONE;
                assert!(!self.watchers.is_empty());
                for (_, watcher) in self.watchers.iter_mut().filter(|(w, _)| all || **w == id) {
                    assert!(all || watcher.options.progress_notify);
                    watcher.progress(header, store);
                }
            }
            Body::Compacted(revision) => {
                let watcher = self
                    .watchers
                    .get_mut(&id)
                    .expect("created before it is lost");
                assert_eq!(header, Revision(0));
                assert!(!std::mem::replace(&mut watcher.is_lost, true), "lost twice");
                assert!(watcher.next < revision && revision <= store.compacted);
            }
        }
    }

    /// Nothing more will come: everything must have been said.
    pub(super) fn finish(&self, store: &Store) {
        assert!(self.answers.is_empty(), "never said: {:?}", self.answers);
        for watcher in self.watchers.values().filter(|watcher| !watcher.is_lost) {
            let missed: Vec<_> = watcher.due(store, Revision(i64::MAX)).collect();
            assert!(missed.is_empty(), "{watcher:?} never heard of {missed:?}");
        }
    }

    /// Whether a request for progress must be answered, when everything has been read.
    pub(super) fn deserves_progress(&self, store: &Store) -> bool {
        let knows_all = |w: &Watcher| !w.is_lost && w.start <= store.revision();
        !self.watchers.is_empty() && self.watchers.values().all(knows_all)
    }
}

impl Watcher {
    /// The events that it has yet to read, up to a revision.
    fn due<'a>(&'a self, store: &'a Store, high: Revision) -> impl Iterator<Item = &'a Edit> {
        store
            .revisions
            .iter()
            .flatten()
            .filter(move |edit| self.next <= edit.revision && edit.revision <= high)
            .filter(|edit| self.range.contains(edit.key.as_bytes()))
            .filter(|edit| self.options.wants(edit.kind))
    }

    /// Whole revisions, the next ones, all of their events, in order.
    fn read(&mut self, seen: Vec<Seen>, header: Revision, store: &Store) {
        assert!(!self.is_lost, "events after the cancellation");
        let last = seen.last().expect("no empty message").revision();
        assert!(
            last <= header && header <= store.revision(),
            "{last} {header}"
        );
        let due: Vec<&Edit> = self.due(store, last).collect();
        assert_eq!(seen.len(), due.len(), "seen {seen:?}\ndue {due:?}");
        for (seen, edit) in seen.iter().zip(due) {
            assert_eq!(
                (&seen.row, seen.is_delete),
                (&edit.row, edit.kind == Kind::Delete)
            );
            let previous = store.previous_row(edit).filter(|_| self.options.prev_kv);
            let is_compacted = edit.revision.previous() < store.compacted;
            assert!(seen.previous == previous || seen.previous.is_none() && is_compacted);
        }
        self.next = last.next();
    }

    /// Everything up to `header` must have been read.
    fn progress(&mut self, header: Revision, store: &Store) {
        assert!(!self.is_lost && self.start <= header && self.progress <= header);
        let missed: Vec<_> = self.due(store, header).collect();
        assert!(
            missed.is_empty(),
            "progress at {header} ahead of {missed:?}"
        );
        self.progress = header;
        self.next = self.next.max(header.next());
    }
}
