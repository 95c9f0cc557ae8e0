//! What the records of the log say.
//!
//! | kind | record | content, integers little-endian |
//! |---|---|---|
//! | 1 | normal entry | index u64, term u64, payload |
//! | 2 | change of membership | index u64, term u64, encoded [`ConfChange`](crate::ConfChange) |
//! | 3 | hard state | term u64, vote u64, commit u64 |
//! | 4 | copy of a leader's state | index u64, term u64, number of voters u64, voters u64 each, learners u64 each |
//!
//! An entry replaces an earlier one of its index and everything behind that; a copy of the state
//! replaces all entries, and says that its installation has begun; the last hard state counts. Each segment starts with the hard state as of then. A changed form gets a new kind; a
//! kind is never used again.

use bytes::Bytes;
use ferrod_wal::{Batch, Record};

use crate::{
    ConfState, Entry, EntryKind, Error, HardState, LogIndex, MemberId, Recovered, StateMeta, Term,
};

const NORMAL: u8 = 1;
const CONF_CHANGE: u8 = 2;
const HARD_STATE: u8 = 3;
const STATE: u8 = 4;

/// Adds an entry.
pub(crate) fn push_entry(batch: &mut Batch, entry: &Entry) {
    let kind = match entry.kind {
        EntryKind::Normal => NORMAL,
        EntryKind::ConfChange => CONF_CHANGE,
    };
    batch.push_with(kind, |out| {
        out.extend_from_slice(&entry.index.0.to_le_bytes());
        out.extend_from_slice(&entry.term.0.to_le_bytes());
        out.extend_from_slice(&entry.payload);
    });
}

/// Adds a hard state.
pub(crate) fn push_hard_state(batch: &mut Batch, state: &HardState) {
    batch.push_with(HARD_STATE, |out| {
        for word in [state.term.0, state.vote.0, state.commit.0] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    });
}

/// Adds that the installation of a copy of a leader's state has begun.
pub(crate) fn push_state(batch: &mut Batch, state: &StateMeta) {
    let StateMeta { index, term, conf } = state;
    let head = [index.0, term.0, conf.voters.len() as u64];
    let members = conf.voters.iter().chain(&conf.learners);
    batch.push_with(STATE, |out| {
        for word in head.into_iter().chain(members.map(|member| member.0)) {
            out.extend_from_slice(&word.to_le_bytes());
        }
    });
}

/// Adds what a record says to what the ones before it said. Returns the index of an entry.
///
/// # Errors
/// [`Error::Record`] if it says nothing known, and those of [`Recovered::push_entry`].
pub(crate) fn replay(record: Record, log: &mut Recovered) -> Result<Option<LogIndex>, Error> {
    let kind = record.kind;
    let wrong = |reason| Error::Record { kind, reason };
    match kind {
        NORMAL | CONF_CHANGE => {
            let entry = entry(kind, record.payload).ok_or(wrong("too short for an entry"))?;
            let index = entry.index;
            log.push_entry(entry)?;
            Ok(Some(index))
        }
        HARD_STATE => {
            let state =
                hard_state(&record.payload).ok_or(wrong("wrong length for a hard state"))?;
            log.push_hard_state(state);
            Ok(None)
        }
        STATE => {
            let state = state(&record.payload).ok_or(wrong("not a state that can be"))?;
            let index = state.index;
            log.push_state(state)?;
            Ok(Some(index))
        }
        _ => Err(wrong("unknown kind")),
    }
}

/// The entry in a record, if it has this index.
pub(crate) fn entry_at(record: &Record, index: LogIndex) -> Option<Entry> {
    let is_entry = matches!(record.kind, NORMAL | CONF_CHANGE);
    let first = record
        .payload
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes);
    if !is_entry || first != Some(index.0) {
        return None;
    }
    entry(record.kind, record.payload.clone())
}

fn entry(kind: u8, mut bytes: Bytes) -> Option<Entry> {
    let index = take_word(&mut bytes)?;
    let term = take_word(&mut bytes)?;
    let kind = if kind == NORMAL {
        EntryKind::Normal
    } else {
        EntryKind::ConfChange
    };
    (index > 0).then_some(Entry {
        index: LogIndex(index),
        term: Term(term),
        kind,
        payload: bytes,
    })
}

fn hard_state(bytes: &[u8]) -> Option<HardState> {
    let words: &[[u8; 8]; 3] = bytes.as_chunks().0.try_into().ok()?;
    let [term, vote, commit] = words.map(u64::from_le_bytes);
    let state = HardState {
        term: Term(term),
        vote: MemberId(vote),
        commit: LogIndex(commit),
    };
    (bytes.len() == 24).then_some(state)
}

fn state(bytes: &[u8]) -> Option<StateMeta> {
    let (words, rest) = bytes.as_chunks();
    let words: Vec<_> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let [index, term, voters, members @ ..] = words.as_slice() else {
        return None;
    };
    let (voters, learners) = members.split_at_checked(usize::try_from(*voters).ok()?)?;
    let ids = |ids: &[u64]| ids.iter().copied().map(MemberId).collect();
    let conf = ConfState::new(ids(voters), ids(learners));
    let sound = rest.is_empty() && *index > 0 && *term > 0 && conf.flaw().is_none();
    sound.then_some(StateMeta {
        index: LogIndex(*index),
        term: Term(*term),
        conf,
    })
}

fn take_word(bytes: &mut Bytes) -> Option<u64> {
    let word = *bytes.first_chunk()?;
    let _ = bytes.split_to(8);
    Some(u64::from_le_bytes(word))
}
