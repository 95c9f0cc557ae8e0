//! A member that has lost its log, or part of it, and heals from the others under its own identity.
//!
//! Such a member S has forgotten two things that raft never lets a member forget: in which terms it voted, and which
//! entries it acknowledged. It begins a new log, and is *suspect* until it can no longer do harm. Before a core of it
//! starts, whoever starts it has asked all other voters, after S's last run had ended, and knows
//!
//! - D, which is S and all voters that are as S is: they have said that they have no log, that nothing of them runs, and
//!   that they wait for such answers themselves. They have no term to tell. The voters outside of D are a majority.
//! - `floor`, the highest term of all the voters outside of D, who were asked after the last of D had said so. The new log
//!   begins with that term, and with S's vote in it cast for S itself, so S votes and acknowledges in no term below, and
//!   votes for nobody in this one.
//! - `until`, the last index of a leader L of some term T, after a majority without S has confirmed L.
//!
//! A suspect member grants no votes, hears of no election, and does not campaign. It takes entries and copies of the state,
//! and says truthfully what it has on disk again. When it has applied everything up to `until`, it is like any other.
//!
//! # Why this is safe
//!
//! *Votes.* Say that S has voted for X in a term t above `floor`, and has forgotten it. It may vote in t again, and that
//! does harm if X wins t with the forgotten vote. X was in t, durably, before it asked for that vote. So it is not one of
//! those who have told their terms: a candidate with S's vote may be outside of any quorum, and win later, which is why
//! *all* voters are asked that have a term to tell. So X is of D. The run in which it was a candidate was over when it said
//! that it waits. Had it won t by then, then with the votes of a majority, which meets the voters outside of D: one of
//! these was in t before X's run ended, and told its term after that. Hence the order of the questions: a term that is told
//! before X's run has ended may be from before the vote for X. Had it not won t by then, it does not win it later with S's
//! vote. This relies on how messages travel: within a connection between two processes, and not before a core at the called
//! end has welcomed the caller (`peer/link.rs` of the server). S's process was gone when X was asked, and X's next core
//! began later; there never was a connection between the two.
//!
//! A term that is told by somebody who has forgotten a vote too, and has begun again since, is as good as any: by the same
//! argument, one healing after the other, whoever wins a term with a forgotten vote wins one that is not above the `floor`
//! of who has forgotten it.
//!
//! A term in which S itself was a candidate may be above `floor` if no voter outside of D has heard of it. S did not win it
//! then; and should such a request still be on its way and be granted to the new S, then S as a candidate of the same term
//! has a log that is no older than what the request said, see below.
//!
//! *Members that were removed* are not asked, and X may be one. Let C0 be the configuration by which it campaigns, and M
//! the majority of C0 that it wins t with. Configurations change by one voter at a time, and majorities of neighbours meet.
//! If L's configuration is C0 or its neighbour, M meets the voters outside of D: so some Z of M was asked. Else two changes
//! at least lie between them. The first one makes C1 of C0; the second one was acknowledged by a majority of C1, so by some
//! m of M. If m did that after its vote for X, whoever counted it led a term of at least t, and L knows that it is
//! committed, by messages of no lower term: so L told a term of at least t. If m did it before its vote, then X had the
//! second change in its log when it campaigned. But no leader proposes that before it has applied the first one, so the
//! append that brought it brought a commit index beyond the first one, too, and both are on disk in one batch
//! (`core/ready.rs`). raft-rs does not campaign while a change that is known to be committed is not applied (`hup`). So X
//! would have campaigned by C1.
//!
//! Z could still vote for X after it has told its term. So it also tells how many removals it knows of, and counts only
//! when it knows of all that L knows of: from then on it does not hear X.
//!
//! *Entries.* Let e be an entry that is committed, now or later, by a majority C of which some have forgotten that they
//! acknowledged it. Whoever is elected later has a majority E, and some m of C is in E. Who has forgotten something does
//! not vote before it is healed, so either m has forgotten nothing, or it has e again, see below; and the new leader has e.
//! That holds as long as S stays out of elections: with three members, of which one is down and one behind, nobody is
//! elected, which is the right answer.
//!
//! *The end.* Entries that S acknowledged in a term above T were acknowledged to a leader whom a majority had elected
//! before the question, and the majority that confirmed L without S has a member of that one, whose term was above T, or
//! whose `floor` was if it has forgotten its vote: it would not have confirmed L. Entries of T are in L's log. Entries of
//! earlier terms that are committed are in L's log too. So every e is at or below `until` or is never committed. Leaders
//! after L have all such entries, by the argument above. When S has applied everything up to `until`, it has them, and what
//! else it has in its log is what a leader told it since: it has forgotten nothing that counts.
//!
//! *Acknowledgements while suspect.* These are made in terms from `floor` on, about entries that are on S's disk, so they
//! contradict nothing that S forgot. An entry that is committed by them has a majority, and elections go by majorities
//! without S as above.
//!
//! *The leader's book-keeping.* A leader believes that S still has what it acknowledged, and would never send it again. It
//! is told by [`Input::LogLost`](crate::Input::LogLost) and starts over with S. If an old acknowledgement arrives behind
//! that, the leader believes again what is true no more; that can commit e with C as above, and does no other harm, and S
//! tells the leader again.
//!
//! # What makes no member suspect
//!
//! A leader's log may contradict what was committed here ([`Contradiction`](crate::Contradiction)). Then a member M stops,
//! and is not suspect. For its own log is whole: M has forgotten no vote and no entry, so whatever it says in an election
//! is as true as before, and the first half of this page has nothing to keep it from. Who has forgotten something are
//! others. The entry was committed by a majority, each leader is elected by one, and whoever is in both had the entry and
//! elected a leader without it; a disk that was put back to an old copy does that, and its owner notices nothing.
//! Everything above rests on the others having lost nothing. If M healed from them, it would put aside what may be the last
//! copy of an acknowledged entry, and look sound. A person must say which log is right, and the one that is wrong is
//! removed and added again.

