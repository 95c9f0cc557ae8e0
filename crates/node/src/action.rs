//! What goes into a core and what comes out.

use crate::{
    ConfChange, ConfState, DropReason, Entry, Fetch, HardState, LogIndex, MemberId, PeerMessage,
    Proposal, ProposalId, ReadFailure, ReadId, ReadyNumber, Refusal, StateMeta, Term,
};

/// Everything that can happen to a member. The driver owns the sources, the core owns the meaning.
#[derive(Debug, Clone)]
pub enum Input {
    /// One tick of raft's clock has passed.
    Tick,
    /// Campaign as soon as that is safe: for the only voter, which need not wait for a timeout.
    Campaign,
    /// Wait so many ticks less for a leader: a member that has just started has waited without knowing.
    Hasten(u32),
    /// A peer said something.
    Peer(PeerMessage),
    /// Messages to this peer are being lost.
    Unreachable(MemberId),
    /// This peer's connections closed. If it led, it is forgotten, so that votes are possible
    /// before its lease ends.
    LeaderGone(MemberId),
    /// The delay after [`Action::CampaignSoon`] is over.
    CampaignDue,
    /// Hand leadership to the member that is fittest, if this one leads.
    HandOver,
    /// Lead no more: this member cannot, and nobody takes over.
    StepDown,
    /// Someone wants these in the log.
    Propose(Vec<Proposal>),
    /// Someone wants to know how far a linearizable read must have applied.
    Read(ReadId),
    /// Hand leadership to this member, if this one leads.
    Transfer(MemberId),
    /// The batch of this number and all before it are durable.
    Persisted(ReadyNumber),
    /// The state machine has applied everything up to here.
    Applied(LogIndex),
    /// The state machine's answer to [`Action::JudgeChange`].
    ChangeJudged {
        /// Index of the change.
        index: LogIndex,
        /// Whether it takes effect. The same on every member.
        accepted: bool,
    },
    /// The answer to [`Action::Fetch`]: entries from its first index on, none if that one is gone.
    Fetched {
        /// The first index that was asked for.
        low: LogIndex,
        /// Contiguous.
        entries: Vec<Entry>,
    },
    /// Entries up to here may be gone from the disk.
    Released(LogIndex),
    /// The answer to [`Action::OfferState`]: the copy that can be sent to a member, or why there is
    /// none.
    StateOffered {
        /// Who is to get it.
        to: MemberId,
        /// Its description.
        offer: Result<StateMeta, String>,
    },
    /// The end of what [`PeerBody::State`](crate::PeerBody::State) began: the copy has arrived as a
    /// whole, or will never.
    StateSent {
        /// Who was to get it.
        to: MemberId,
        /// Up to where.
        index: LogIndex,
        /// Whether the receiver has all of it.
        arrived: bool,
    },
    /// This member says that it has lost its log, and has nothing behind this index: a leader must not count on more.
    LogLost {
        /// Who.
        member: MemberId,
        /// The last index it has; 0 for none.
        last: LogIndex,
    },
    /// A suspect member may be trusted from here on, if that is lower than what it was told before.
    TrustFrom(LogIndex),
    /// Nothing has happened for a while: what was not worth a write so far may be written now.
    Idle,
}

