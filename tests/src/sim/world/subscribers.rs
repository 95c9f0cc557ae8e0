//! Subscribers: each watches a range without end, on one member after the other.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use ferrod_watch::{Create, KeyRange, Options};

use super::{Event, Judged, World};
use crate::check::watch::{Heard, Subscription};

/// Somebody who watches.
pub(super) struct Subscriber {
    number: usize,
    pub(super) subscription: Subscription,
    /// Where its stream is, and in which life of that member.
    connection: Option<(u64, u64)>,
    /// The first revision of which it has heard nothing; 0 asks from now on.
    pub(super) next: i64,
}

impl Subscriber {
    pub(super) fn new(number: usize, rng: &mut Rng) -> Subscriber {
        let (key, range_end) = match rng.u8(0..3) {
            0 => (Bytes::from_static(b"k"), Bytes::from_static(b"l")),
            1 => (Bytes::from_static(b"k03"), Bytes::from_static(b"\0")),
            _ => (Bytes::from_static(b"k01"), Bytes::new()),
        };
        Subscriber {
            number,
            subscription: Subscription {
                name: number.to_string(),
                key,
                range_end,
                no_put: rng.u8(0..8) == 0,
                no_delete: rng.u8(0..8) == 0,
                prev_kv: rng.bool(),
                heard: Vec::new(),
            },
            connection: None,
            next: match rng.u8(0..3) {
                0 => 0,
                1 => 1,
                _ => rng.i64(1..300),
            },
        }
    }

    fn create(&self) -> Create {
        let wanted = &self.subscription;
        Create {
            range: KeyRange::from_request(wanted.key.clone(), wanted.range_end.clone()),
            start_revision: self.next,
            watch_id: 0,
            options: Options {
                no_put: wanted.no_put,
                no_delete: wanted.no_delete,
                prev_kv: wanted.prev_kv,
                progress_notify: true,
                fragment: false,
            },
            denied: None,
        }
    }

    fn hear(&mut self, heard: Heard) {
        match &heard {
            Heard::Created { start, revision } if *start == 0 => self.next = revision + 1,
            Heard::Events { events, .. } => {
                let last = events.iter().filter_map(|event| event.kv.as_ref());
                let last = last.map(|kv| kv.mod_revision).max();
                self.next = last.map_or(self.next, |last| last + 1);
            }
            Heard::Progress(revision) => self.next = self.next.max(revision + 1),
            Heard::Compacted(revision) => self.next = *revision,
            Heard::Created { .. } | Heard::Disconnected => {}
        }
        self.subscription.heard.push(heard);
    }
}

impl World {
    /// A subscriber looks for news, or for a member that has some.
    pub(super) fn subscribe(&mut self, number: usize) -> Judged {
        let (now, calm) = (self.now, !self.troubled);
        let mood = self.rng.u8(0..100);
        match self.subscribers[number].connection {
            Some((id, life)) if self.hosts.get(&id).is_some_and(|host| host.life == life) => {
                if mood == 0 && !calm {
                    self.disconnect(number);
                } else if self.hosts[&id].paused_until <= now {
                    self.take_news(number, id, mood);
                }
            }
            Some(_) => {
                self.subscribers[number].connection = None;
                self.subscribers[number].hear(Heard::Disconnected);
            }
            None => self.connect(number),
        }
        let next = match mood {
            // It reads nothing for a while.
            95.. if !calm => self.draw(100, 4_000),
            _ => self.draw_around(Duration::from_millis(40)),
        };
        self.plan_at(next, Event::Subscriber(number));
        Ok(())
    }

    fn connect(&mut self, number: usize) {
        let ids: Vec<u64> = self.hosts.keys().copied().collect();
        let id = ids[self.rng.usize(0..ids.len())];
        let create = self.subscribers[number].create();
        let serving = self.hosts.get(&id).filter(|host| host.is_serving());
        let Some(life) = serving.map(|host| host.life) else {
            return;
        };
        if let Some(process) = self.running(id) {
            process.watching.open(number, create);
            self.subscribers[number].connection = Some((id, life));
        }
    }

    fn disconnect(&mut self, number: usize) {
        if let Some((id, _)) = self.subscribers[number].connection.take() {
            if let Some(process) = self.running(id) {
                process.watching.close(number);
            }
            self.subscribers[number].hear(Heard::Disconnected);
        }
    }

    fn take_news(&mut self, number: usize, id: u64, mood: u8) {
        let mut news = Vec::new();
        if let Some(process) = self.running(id) {
            process.watching.catch_up();
            if mood > 85 {
                process.watching.progress_tick(number);
            }
            let polled = std::iter::from_fn(|| process.watching.poll(number));
            news.extend(polled.take(3));
        }
        for heard in news {
            self.trace.note(self.now, [13, number as u64, id], || {
                format!("subscriber {number} hears from {id}: {heard:?}")
            });
            let lost = matches!(heard, Heard::Compacted(_));
            let subscriber = &mut self.subscribers[number];
            subscriber.hear(heard);
            if lost {
                self.disconnect(number);
                return;
            }
        }
    }

    /// Whether every subscriber is connected and has heard everything.
    pub(super) fn all_have_heard(&mut self) -> bool {
        let last = self.truth.timeline.last();
        self.subscribers
            .iter()
            .all(|subscriber| subscriber.connection.is_some() && subscriber.next > last)
    }

    pub(super) fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscribers.iter().map(|s| {
            debug_assert_eq!(s.number.to_string(), s.subscription.name);
            &s.subscription
        })
    }
}
