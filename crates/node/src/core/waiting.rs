//! Proposals that wait for a leader: an election is short, and a proposer who is refused would only
//! ask again.
//!
//! Bounded in bytes and in time. What leaves unproposed is refused, which is a definite answer: it
//! never was in any log.

use std::collections::VecDeque;

use crate::Proposal;

/// What a proposal costs besides its payload.
const PROPOSAL_OVERHEAD_BYTES: u64 = 128;

/// Proposals that wait, in their order.
#[derive(Default)]
pub(super) struct Waiting {
    queue: VecDeque<(Proposal, u64)>,
    bytes: u64,
    ticks: u64,
}

impl Waiting {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Lets proposals wait as long as all together cost at most `bytes_max`; returns the rest.
    pub(super) fn add(&mut self, proposals: Vec<Proposal>, bytes_max: u64) -> Vec<Proposal> {
        let mut refused = Vec::new();
        for proposal in proposals {
            let bytes = cost(&proposal);
            if self.bytes + bytes > bytes_max {
                refused.push(proposal);
            } else {
                self.bytes += bytes;
                self.queue.push_back((proposal, self.ticks));
            }
        }
        refused
    }

    /// Lets time pass; returns the proposals that have waited for `ticks_max`.
    pub(super) fn tick(&mut self, ticks_max: u32) -> Vec<Proposal> {
        self.ticks += 1;
        let mut expired = Vec::new();
        while let Some((_, since)) = self.queue.front()
            && self.ticks - since >= u64::from(ticks_max)
        {
            expired.extend(self.pop());
        }
        expired
    }

    /// Takes the first proposals, at least one if there is one, up to `bytes_max`.
    pub(super) fn take(&mut self, bytes_max: u64) -> Vec<Proposal> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some((proposal, _)) = self.queue.front() {
            bytes += cost(proposal);
            if bytes > bytes_max && !taken.is_empty() {
                break;
            }
            taken.extend(self.pop());
        }
        taken
    }

    fn pop(&mut self) -> Option<Proposal> {
        let (proposal, _) = self.queue.pop_front()?;
        self.bytes -= cost(&proposal);
        Some(proposal)
    }
}

fn cost(proposal: &Proposal) -> u64 {
    proposal.payload.len() as u64 + PROPOSAL_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProposalId;

    fn proposals(ids: std::ops::Range<u64>) -> Vec<Proposal> {
        let proposal = |id| Proposal::normal(ProposalId(id), vec![0; 72].into());
        ids.map(proposal).collect()
    }

    fn ids(proposals: &[Proposal]) -> Vec<u64> {
        proposals.iter().map(|proposal| proposal.id.0).collect()
    }

    #[test]
    fn waiting_is_bounded_in_bytes_and_time() {
        let mut waiting = Waiting::default();
        assert_eq!(ids(&waiting.add(proposals(1..5), 600)), [4]);
        assert!(waiting.tick(2).is_empty());
        assert_eq!(ids(&waiting.take(200)), [1]);
        assert!(waiting.add(proposals(5..6), 600).is_empty());
        assert_eq!(ids(&waiting.tick(2)), [2, 3]);
        assert_eq!(ids(&waiting.take(0)), [5], "at least one");
        assert!(waiting.is_empty() && waiting.bytes == 0);
    }
}
