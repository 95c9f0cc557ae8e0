//! Changes of membership, decided and stored as they come out of the log.

use ferrod_mvcc::ExportHead;
use ferrod_mvcc::backend::{Bucket, Snapshot};
use ferrod_proto::ApiError;
use serde::{Deserialize, Serialize};

use super::Store;
use crate::{Error, Member, Members};

const CONF_STATE: &[u8] = b"confState";

/// Who votes and who learns, as raft has it after the entry. Stored as JSON, as etcd does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfState {
    /// Members that count for a quorum, ascending.
    #[serde(default)]
    pub voters: Vec<u64>,
    /// Members that receive without voting, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learners: Vec<u64>,
    /// Always false: membership changes one member at a time.
    #[serde(default)]
    auto_leave: bool,
}

impl ConfState {
    /// A configuration.
    pub fn new(voters: Vec<u64>, learners: Vec<u64>) -> ConfState {
        ConfState {
            voters,
            learners,
            auto_leave: false,
        }
    }

    /// The configuration in a copy of the state; empty if it has none.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn in_export(head: &ExportHead) -> Result<ConfState, Error> {
        let row = head
            .small_rows
            .iter()
            .find(|(bucket, key, _)| *bucket == Bucket::Meta && key == CONF_STATE);
        row.map_or_else(
            || Ok(ConfState::default()),
            |(.., value)| ConfState::read(value),
        )
    }

    /// The configuration in a backend; empty if it has none.
    pub(crate) fn stored(snapshot: &dyn Snapshot) -> Result<ConfState, Error> {
        let row = snapshot.get(Bucket::Meta, CONF_STATE);
        row.map_err(Error::Storage)?
            .map_or_else(|| Ok(ConfState::default()), ConfState::read)
    }

    /// Checks that raft counts quorums of the members that there are. One commit stores both, so they can only differ in a
    /// damaged backend.
    pub(crate) fn check(&self, members: &Members) -> Result<(), Error> {
        let ids = |is_learner: bool| {
            let members = members.present.values();
            let of_kind = members.filter(move |member| member.is_learner == is_learner);
            of_kind.map(|member| member.id)
        };
        if ids(false).eq(self.voters.iter().copied()) && ids(true).eq(self.learners.iter().copied())
        {
            return Ok(());
        }
        Err(Error::Malformed {
            what: "configuration row".into(),
            reason: "it has other members than the cluster".into(),
        })
    }

    fn read(row: &[u8]) -> Result<ConfState, Error> {
        serde_json::from_slice(row).map_err(|e| Error::Malformed {
            what: "configuration row".into(),
            reason: e.to_string(),
        })
    }
}

/// One change of membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberChange {
    /// A new voter, or a learner however many there are.
    Add(Member),
    /// A new learner, unless there are so many already. The limit is a setting of whoever proposes the change and travels
    /// with it: members may be configured differently and must decide alike.
    AddLearner(Member, usize),
    /// A learner becomes a voter.
    Promote(u64),
    /// Gone for ever.
    Remove(u64),
    /// Other peer URLs; all else stays.
    Update(Member),
}

impl Store {
    /// The configuration stored with the last applied entry; empty in a new store.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Storage`].
    pub fn conf_state(&mut self) -> Result<ConfState, Error> {
        let row = self
            .keyspace
            .get_row(Bucket::Meta, CONF_STATE)
            .map_err(Error::Storage)?;
        row.map_or_else(|| Ok(ConfState::default()), |row| ConfState::read(&row))
    }

    /// Whether a change can take effect now.
    ///
    /// # Errors
    /// As the API refuses it.
    pub fn judge_member_change(&self, change: &MemberChange) -> Result<(), ApiError> {
        let members = &self.cluster.members;
        let taken_by_another = |id: u64, urls: &[String]| {
            members
                .present
                .values()
                .any(|other| other.id != id && other.peer_urls.iter().any(|url| urls.contains(url)))
        };
        let (MemberChange::Add(Member { id, .. })
        | MemberChange::AddLearner(Member { id, .. }, _)
        | MemberChange::Promote(id)
        | MemberChange::Remove(id)
        | MemberChange::Update(Member { id, .. })) = change;
        if members.removed.contains(id) {
            return Err(ApiError::MemberNotFound);
        }
        let known = members.present.get(id);
        let learners = || members.present.values().filter(|m| m.is_learner).count();
        match (change, known) {
            (MemberChange::Add(_) | MemberChange::AddLearner(..), Some(_)) => {
                Err(ApiError::MemberExists)
            }
            (MemberChange::Add(member) | MemberChange::AddLearner(member, _), None)
                if taken_by_another(*id, &member.peer_urls) =>
            {
                Err(ApiError::PeerUrlsExist)
            }
            (MemberChange::AddLearner(_, max), None) if learners() >= *max => {
                Err(ApiError::TooManyLearners)
            }
            (MemberChange::Add(_) | MemberChange::AddLearner(..), None) => Ok(()),
            (_, None) => Err(ApiError::MemberNotFound),
            (MemberChange::Promote(_), Some(member)) if !member.is_learner => {
                Err(ApiError::NotLearner)
            }
            (MemberChange::Update(member), Some(_)) if taken_by_another(*id, &member.peer_urls) => {
                Err(ApiError::PeerUrlsExist)
            }
            _ => Ok(()),
        }
    }

    /// Stores a change that was judged to take effect, with the configuration that it led to. Both become durable with
    /// the applied index, in one step.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a member has no JSON form.
    pub fn apply_member_change(
        &mut self,
        change: MemberChange,
        conf_state: &ConfState,
    ) -> Result<(), Error> {
        match change {
            MemberChange::Add(member) => self.put_member(member)?,
            MemberChange::AddLearner(member, _) => self.put_member(Member {
                is_learner: true,
                ..member
            })?,
            MemberChange::Promote(id) => {
                if let Some(member) = self.cluster.members.present.get(&id).cloned() {
                    self.put_member(Member {
                        is_learner: false,
                        ..member
                    })?;
                }
            }
            MemberChange::Update(Member { id, peer_urls, .. }) => {
                if let Some(member) = self.cluster.members.present.get(&id).cloned() {
                    self.put_member(Member {
                        peer_urls,
                        ..member
                    })?;
                }
            }
            MemberChange::Remove(id) => {
                self.cluster.members.present.remove(&id);
                self.cluster.members.removed.insert(id);
                self.keyspace
                    .delete_row(Bucket::Members, &Member::row_key(id));
                let value = bytes::Bytes::from_static(b"removed");
                self.keyspace
                    .put_row(Bucket::MembersRemoved, &Member::row_key(id), value);
            }
        }
        self.cluster_changed = true;
        let row = serde_json::to_vec(conf_state).map_err(|e| Error::Malformed {
            what: "configuration".into(),
            reason: e.to_string(),
        })?;
        self.put_meta(CONF_STATE, row.into());
        Ok(())
    }

    pub(super) fn put_member(&mut self, member: Member) -> Result<(), Error> {
        let row = serde_json::to_vec(&member).map_err(|e| Error::Malformed {
            what: format!("member {:x}", member.id),
            reason: e.to_string(),
        })?;
        self.keyspace
            .put_row(Bucket::Members, &Member::row_key(member.id), row.into());
        self.cluster.members.present.insert(member.id, member);
        Ok(())
    }
}
