//! What a member has promised by what it said, whatever became of its disk since.

use std::collections::BTreeMap;

use ferrod_node::{PeerBody, PeerMessage};

use crate::check::Violation;

/// Promises of all members.
///
/// One who loses its disk and heals must go on as if it remembered them.
#[derive(Default)]
pub(super) struct Promises {
    /// Who got a member's vote in a term.
    votes: BTreeMap<(u64, u64), u64>,
    /// The highest term in which a member has voted, or answered a leader.
    terms: BTreeMap<u64, u64>,
}

impl Promises {
    /// A start remembers the terms of all promises, and who has its vote in the term that it starts in; 0 is nobody. Who has
    /// lost its log keeps its vote in that term to itself, for it cannot know.
    pub(super) fn started(&self, member: u64, term: u64, vote: u64) -> Result<(), Violation> {
        if let Some(highest) = self.terms.get(&member)
            && term < *highest
        {
            let text = format!("{member} has spoken in term {highest}, and starts in {term}");
            return Err(Violation::new("P-M-02", text));
        }
        if let Some(voted) = self.votes.get(&(member, term))
            && vote != *voted
            && vote != member
        {
            let text = format!(
                "{member} has voted for {voted} in term {term}, and starts with a vote for {vote}"
            );
            return Err(Violation::new("P-M-02", text));
        }
        Ok(())
    }

    /// One vote in a term, and no answer in an earlier one; none at all of a suspect member, which does not campaign either.
    pub(super) fn sent(&mut self, message: &PeerMessage, suspect: bool) -> Result<(), Violation> {
        let (from, to, term) = (message.from.0, message.to.0, message.term.0);
        let elects = matches!(
            message.body,
            PeerBody::Vote { .. } | PeerBody::VoteAnswer { granted: true, .. }
        );
        if suspect && elects {
            let text = format!("{from} is suspect and says {message:?}");
            return Err(Violation::new("P-M-05", text));
        }
        match message.body {
            PeerBody::VoteAnswer {
                pre: false,
                granted: true,
                ..
            } => {
                let voted = *self.votes.entry((from, term)).or_insert(to);
                if voted != to {
                    let text = format!("{from} votes in term {term} for {voted} and for {to}");
                    return Err(Violation::new("P-M-02", text));
                }
            }
            PeerBody::Accepted { .. }
            | PeerBody::Rejected { .. }
            | PeerBody::HeartbeatAnswer { .. } => {}
            _ => return Ok(()),
        }
        let highest = self.terms.entry(from).or_insert(term);
        if term < *highest {
            let text = format!("{from} has spoken in term {highest}, and then says {message:?}");
            return Err(Violation::new("P-M-02", text));
        }
        *highest = term;
        Ok(())
    }
}
