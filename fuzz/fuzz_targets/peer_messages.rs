//! Whatever a peer says, a member goes on: bytes that are no messages are refused, and messages that make no sense are
//! dropped before raft-rs, which would stop the process, sees them.
//!
//! The input is what a connection carries after its hello, in the wire form of `ferrod.peer.v1.Messages`. After each message the member's
//! disk and state machine catch up, and time passes.
#![no_main]

use bytes::Bytes;
use ferrod_node::{
    Action, ConfChange, ConfChangeKind, Config, Core, Entry, EntryKind, HardState, Input, LogIndex,
    MemberId, Recovered, StartingPoint, Term,
};
use ferrod_proto::peer::Messages;
use ferrod_server::peer::decode;
use libfuzzer_sys::fuzz_target;
use prost::Message;

const LOCAL: MemberId = MemberId(1);
const PEER: MemberId = MemberId(2);
const VOTERS: u64 = 3;

fuzz_target!(|input: &[u8]| {
    let Ok(messages) = Messages::decode(Bytes::copy_from_slice(input)) else {
        return;
    };
    let mut core = member();
    let mut actions = Vec::new();
    for message in messages.messages {
        let Ok(message) = decode(message, PEER, LOCAL) else {
            return;
        };
        core.handle(Input::Peer(message), &mut actions);
        if !catch_up(&mut core, &mut actions) {
            return;
        }
        core.handle(Input::Tick, &mut actions);
        catch_up(&mut core, &mut actions);
    }
});

/// One of three members, with nothing in its log but them.
fn member() -> Core {
    let mut log = Recovered::default();
    for id in 1..=VOTERS {
        let change = ConfChange {
            id: 0,
            kind: ConfChangeKind::AddVoter,
            member: MemberId(id),
            context: Bytes::new(),
        };
        let entry = Entry {
            index: LogIndex(id),
            term: Term(1),
            kind: EntryKind::ConfChange,
            payload: change.encode(),
        };
        log.push_entry(entry)
            .expect("the entries follow each other");
    }
    log.push_hard_state(HardState {
        term: Term(1),
        vote: MemberId::NONE,
        commit: LogIndex(VOTERS),
    });
    let config = Config::new(LOCAL, 7, 1);
    let mut core =
        Core::new(config, log, &StartingPoint::default()).expect("a new cluster is sound");
    let mut actions = Vec::new();
    core.handle(Input::Tick, &mut actions);
    catch_up(&mut core, &mut actions);
    core
}

/// Writes, applies and judges whatever is asked for, until nothing is; false if the member is to stop, for its log and a
/// leader's contradict each other.
fn catch_up(core: &mut Core, actions: &mut Vec<Action>) -> bool {
    while !actions.is_empty() {
        for action in std::mem::take(actions) {
            let done = match action {
                Action::Persist(batch) => Input::Persisted(batch.number),
                Action::Apply(entries) => match entries.last() {
                    Some(last) => Input::Applied(last.index),
                    None => continue,
                },
                Action::JudgeChange(change) => Input::ChangeJudged {
                    index: change.index,
                    accepted: true,
                },
                Action::ApplyChange(change) => Input::Applied(change.committed.index),
                Action::InstallState(state) => Input::Applied(state.index),
                Action::Contradicted(_) | Action::Forgotten(_) => return false,
                _ => continue,
            };
            core.handle(done, actions);
        }
    }
    true
}
