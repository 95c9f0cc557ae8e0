//! One stream: the numbers of its watchers and the queue to its client.

use super::WatcherKey;
use crate::{Body, Limits, Response, WatchId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

slotmap::new_key_type! {
    /// Names a stream within its hub. Names are not used again.
    pub struct StreamId;
}

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) watchers: BTreeMap<WatchId, WatcherKey>,
    /// Watchers for whose next events the queue had no room.
    pub(super) set_aside: BTreeSet<WatcherKey>,
    /// Where the search for a free number goes on; it never goes back.
    next_id: i64,
    queue: VecDeque<Response>,
    bytes: usize,
    answers: usize,
    /// Whether the owner knows, or will find in the list of ready streams, that there is something to
    /// poll.
    is_announced: bool,
    /// Whether the stream is in that list.
    is_listed: bool,
}

impl Stream {
    /// The number for a new watcher: `wanted` unless in use, or for 0 the next free one.
    pub(super) fn number(&mut self, wanted: i64) -> Option<WatchId> {
        if wanted != 0 {
            return (!self.watchers.contains_key(&WatchId(wanted))).then_some(WatchId(wanted));
        }
        while self.watchers.contains_key(&WatchId(self.next_id)) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Some(WatchId(self.next_id - 1))
    }

    /// Queues a response, and names the stream in `ready` if its owner does not know yet.
    pub(super) fn push(
        &mut self,
        id: super::StreamId,
        response: Response,
        ready: &mut Vec<super::StreamId>,
    ) {
        self.bytes += response.bytes();
        self.answers += usize::from(is_answer(&response));
        self.queue.push_back(response);
        let was_announced = std::mem::replace(&mut self.is_announced, true);
        if !was_announced && !std::mem::replace(&mut self.is_listed, true) {
            ready.push(id);
        }
    }

    /// The owner has taken the list of ready streams.
    pub(super) fn unlist(&mut self) {
        self.is_listed = false;
    }

    pub(super) fn pop(&mut self) -> Option<Response> {
        let Some(response) = self.queue.pop_front() else {
            self.is_announced = false;
            return None;
        };
        self.bytes -= response.bytes();
        self.answers -= usize::from(is_answer(&response));
        if self.queue.is_empty() && self.queue.capacity() > 1024 {
            self.queue = VecDeque::new();
        }
        Some(response)
    }

    /// Whether events have to wait. An empty queue is never full.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        self.queue.len() >= self.responses_max(limits)
            || self.bytes >= limits.queue_bytes_max.max(1)
    }

    /// Whether watchers were set aside and the queue is down to half, so that they can go on without
    /// coming back for each single response.
    pub(super) fn has_room_again(&self, limits: &Limits) -> bool {
        !self.set_aside.is_empty()
            && self.queue.len() <= self.responses_max(limits) / 2
            && self.bytes <= limits.queue_bytes_max / 2
    }

    /// How many answers to requests wait.
    pub(super) fn answers(&self) -> usize {
        self.answers
    }

    /// How many bytes wait, about.
    pub(super) fn queued_bytes(&self) -> usize {
        self.bytes
    }

    /// How many responses wait.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    fn responses_max(&self, limits: &Limits) -> usize {
        limits
            .queue_responses_max
            .max(2 * self.watchers.len())
            .max(1)
    }
}

fn is_answer(response: &Response) -> bool {
    matches!(
        response.body,
        Body::Created | Body::Refused(_) | Body::Canceled
    )
}
