//! How a member that may have forgotten something heals from the others.
//!
//! What the server asks over its peer connections is asked here by questions that are events of their own: each member
//! answers when the question reaches it, a leader once a majority has confirmed it, and one that waits for answers itself
//! says so. What the answers mean is judged by the production code.

use ferrod_node::{Confirmed, Healing, LogIndex, MemberId, Role, SoftState, Standing};

use super::{Event, Judged, World};
use crate::check::Violation;
use crate::sim::host::Consulting;

/// The bit that tells the read indexes of questions from those of calls.
pub(super) const QUESTION: u64 = 1 << 63;

/// What one member asks another one.
pub(super) struct Question {
    from: u64,
    from_life: u64,
    to: u64,
    to_life: u64,
    /// The round in which a member without a log asks.
    round: u64,
    /// Where the log of whoever asks ends.
    last: LogIndex,
    /// What the one that is asked was when it had itself confirmed.
    leads: Option<SoftState>,
    answer: Option<Said>,
}

/// What a member that was asked says of itself.
#[derive(Debug)]
enum Said {
    Standing(Standing),
    Waits,
}

impl World {
    /// A member that found damage begins again, if the others have told where; else it asks them.
    pub(super) fn consult(&mut self, id: u64) -> Judged {
        let Some(host) = self.hosts.get_mut(&id) else {
            return Ok(());
        };
        let told = std::mem::take(&mut host.consulting);
        match Healing::judge(MemberId(id), &told.waiting, &told.answers) {
            Ok(healing) => {
                let has_answered = |id: &MemberId| told.answers.iter().any(|s| s.member == *id);
                if told.waiting.iter().any(|id| !has_answered(id)) {
                    self.counts.healed_together += 1;
                }
                self.trace.note(self.now, [21, id, healing.until.0], || {
                    format!("{id} begins again: {healing:?}")
                });
                if let Some(host) = self.hosts.get_mut(&id) {
                    host.heal(healing);
                }
                self.restart(id)
            }
            Err(reason) => {
                host.consulting = Consulting {
                    round: told.round + 1,
                    waiting: told.also_waiting,
                    ..Consulting::default()
                };
                self.trace.note(self.now, [22, id, 0], || {
                    format!("{id} cannot heal yet: {reason}")
                });
                self.ask_all(id, LogIndex::ZERO);
                let at = self.draw(50, 1_000);
                self.plan_for(id, at, Event::Restart(id));
                Ok(())
            }
        }
    }

    /// A member that was suspect is healed; or it asks again, and with that says how far its log goes.
    ///
    /// Before that it must have applied again whatever it may have acknowledged.
    pub(super) fn look_after_suspect(&mut self, id: u64) -> Judged {
        let Some(host) = self.hosts.get_mut(&id) else {
            return Ok(());
        };
        let Some(process) = host.running.as_ref().filter(|_| host.healing.is_some()) else {
            return Ok(());
        };
        let status = process.executor.handle().status();
        if status.suspect {
            self.ask_all(id, status.last);
            return Ok(());
        }
        if process.applied < host.owes {
            let (applied, owes) = (process.applied, host.owes);
            let text = format!("{id} has healed at {applied} and may have acknowledged {owes}");
            return Err(Violation::new("D-02", text));
        }
        host.healing = None;
        self.counts.healed += 1;
        self.trace
            .note(self.now, [23, id, 0], || format!("{id} is healed"));
        Ok(())
    }

    fn ask_all(&mut self, from: u64, last: LogIndex) {
        let life = |world: &World, id: u64| world.hosts.get(&id).map_or(0, |host| host.life);
        let round = self.hosts.get(&from).map_or(0, |h| h.consulting.round);
        let others: Vec<u64> = self
            .hosts
            .keys()
            .copied()
            .filter(|id| *id != from)
            .collect();
        for to in others {
            let question = Question {
                from,
                from_life: life(self, from),
                to,
                to_life: life(self, to),
                round,
                last,
                leads: None,
                answer: None,
            };
            self.next_question += 1;
            let number = self.next_question | QUESTION;
            self.questions.insert(number, question);
            let at = self.draw(0, 20);
            self.plan_at(at, Event::Asked(number));
        }
    }

