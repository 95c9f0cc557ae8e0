//! PendingChanges of membership: who waits for which, and what the log says of them.
//!
//! A change is recognised by the number in its entry, which is a request id. Whoever waits hears one of three things: it is
//! applied or was refused when it came out of the log, it never got into the log, or a new term began without it, after
//! which nobody can tell whether it will still come.

pub(super) mod notes;

use std::collections::HashMap;
use std::sync::Arc;

use ferrod_node::{ConfChange, ConfChangeKind, DropReason, Term};
use ferrod_proto::ApiError;
use ferrod_store::{Member, MemberChange};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// How a wait for a change of membership ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It came out of the log.
    Applied(Result<(), ApiError>),
    /// It is not in the log and will never be.
    Dropped(DropReason),
    /// A later term began before it came out of the log.
    TermEnded,
}

/// Who waits for changes of membership, by the number of the change.
#[derive(Debug, Default)]
pub(crate) struct PendingChanges {
    waiting: Mutex<HashMap<u64, Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    term: Term,
    sender: oneshot::Sender<Ending>,
}

/// A wait. Dropping it ends it.
pub(crate) struct ChangeWait {
    changes: Arc<PendingChanges>,
    id: u64,
    receiver: oneshot::Receiver<Ending>,
}

impl PendingChanges {
    /// Begins to wait for a change that is about to be proposed in `term`.
    pub(crate) fn begin(self: &Arc<Self>, id: u64, term: Term) -> ChangeWait {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(id, Waiting { term, sender });
        ChangeWait {
            changes: self.clone(),
            id,
            receiver,
        }
    }

    /// Ends the wait for one change; false if nobody here waits for it.
    pub(crate) fn end(&self, id: u64, ending: Ending) -> bool {
        let waiting = self.waiting.lock().remove(&id);
        // A caller that has gone away wants no answer.
        waiting.is_some_and(|waiting| {
            let _gone = waiting.sender.send(ending);
            true
        })
    }

    /// The first entry of a term was applied: what was proposed before and has not come out of the log may be lost.
    pub(crate) fn term_began(&self, began: Term) {
        let mut waiting = self.waiting.lock();
        for (_, lost) in waiting.extract_if(|_, waiting| waiting.term < began) {
            let _gone = lost.sender.send(Ending::TermEnded);
        }
    }
}

impl ChangeWait {
    /// The end of the wait; `None` if the member stops.
    pub(crate) async fn ending(&mut self) -> Option<Ending> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for ChangeWait {
    fn drop(&mut self) {
        self.changes.waiting.lock().remove(&self.id);
    }
}

/// What an entry says of the member it adds, as etcd writes it, and the limit that a new learner goes by.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Context {
    #[serde(flatten)]
    member: Member,
    #[serde(rename = "isPromote", default)]
    is_promote: bool,
    #[serde(
        rename = "maxLearners",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    learners_max: Option<usize>,
}

/// The entry of a change.
pub(crate) fn to_entry(id: u64, change: &MemberChange) -> ConfChange {
    let context = |member: &Member, is_promote, learners_max| Context {
        member: member.clone(),
        is_promote,
        learners_max,
    };
    let (kind, member, context) = match change {
        MemberChange::Add(member) if member.is_learner => (
            ConfChangeKind::AddLearner,
            member.id,
            Some(context(member, false, None)),
        ),
        MemberChange::Add(member) => (
            ConfChangeKind::AddVoter,
            member.id,
            Some(context(member, false, None)),
        ),
        MemberChange::AddLearner(member, max) => (
            ConfChangeKind::AddLearner,
            member.id,
            Some(context(member, false, Some(*max))),
        ),
        MemberChange::Promote(id) => {
            let member = Member {
                id: *id,
                ..Member::default()
            };
            (
                ConfChangeKind::AddVoter,
                *id,
                Some(context(&member, true, None)),
            )
        }
        MemberChange::Remove(id) => (ConfChangeKind::Remove, *id, None),
        MemberChange::Update(member) => (
            ConfChangeKind::Update,
            member.id,
            Some(context(member, false, None)),
        ),
    };
    let context = context.map(|context| {
        serde_json::to_vec(&context).expect("numbers, flags and texts have a JSON form")
    });
    ConfChange {
        id,
        kind,
        member: ferrod_node::MemberId(member),
        context: context.unwrap_or_default().into(),
    }
}