/// Everything a member can ask for, in the order in which it must take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Role, leader or term changed.
    RoleChanged(SoftState),
    /// The leader is gone: [`Input::CampaignDue`] after this part of
    /// [`Pace::campaign_within`](crate::Pace::campaign_within). Replaces an earlier one.
    CampaignSoon {
        /// The part, in thousandths; below 1500.
        permille: u32,
    },
    /// May be lost, repeated or overtaken.
    Send(Vec<PeerMessage>),
    /// To be written; durable before [`Input::Persisted`] comes back.
    Persist(Batch),
    /// A member needs entries that are on disk only, to be answered by [`Input::Fetched`].
    Fetch(Fetch),
    /// A member needs a copy of the state machine, to be offered by [`Input::StateOffered`]. Asked
    /// once until it is answered.
    OfferState {
        /// Who needs it.
        to: MemberId,
    },
    /// The copy offered for this member will not be asked for any more.
    WithdrawState {
        /// Who does not need it.
        to: MemberId,
    },
    /// The copy of a leader's state that a peer brought is not wanted.
    RefuseState(StateMeta),
    /// Replace the state machine by the copy that a peer brought. The log has a durable record of
    /// it: whatever is asked for later builds on it.
    InstallState(StateMeta),
    /// Committed entries, the same sequence on every member; all of them
    /// [`Normal`](crate::EntryKind::Normal).
    Apply(Vec<Entry>),
    /// A committed change of membership: the state machine says whether it takes effect, by
    /// [`Input::ChangeJudged`].
    JudgeChange(CommittedChange),
    /// The change is in force or was refused; to be stored together with the applied index.
    ApplyChange(AppliedChange),
    /// These reads may be answered once this index is applied.
    ReadReady {
        /// The reads of one round.
        reads: Vec<ReadId>,
        /// What must be applied first.
        index: LogIndex,
    },
    /// These reads have to ask again.
    ReadFailed {
        /// The reads of one round.
        reads: Vec<ReadId>,
        /// Why.
        reason: ReadFailure,
    },
    /// A message was dropped; what an honest peer never says is a reason to hang up.
    Refused {
        /// Who said it.
        from: MemberId,
        /// What was wrong with it.
        refusal: Refusal,
    },
    /// The member must stop, and a person must find out which of two logs is right.
    Contradicted(Contradiction),
    /// The member must stop: it has forgotten what it acknowledged.
    Forgotten(Forgotten),
    /// These proposals are not in the log and will never be.
    Dropped {
        /// Their names.
        ids: Vec<ProposalId>,
        /// Why.
        reason: DropReason,
    },
}

/// A leader's log differs from what was committed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "member {leader}, which leads term {leader_term}, has entry {index} of term {theirs} where an \
     entry of term {ours} was committed here"
)]
pub struct Contradiction {
    /// Who leads.
    pub leader: MemberId,
    /// The term it leads.
    pub leader_term: Term,
    /// Where the logs differ.
    pub index: LogIndex,
    /// The term of the entry that was committed here.
    pub ours: Term,
    /// The term of the leader's entry.
    pub theirs: Term,
}

/// This member's log is shorter than what it has acknowledged to the leader that it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "member {leader}, which leads term {leader_term}, counts on entry {counted} of this member, whose log \
     ends at {last}: its disk was put back to an older copy, or has lost what it had made durable"
)]
pub struct Forgotten {
    /// Who leads.
    pub leader: MemberId,
    /// The term it leads.
    pub leader_term: Term,
    /// This member has acknowledged everything up to here.
    pub counted: LogIndex,
    /// The last entry that it has.
    pub last: LogIndex,
}

/// A batch for the log, written in the order of the batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What [`Input::Persisted`] calls it.
    pub number: ReadyNumber,
    /// The copy of a leader's state that replaces the log up to its index; written before the
    /// entries.
    pub state: Option<StateMeta>,
    /// Contiguous. An entry replaces one of its index and everything behind that.
    pub entries: Vec<Entry>,
    /// Set if it changed since it was last written; written behind the entries.
    pub hard_state: Option<HardState>,
    /// Whether the core waits for it. Only a commit index is ever written without.
    pub sync: bool,
}

/// A committed change of membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedChange {
    /// The entry's index.
    pub index: LogIndex,
    /// The entry's term.
    pub term: Term,
    /// What changes.
    pub change: ConfChange,
}

/// A change of membership after its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedChange {
    /// What was committed.
    pub committed: CommittedChange,
    /// The membership in force from now on; `None` if the change was refused.
    pub conf_state: Option<ConfState>,
}

/// What a member does at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    #[default]
    Follower,
    /// Asks whether it would be elected.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// What is known about leadership, and forgotten in a crash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoftState {
    /// This member's role.
    pub role: Role,
    /// The leader of `term`, or [`MemberId::NONE`].
    pub leader: MemberId,
    /// The current term.
    pub term: Term,
}