use super::Core;
use crate::{LogIndex, MemberId, PeerBody, Severity};

impl Core {
    /// Whether the member is suspect: it does not vote and does not campaign.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.suspect_until.is_some()
    }

    /// What a suspect member does not hear: it must not vote, and a term that it does not learn of harms nobody. A leader
    /// that counts on the log of before may commit what is not here any more; that is no reason to complain of it.
    pub(super) fn is_deaf_to(&self, body: &PeerBody) -> bool {
        if !self.is_suspect() {
            return false;
        }
        match body {
            PeerBody::Vote { .. } | PeerBody::VoteAnswer { .. } | PeerBody::TimeoutNow => {
                !ferrod_env::planted("suspect votes")
            }
            PeerBody::Heartbeat { commit, .. } => *commit > self.last_index(),
            _ => false,
        }
    }

    /// Ends the suspicion if enough is applied.
    pub(super) fn trust_at(&mut self, applied: LogIndex) {
        if self
            .suspect_until
            .take_if(|until| *until <= applied)
            .is_some()
        {
            self.log(
                Severity::Info,
                &format!("healed: everything up to index {applied} is applied again"),
            );
        }
    }

    /// Another leader was confirmed, whose log may be shorter: an entry that it does not have was never committed.
    pub(super) fn trust_from(&mut self, index: LogIndex) {
        if let Some(until) = &mut self.suspect_until {
            *until = index.min(*until);
        }
        self.trust_at(self.applied());
    }

    /// As a leader, starts over with a member that has lost its log.
    pub(super) fn log_lost(&mut self, member: MemberId, last: LogIndex) {
        if !self.leads() || member == self.config.member {
            return;
        }
        let Some(progress) = self.raft.raft.mut_prs().get_mut(member.0) else {
            return;
        };
        if progress.matched <= last.0 {
            return;
        }
        let believed = progress.matched;
        progress.matched = 0;
        progress.committed_index = 0;
        // Else a copy that was on its way to the lost log would count as received.
        progress.snapshot_failure();
        progress.become_probe();
        self.log(
            Severity::Warning,
            &format!(
                "{member} has lost its log, which went up to {believed} and ends at {last} now"
            ),
        );
        self.raft.raft.send_append(member.0);
    }
}