/// What an entry means for the members; `None` if its context cannot be read, and then it means nothing to anyone.
pub(crate) fn of_entry(change: &ConfChange) -> Option<MemberChange> {
    let id = change.member.0;
    if change.kind == ConfChangeKind::Remove {
        return Some(MemberChange::Remove(id));
    }
    let context: Context = serde_json::from_slice(&change.context).ok()?;
    let is_learner = change.kind == ConfChangeKind::AddLearner;
    let member = Member {
        id,
        is_learner,
        ..context.member
    };
    Some(match change.kind {
        ConfChangeKind::Update => MemberChange::Update(member),
        // etcd promotes a learner by adding it as a voter, with a flag beside the member.
        ConfChangeKind::AddVoter if context.is_promote => MemberChange::Promote(id),
        ConfChangeKind::AddLearner => match context.learners_max {
            Some(max) => MemberChange::AddLearner(member, max),
            None => MemberChange::Add(member),
        },
        ConfChangeKind::AddVoter | ConfChangeKind::Remove => MemberChange::Add(member),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(is_learner: bool) -> Member {
        Member {
            id: 7,
            peer_urls: vec!["http://h:1".into()],
            is_learner,
            ..Member::default()
        }
    }

    #[test]
    fn entries_look_like_etcds_and_are_read_back() {
        for (change, kind, text) in [
            (
                MemberChange::Add(member(false)),
                ConfChangeKind::AddVoter,
                r#"{"id":7,"peerURLs":["http://h:1"],"isPromote":false}"#,
            ),
            (
                MemberChange::AddLearner(member(true), 1),
                ConfChangeKind::AddLearner,
                r#"{"id":7,"peerURLs":["http://h:1"],"isLearner":true,"isPromote":false,"maxLearners":1}"#,
            ),
            (
                MemberChange::Add(member(true)),
                ConfChangeKind::AddLearner,
                r#"{"id":7,"peerURLs":["http://h:1"],"isLearner":true,"isPromote":false}"#,
            ),
            (
                MemberChange::Promote(7),
                ConfChangeKind::AddVoter,
                r#"{"id":7,"peerURLs":[],"isPromote":true}"#,
            ),
            (MemberChange::Remove(7), ConfChangeKind::Remove, ""),
            (
                MemberChange::Update(member(false)),
                ConfChangeKind::Update,
                r#"{"id":7,"peerURLs":["http://h:1"],"isPromote":false}"#,
            ),
        ] {
            let entry = to_entry(3, &change);
            assert_eq!((entry.id, entry.kind, entry.member.0), (3, kind, 7));
            assert_eq!(entry.context, text);
            assert_eq!(of_entry(&entry), Some(change));
        }
    }

    /// covers: P-KV-09
    #[test]
    fn an_entry_that_cannot_be_read_changes_nothing() {
        let mut entry = to_entry(3, &MemberChange::Add(member(false)));
        entry.context = bytes::Bytes::from_static(b"{\"id\":");
        assert_eq!(of_entry(&entry), None);
    }

    /// covers: Q-08
    #[test]
    fn a_wait_ends_when_a_later_term_begins_without_the_change() {
        let changes = Arc::new(PendingChanges::default());
        let mut old = changes.begin(1, Term(2));
        let mut new = changes.begin(2, Term(3));
        changes.term_began(Term(3));
        assert_eq!(old.receiver.try_recv().unwrap(), Ending::TermEnded);
        assert!(new.receiver.try_recv().is_err());
        assert!(changes.end(2, Ending::Applied(Ok(()))));
        assert_eq!(new.receiver.try_recv().unwrap(), Ending::Applied(Ok(())));
        assert!(!changes.end(2, Ending::Applied(Ok(()))));
    }

    #[test]
    fn who_goes_away_leaves_nothing_behind() {
        let changes = Arc::new(PendingChanges::default());
        drop(changes.begin(1, Term(2)));
        assert!(changes.waiting.lock().is_empty());
    }
}