    /// Whether both ends of a question are as they were, and reach each other.
    fn is_open(&self, question: &Question) -> bool {
        let Question { from, to, .. } = *question;
        let lives = |id: u64, life: u64| self.hosts.get(&id).is_some_and(|h| h.life == life);
        let cut = self.network.is_cut(from, to) || self.network.is_cut(to, from);
        !cut && lives(from, question.from_life) && lives(to, question.to_life)
    }

    /// A question has arrived.
    pub(super) fn asked(&mut self, number: u64) -> Judged {
        let open = self.questions.remove(&number);
        let Some(mut question) = open.filter(|question| self.is_open(question)) else {
            return Ok(());
        };
        let (from, to, now) = (question.from, question.to, self.now);
        let paused_until = self.hosts[&to].paused_until;
        if paused_until > now {
            self.questions.insert(number, question);
            self.plan_at(paused_until, Event::Asked(number));
            return Ok(());
        }
        if self.hosts[&to].waits() {
            question.answer = Some(Said::Waits);
            self.send_answer(number, question);
            return Ok(());
        }
        let Some(process) = self.running(to) else {
            return Ok(());
        };
        if !process.cluster.load().members.present.contains_key(&from) {
            return Ok(());
        }
        let handle = process.executor.handle();
        // First: what the member acknowledged before is in the log whose end is told below.
        handle.log_lost(MemberId(from), question.last);
        let soft = handle.status().soft;
        question.leads = (soft.role == Role::Leader).then_some(soft);
        let leads = question.leads.is_some();
        self.questions.insert(number, question);
        self.wake_node(to, now);
        if leads {
            self.ask_index(to, number);
        } else {
            self.answer_question(number, false);
        }
        Ok(())
    }

    /// Answers, as a leader once a majority has confirmed it and everything it knew of is applied.
    pub(super) fn answer_question(&mut self, number: u64, confirmed: bool) {
        let Some(mut question) = self.questions.remove(&number) else {
            return;
        };
        let to = question.to;
        let Some(process) = self.running(to) else {
            return;
        };
        let status = process.executor.handle().status();
        let cluster = process.cluster.load();
        let voters = cluster.members.present.values().filter(|m| !m.is_learner);
        let standing = Standing {
            member: MemberId(to),
            term: status.soft.term,
            removals: cluster.members.removed.len() as u64,
            confirmed: (confirmed && question.leads == Some(status.soft)).then(|| Confirmed {
                last: status.last,
                voters: voters.map(|member| MemberId(member.id)).collect(),
            }),
        };
        question.answer = Some(Said::Standing(standing));
        self.send_answer(number, question);
    }

    fn send_answer(&mut self, number: u64, question: Question) {
        self.questions.insert(number, question);
        let at = self.draw(0, 20);
        self.plan_at(at, Event::Told(number));
    }

    /// An answer has arrived.
    pub(super) fn told(&mut self, number: u64) -> Judged {
        let open = self.questions.remove(&number);
        let Some(question) = open.filter(|question| self.is_open(question)) else {
            return Ok(());
        };
        let (from, now) = (question.from, self.now);
        let (Some(answer), Some(host)) = (question.answer, self.hosts.get_mut(&from)) else {
            return Ok(());
        };
        let to = question.to;
        self.trace.note(now, [24, from, to], || {
            format!("{from} hears of {to}: {answer:?}")
        });
        let is_current = host.consulting.round == question.round;
        match (&host.running, answer) {
            (None, Said::Standing(standing)) if is_current => {
                host.consulting.answers.push(standing)
            }
            (None, Said::Waits) if is_current => host.consulting.also_waiting.push(MemberId(to)),
            (Some(process), Said::Standing(standing)) => {
                if let Some(confirmed) = standing.confirmed {
                    process.executor.handle().trust_from(confirmed.last);
                }
                self.wake_node(from, now);
            }
            _ => {}
        }
        Ok(())
    }
}
