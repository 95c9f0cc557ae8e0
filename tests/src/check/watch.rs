//! What a subscription must have heard.

use ferrod_proto::mvccpb::{Event, event::EventType};

use super::timeline::contains;
use super::{Change, Timeline, Violation};

/// What one subscription asked for and was told, across all its connections.
#[derive(Debug, Clone, Default)]
pub struct Subscription {
    /// Its name in reports.
    pub name: String,
    /// The range, as requests have it.
    pub key: bytes::Bytes,
    /// The range's end, as requests have it.
    pub range_end: bytes::Bytes,
    /// No puts.
    pub no_put: bool,
    /// No deletes.
    pub no_delete: bool,
    /// Each event with the row that it replaced.
    pub prev_kv: bool,
    /// What came, in order.
    pub heard: Vec<Heard>,
}

/// One message to a subscriber, or the end of a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A member began to watch, from the revision asked for (0: from now on); the header's revision.
    Created {
        /// The first revision wanted.
        start: i64,
        /// The member's revision.
        revision: i64,
    },
    /// Events; the header's revision.
    Events {
        /// The member's revision.
        revision: i64,
        /// In their order.
        events: Vec<Event>,
    },
    /// Everything up to this revision has been sent.
    Progress(i64),
    /// The next revision wanted is gone; this is the first that is not.
    Compacted(i64),
    /// The connection broke.
    Disconnected,
}

/// Where a subscription stands.
struct Cursor<'a> {
    timeline: &'a Timeline,
    subscription: &'a Subscription,
    /// The first revision of which nothing was heard yet; unset before the first creation.
    next: Option<i64>,
    connected: bool,
    progress: i64,
    events: usize,
}

/// Judges one subscription; returns how many events it heard. With `complete`, it must have heard everything.
///
/// # Errors
/// The first promise that was broken: P-W-01 to P-W-09.
pub fn check(
    timeline: &Timeline,
    subscription: &Subscription,
    complete: bool,
) -> Result<usize, Violation> {
    let mut cursor = Cursor {
        timeline,
        subscription,
        next: None,
        connected: false,
        progress: 0,
        events: 0,
    };
    for heard in &subscription.heard {
        cursor.hear(heard)?;
    }
    if complete && cursor.connected {
        cursor.nothing_up_to(timeline.last(), "P-W-03", "the end")?;
    }
    Ok(cursor.events)
}

impl Cursor<'_> {
    fn hear(&mut self, heard: &Heard) -> Result<(), Violation> {
        match heard {
            Heard::Created { start, revision } => self.created(*start, *revision),
            Heard::Events { revision, events } => self.heard_events(*revision, events),
            Heard::Progress(revision) => self.heard_progress(*revision),
            Heard::Compacted(revision) => self.compacted(*revision),
            Heard::Disconnected => {
                self.connected = false;
                Ok(())
            }
        }
    }

    fn created(&mut self, start: i64, revision: i64) -> Result<(), Violation> {
        self.connected = true;
        self.progress = 0;
        if start == 0 {
            self.next = Some(revision + 1);
        } else if self.next.is_none_or(|next| next < start) {
            // The subscriber gave up what lies between, or begins here.
            self.next = Some(start);
        } else if self.next != Some(start) {
            return Err(self.broken("P-W-05", &format!("asked again from {start}")));
        }
        Ok(())
    }

    fn heard_events(&mut self, revision: i64, events: &[Event]) -> Result<(), Violation> {
        let last = events.iter().filter_map(mod_revision).max();
        let (Some(last), Some(next)) = (last, self.next) else {
            return Err(self.broken("P-W-01", "events of nothing, or before the creation"));
        };
        if last > revision {
            let text = format!("events of {last} under a header of {revision}");
            return Err(self.broken("P-W-01", &text));
        }
        let expected: Vec<Event> = (next..=last).flat_map(|at| self.events_of(at)).collect();
        if !same(&expected, events) {
            let text = format!("from {next} to {last} there are {expected:?}, but {events:?} came");
            return Err(self.broken("P-W-03", &text));
        }
        self.events += events.len();
        self.next = Some(last + 1);
        Ok(())
    }

    fn heard_progress(&mut self, revision: i64) -> Result<(), Violation> {
        if revision < self.progress {
            let text = format!("progress went back from {} to {revision}", self.progress);
            return Err(self.broken("P-W-06", &text));
        }
        if self.next.is_some_and(|next| revision + 1 < next) {
            let text = format!("progress at {revision}, which was not asked for");
            return Err(self.broken("P-W-07", &text));
        }
        self.progress = revision;
        self.nothing_up_to(revision, "P-W-06", "progress")?;
        self.next = self.next.max(Some(revision + 1));
        Ok(())
    }

    fn compacted(&mut self, revision: i64) -> Result<(), Violation> {
        if self.next.is_none_or(|next| next >= revision) {
            let text = format!("was told that {revision} is the first kept");
            return Err(self.broken("P-W-08", &text));
        }
        self.connected = false;
        // The subscriber goes on from what is kept.
        self.next = Some(revision);
        Ok(())
    }

    fn nothing_up_to(
        &self,
        revision: i64,
        promise: &'static str,
        when: &str,
    ) -> Result<(), Violation> {
        let next = self.next.unwrap_or(1);
        match (next..=revision).find(|at| !self.events_of(*at).is_empty()) {
            None => Ok(()),
            Some(missing) => {
                let text = format!(
                    "{when} at {revision}, but revision {missing} never came: {:?}",
                    self.timeline.changes(missing)
                );
                Err(self.broken(promise, &text))
            }
        }
    }

    /// What a revision means for this subscription.
    fn events_of(&self, revision: i64) -> Vec<Event> {
        let wanted = self.timeline.changes(revision).iter().filter(|change| {
            let filtered = match change.row {
                Some(_) => self.subscription.no_put,
                None => self.subscription.no_delete,
            };
            !filtered
                && contains(
                    &change.key,
                    &self.subscription.key,
                    &self.subscription.range_end,
                )
        });
        wanted.map(|change| self.event(revision, change)).collect()
    }

    fn event(&self, revision: i64, change: &Change) -> Event {
        let before = self.timeline.get(&change.key, revision - 1);
        let is_create = change.row.as_ref().is_some_and(|row| row.version == 1);
        let deleted = || ferrod_proto::mvccpb::KeyValue {
            key: change.key.clone(),
            mod_revision: revision,
            ..Default::default()
        };
        Event {
            r#type: match change.row {
                Some(_) => EventType::Put.into(),
                None => EventType::Delete.into(),
            },
            kv: Some(change.row.clone().unwrap_or_else(deleted)),
            prev_kv: before
                .filter(|_| self.subscription.prev_kv && !is_create)
                .cloned(),
        }
    }

    fn broken(&self, promise: &'static str, text: &str) -> Violation {
        Violation::new(promise, format!("watch {}: {text}", self.subscription.name))
    }
}

fn mod_revision(event: &Event) -> Option<i64> {
    event.kv.as_ref().map(|kv| kv.mod_revision)
}

/// Equal but for previous rows that a compaction took away.
fn same(expected: &[Event], heard: &[Event]) -> bool {
    expected.len() == heard.len()
        && expected.iter().zip(heard).all(|(expected, heard)| {
            expected.r#type == heard.r#type
                && expected.kv == heard.kv
                && (heard.prev_kv.is_none() || expected.prev_kv == heard.prev_kv)
        })
}

#[cfg(test)]
mod tests;
