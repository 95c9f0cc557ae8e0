//! When whoever sends messages may send more: the tickets that came with them are torn up once the messages take no
//! memory here any more.

use std::collections::VecDeque;

use super::Ticket;

/// Tickets of what was received and still takes memory.
#[derive(Default)]
pub(super) struct Tickets {
    /// Of this step, with or without entries.
    new: Vec<(Ticket, bool)>,
    /// Of entries on their way to the disk: dropped when so many writes are done.
    writing: VecDeque<(u64, Ticket)>,
}

impl Tickets {
    /// The ticket of messages that the core is about to take.
    pub(super) fn add(&mut self, ticket: Ticket, entries: bool) {
        self.new.push((ticket, entries));
    }

    /// The core has taken them; of the writes that this led to, `done` of `begun` are done.
    pub(super) fn taken(&mut self, done: u64, begun: u64) {
        for (ticket, entries) in self.new.drain(..) {
            if entries && done < begun {
                self.writing.push_back((begun, ticket));
            }
        }
    }

    /// So many writes are done.
    pub(super) fn written(&mut self, done: u64) {
        while self.writing.front().is_some_and(|(due, _)| *due <= done) {
            self.writing.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// covers: P-10
    #[test]
    fn entries_keep_their_ticket_until_they_are_written() {
        let mut tickets = Tickets::default();
        let [entries, later, vote] = [(); 3].map(Arc::new);
        let held = |ticket: &Arc<()>| Arc::strong_count(ticket) > 1;
        tickets.add(Box::new(entries.clone()), true);
        tickets.add(Box::new(vote.clone()), false);
        assert!(held(&entries) && held(&vote));
        tickets.taken(3, 5);
        assert!(held(&entries) && !held(&vote));
        tickets.add(Box::new(later.clone()), true);
        tickets.taken(3, 6);
        tickets.written(4);
        assert!(held(&entries));
        tickets.written(5);
        assert!(!held(&entries) && held(&later));
        tickets.written(6);
        assert!(!held(&later));
        tickets.add(Box::new(later.clone()), true);
        tickets.taken(6, 6);
        assert!(!held(&later), "nothing had to be written");
    }
}
