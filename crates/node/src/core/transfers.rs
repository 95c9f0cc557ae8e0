//! Copies of the state on their way to members that are too far behind, as the leader sees them.
//!
//! One at a time for each member: asked for, offered, being sent, caught up from. Each phase ends
//! by an answer that the transport owes, so that a copy is neither forgotten nor asked for twice.

use std::collections::BTreeMap;

use crate::{LogIndex, MemberId, StateMeta};

/// Where each member's copy is.
#[derive(Default)]
pub(super) struct Transfers {
    phases: BTreeMap<MemberId, Phase>,
}

/// How far a copy has got.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// The transport prepares it.
    Asked,
    /// It waits for raft-rs to ask again; ticks so far.
    Offered { state: StateMeta, ticks: u32 },
    /// It is on its way, up to this index.
    Sending(LogIndex),
    /// It has arrived; what follows its index comes from the log.
    Following(LogIndex),
}

impl Transfers {
    /// A member needs a copy. Whether the transport has to be asked for one.
    pub(super) fn ask(&mut self, to: MemberId) -> bool {
        match self.phases.get(&to) {
            None | Some(Phase::Following(_)) => {
                self.phases.insert(to, Phase::Asked);
                true
            }
            Some(Phase::Asked | Phase::Offered { .. } | Phase::Sending(_)) => false,
        }
    }

    /// The transport has a copy, or none. Whether it was asked and has one.
    pub(super) fn offered(&mut self, to: MemberId, state: Option<StateMeta>) -> bool {
        if self.phases.get(&to) != Some(&Phase::Asked) {
            return false;
        }
        match state {
            Some(state) => {
                self.phases.insert(to, Phase::Offered { state, ticks: 0 });
                true
            }
            None => {
                self.phases.remove(&to);
                false
            }
        }
    }

    /// Forgets a copy that was offered and cannot be sent. Whether there was one.
    pub(super) fn drop_offer(&mut self, to: MemberId) -> bool {
        let offered = self.offer(to).is_some();
        if offered {
            self.phases.remove(&to);
        }
        offered
    }

    /// The copy that can be sent to a member.
    pub(super) fn offer(&self, to: MemberId) -> Option<&StateMeta> {
        match self.phases.get(&to) {
            Some(Phase::Offered { state, .. }) => Some(state),
            _ => None,
        }
    }

    /// The copy that was offered leaves.
    pub(super) fn sending(&mut self, to: MemberId, index: LogIndex) {
        self.phases.insert(to, Phase::Sending(index));
    }

    /// A copy has arrived, or never will. Whether it is the one that was being sent.
    pub(super) fn sent(&mut self, to: MemberId, index: LogIndex, arrived: bool) -> bool {
        if self.phases.get(&to) != Some(&Phase::Sending(index)) {
            return false;
        }
        if arrived {
            self.phases.insert(to, Phase::Following(index));
        } else {
            self.phases.remove(&to);
        }
        true
    }

    /// Lets time pass; returns whose copies were offered and then not asked for in `ticks_max`.
    pub(super) fn tick(&mut self, ticks_max: u32) -> Vec<MemberId> {
        let mut stale = Vec::new();
        self.phases.retain(|to, phase| {
            let Phase::Offered { ticks, .. } = phase else {
                return true;
            };
            *ticks += 1;
            let keep = *ticks <= ticks_max;
            if !keep {
                stale.push(*to);
            }
            keep
        });
        stale
    }

    /// Forgets members that nothing will be sent to any more: all if this one leads no more, or
    /// those that were removed or have what they need. Returns whose copies must be withdrawn. What
    /// is being sent is left alone, for the transport will say how it ended.
    pub(super) fn retain(
        &mut self,
        wanted: impl Fn(MemberId, Option<LogIndex>) -> bool,
    ) -> Vec<MemberId> {
        let mut withdrawn = Vec::new();
        self.phases.retain(|to, phase| match phase {
            Phase::Asked | Phase::Offered { .. } => {
                let keep = wanted(*to, None);
                if !keep {
                    withdrawn.push(*to);
                }
                keep
            }
            Phase::Sending(_) => true,
            Phase::Following(index) => wanted(*to, Some(*index)),
        });
        withdrawn
    }

    /// Whether there is nothing to look after.
    pub(super) fn is_empty(&self) -> bool {
        self.phases.is_empty()
    }

    /// The lowest index that some member's copy goes up to: what follows it is still needed.
    pub(super) fn lowest(&self) -> Option<LogIndex> {
        let indexes = self.phases.values().filter_map(|phase| match phase {
            Phase::Asked => None,
            Phase::Offered { state, .. } => Some(state.index),
            Phase::Sending(index) | Phase::Following(index) => Some(*index),
        });
        indexes.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfState, Term};

    const PEER: MemberId = MemberId(2);

    fn state(index: u64) -> StateMeta {
        StateMeta {
            index: LogIndex(index),
            term: Term(1),
            conf: ConfState::default(),
        }
    }

    #[test]
    fn each_copy_is_asked_for_once_until_it_has_ended() {
        let mut transfers = Transfers::default();
        assert!(transfers.ask(PEER) && !transfers.ask(PEER));
        assert!(transfers.offered(PEER, Some(state(7))));
        assert!(!transfers.offered(PEER, Some(state(8))), "nobody asked");
        assert_eq!(transfers.lowest(), Some(LogIndex(7)));
        transfers.sending(PEER, LogIndex(7));
        assert!(!transfers.ask(PEER));
        assert!(!transfers.sent(PEER, LogIndex(6), true), "an older one");
        assert!(transfers.sent(PEER, LogIndex(7), false));
        assert!(transfers.is_empty() && transfers.ask(PEER));
        assert!(!transfers.offered(PEER, None));
        assert!(transfers.ask(PEER));
    }

    #[test]
    fn an_offer_that_nobody_takes_up_is_withdrawn() {
        let mut transfers = Transfers::default();
        transfers.ask(PEER);
        assert!(transfers.tick(0).is_empty());
        transfers.offered(PEER, Some(state(7)));
        assert!(transfers.tick(1).is_empty());
        assert_eq!(transfers.tick(1), [PEER]);
        assert!(transfers.is_empty());
    }

    #[test]
    fn what_is_being_sent_ends_by_the_transports_word_only() {
        let mut transfers = Transfers::default();
        for member in [2, 3, 4].map(MemberId) {
            transfers.ask(member);
        }
        transfers.offered(PEER, Some(state(7)));
        transfers.sending(PEER, LogIndex(7));
        transfers.offered(MemberId(3), Some(state(9)));
        assert_eq!(transfers.retain(|_, _| false), [MemberId(3), MemberId(4)]);
        assert!(!transfers.is_empty());
        assert!(transfers.sent(PEER, LogIndex(7), true));
        assert_eq!(transfers.lowest(), Some(LogIndex(7)));
        assert!(transfers.retain(|_, _| false).is_empty() && transfers.is_empty());
    }
}
