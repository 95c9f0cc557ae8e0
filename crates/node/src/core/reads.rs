//! Linearizable reads: one round to the quorum for every read that waits.
//!
//! raft-rs merges requests of equal context and forgets requests silently, so a context is used
//! once: member, boot nonce, counter. A round that hears nothing asks again under a new context;
//! answers to its older ones still count. Leader or term changed since asking: the round fails, for
//! the answer may come from a leader that is none any more.

use bytes::Bytes;

use crate::{MemberId, ReadId, Term};

/// Who was asked: an answer counts only while this is still so.
pub(super) type Leadership = (Term, MemberId);

/// Reads that wait, and the round under way.
pub(super) struct Reads {
    member: MemberId,
    nonce: u64,
    counter: u64,
    retry_ticks: u32,
    waiting: Vec<ReadId>,
    round: Option<Round>,
}

struct Round {
    reads: Vec<ReadId>,
    /// Counter of the first context; every later one belongs to this round as well.
    first: u64,
    asked: Leadership,
    ticks: u32,
}

impl Reads {
    pub(super) fn new(member: MemberId, nonce: u64, retry_ticks: u32) -> Reads {
        Reads {
            member,
            nonce,
            counter: 0,
            retry_ticks: retry_ticks.max(1),
            waiting: Vec::new(),
            round: None,
        }
    }

    /// Joins the next round.
    pub(super) fn add(&mut self, read: ReadId) {
        self.waiting.push(read);
    }

    /// Starts a round if reads wait and none is under way; returns its context.
    pub(super) fn start(&mut self, leadership: Leadership) -> Option<Bytes> {
        if self.round.is_some() || self.waiting.is_empty() {
            return None;
        }
        let reads = std::mem::take(&mut self.waiting);
        let context = self.next_context();
        self.round = Some(Round {
            reads,
            first: self.counter,
            asked: leadership,
            ticks: 0,
        });
        Some(context)
    }

    /// Lets time pass; returns a new context if the round has to ask again.
    pub(super) fn tick(&mut self) -> Option<Bytes> {
        let round = self.round.as_mut()?;
        round.ticks += 1;
        if round.ticks < self.retry_ticks {
            return None;
        }
        round.ticks = 0;
        Some(self.next_context())
    }

    /// Ends the round if the answer is to one of its contexts; returns the reads it answers.
    pub(super) fn answered(
        &mut self,
        context: &[u8],
        leadership: Leadership,
    ) -> Option<Vec<ReadId>> {
        let number = self.number_of(context)?;
        let reused = ferrod_env::planted("read index reused");
        let round = self
            .round
            .take_if(|round| (number >= round.first || reused) && round.asked == leadership)?;
        Some(round.reads)
    }

    /// Ends the round if it asked someone else; returns the reads that fail.
    pub(super) fn leadership_is(&mut self, leadership: Leadership) -> Option<Vec<ReadId>> {
        let round = self.round.take_if(|round| round.asked != leadership)?;
        Some(round.reads)
    }

    /// Gives up; returns every read that is left.
    pub(super) fn fail_all(&mut self) -> Vec<ReadId> {
        let mut reads = self
            .round
            .take()
            .map(|round| round.reads)
            .unwrap_or_default();
        reads.append(&mut self.waiting);
        reads
    }

    fn next_context(&mut self) -> Bytes {
        self.counter += 1;
        [self.member.0, self.nonce, self.counter]
            .map(u64::to_be_bytes)
            .concat()
            .into()
    }

    /// The counter in a context of this member and this boot.
    fn number_of(&self, context: &[u8]) -> Option<u64> {
        let words: &[[u8; 8]; 3] = context.as_chunks().0.try_into().ok()?;
        let [member, nonce, counter] = words.map(u64::from_be_bytes);
        let ours = context.len() == 24 && member == self.member.0 && nonce == self.nonce;
        (ours && counter <= self.counter).then_some(counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: Leadership = (Term(3), MemberId(2));

    fn reads() -> Reads {
        let mut reads = Reads::new(MemberId(1), 9, 2);
        reads.add(ReadId(1));
        reads.add(ReadId(2));
        reads
    }

    #[test]
    fn one_round_serves_all_that_wait() {
        let mut reads = reads();
        let context = reads.start(LEADER).unwrap();
        reads.add(ReadId(3));
        assert_eq!(reads.start(LEADER), None);
        assert_eq!(
            reads.answered(&context, LEADER),
            Some(vec![ReadId(1), ReadId(2)])
        );
        assert_eq!(reads.answered(&context, LEADER), None);
        let second = reads.start(LEADER).unwrap();
        assert_ne!(context, second);
        assert_eq!(
            reads.answered(&context, LEADER),
            None,
            "an answer to an older round"
        );
        assert_eq!(reads.answered(&second, LEADER), Some(vec![ReadId(3)]));
    }

    ///
    #[test]
    fn a_retry_takes_a_new_context_and_the_old_one_still_counts() {
        let mut reads = reads();
        let first = reads.start(LEADER).unwrap();
        assert_eq!(reads.tick(), None);
        let second = reads.tick().unwrap();
        assert_ne!(first, second);
        assert_eq!(reads.answered(&first, LEADER).unwrap().len(), 2);
    }

    ///
    #[test]
    fn foreign_and_late_answers_do_not_count() {
        let mut reads = reads();
        let context = reads.start(LEADER).unwrap();
        let mut other_boot = Reads::new(MemberId(1), 8, 2);
        other_boot.add(ReadId(1));
        assert_eq!(
            reads.answered(&other_boot.start(LEADER).unwrap(), LEADER),
            None
        );
        assert_eq!(reads.answered(&context[..23], LEADER), None);
        assert_eq!(reads.answered(&context, (Term(4), MemberId(2))), None);
        assert_eq!(reads.leadership_is(LEADER), None);
        assert_eq!(
            reads
                .leadership_is((Term(3), MemberId::NONE))
                .unwrap()
                .len(),
            2
        );
    }
}
