//! Traces: commands and what the members do on them, as text in `testdata`.
//!
//! A line that starts with `> ` is a command, and what follows it, up to the next command, comment
//! or empty line, is what came of it. `UPDATE_EXPECT=1` rewrites that; read every line of the diff.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;

use super::rig::{Rig, voter};
use super::{render, say};
use crate::{Action, ConfChange, ConfChangeKind, Input, MemberId, Proposal, ProposalId, ReadId};

///
/// covers: D-20, Q-02, R-024, P-L-02
#[test]
fn traces() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut differing = Vec::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let expected = std::fs::read_to_string(&path).unwrap();
        assert!(
            expected.starts_with("# "),
            "{} tells no story",
            path.display()
        );
        let actual = run(&expected);
        if actual == expected {
            continue;
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &actual).unwrap();
        } else {
            let line = expected
                .lines()
                .zip(actual.lines())
                .position(|(left, right)| left != right);
            differing.push((path, line.unwrap_or_default() + 1, actual));
        }
    }
    for (path, line, actual) in &differing {
        println!("{}, from line {line}:\n{actual}", path.display());
    }
    assert!(differing.is_empty());
}

fn run(script: &str) -> String {
    let mut rig = Rig::default();
    let mut out = String::new();
    let mut in_output = false;
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(out, "{line}").unwrap();
            in_output = true;
            for line in execute(&mut rig, command) {
                writeln!(out, "{line}").unwrap();
            }
        } else if line.is_empty() || line.starts_with('#') {
            in_output = false;
            writeln!(out, "{line}").unwrap();
        } else {
            assert!(in_output, "neither command nor output: {line}");
        }
    }
    out
}

/// Carries out a command; returns what came of it.
fn execute(rig: &mut Rig, command: &str) -> Vec<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let numbers: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let id = numbers.first().copied().unwrap_or_default();
    match words[0] {
        // bootstrap MEMBERS..: all of them voters.
        "bootstrap" => rig.bootstrap(&numbers, &numbers),
        // join MEMBER: with an empty log.
        "join" => rig.bootstrap(&numbers, &[]),
        "start" => rig.start(id),
        "crash" => rig.crash(id),
        "refuse-changes" => rig.member(id).refuses_changes = true,
        // lose TO: what is on its way to a member.
        "lose" => {
            let lost = rig.messages_to(id);
            rig.report(&lost, false);
        }
        // park TO: what is on its way to a member waits until `unpark`.
        "park" => rig.parked = rig.messages_to(id),
        "unpark" => {
            let parked = std::mem::take(&mut rig.parked);
            rig.network.extend(parked);
        }
        // forget MEMBER TERM INDEX: its disk is damaged; it starts over in this term, suspect up to this index.
        "forget" => {
            rig.damage(id);
            rig.begin_again(id, crate::Term(numbers[1]), crate::LogIndex(numbers[2]));
        }
        // log-lost MEMBER OTHER LAST: the other one says so.
        "log-lost" => {
            let (member, last) = (MemberId(numbers[1]), crate::LogIndex(numbers[2]));
            return show(id, &rig.input(id, Input::LogLost { member, last }));
        }
        "trust-from" => {
            let index = crate::LogIndex(numbers[1]);
            return show(id, &rig.input(id, Input::TrustFrom(index)));
        }
        // remember MEMBER BYTES: as much of the log in memory, from the next start.
        "remember" => rig.member(id).log_bytes_max = Some(numbers[1]),
        // quietly COMMAND: without what comes of it.
        "quietly" => drop(execute(rig, &words[1..].join(" "))),
        // twice TO: the messages to a member are on their way twice.
        "twice" => {
            let copies: Vec<_> = rig
                .network
                .iter()
                .filter(|message| message.to == MemberId(id))
                .cloned()
                .collect();
            rig.network.extend(copies);
        }
        "tick" => return repeat(rig, id, Input::Tick, numbers.get(1).copied().unwrap_or(1)),
        "campaign" => return show(id, &rig.input(id, Input::Campaign)),
        // hasten MEMBER TICKS
        "hasten" => {
            let ticks = u32::try_from(numbers[1]).unwrap();
            return show(id, &rig.input(id, Input::Hasten(ticks)));
        }
        "idle" => return show(id, &rig.input(id, Input::Idle)),
        "gone" => return show(id, &rig.input(id, Input::LeaderGone(MemberId(numbers[1])))),
        "due" => return show(id, &rig.input(id, Input::CampaignDue)),
        "hand-over" => return show(id, &rig.input(id, Input::HandOver)),
        "step-down" => return show(id, &rig.input(id, Input::StepDown)),
        "transfer" => return show(id, &rig.input(id, Input::Transfer(MemberId(numbers[1])))),
        "read" => return show(id, &rig.input(id, Input::Read(ReadId(numbers[1])))),
        "propose" => return propose(rig, id, &words[2..]),
        "propose-in-term" => return propose_in_term(rig, id, numbers[1]),
        "change" => return change(rig, id, words[2], numbers[1]),
        // say FROM TO TERM ..: a peer says whatever it likes, see `say.rs`.
        "say" => {
            let message = say::message(&words[1..]);
            let to = message.to.0;
            return show(to, &rig.input(to, Input::Peer(message)));
        }
        "keep-log" => rig.member(id).keeps_log = true,
        // fetch MEMBER: its disk reads what it was asked for.
        "fetch" => return show(id, &rig.fetch(id)),
        // offer MEMBER: its transport has a copy of the state.
        "offer" => return show(id, &rig.offer(id)),
        "persist" => return show(id, &rig.persist(id)),
        "apply" => return show(id, &rig.apply(id)),
        "deliver" => return deliver(rig, id),
        "settle" => return settle(rig),
        "status" => return vec![status(rig, id)],
        other => panic!("unknown command {other}"),
    }
    Vec::new()
}

fn show(id: u64, actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .flat_map(render::action)
        .map(|line| format!("  {id}: {line}"))
        .collect()
}

fn repeat(rig: &mut Rig, id: u64, input: Input, times: u64) -> Vec<String> {
    (0..times)
        .flat_map(|_| show(id, &rig.input(id, input.clone())))
        .collect()
}

fn propose(rig: &mut Rig, id: u64, payloads: &[&str]) -> Vec<String> {
    let proposal = |(n, payload): (u64, &&str)| {
        Proposal::normal(ProposalId(n), Bytes::copy_from_slice(payload.as_bytes()))
    };
    let proposals = (1..).zip(payloads).map(proposal).collect();
    show(id, &rig.input(id, Input::Propose(proposals)))
}

fn propose_in_term(rig: &mut Rig, id: u64, term: u64) -> Vec<String> {
    let proposal = Proposal::in_term(
        ProposalId(1),
        Bytes::from_static(b"only"),
        crate::Term(term),
    );
    show(id, &rig.input(id, Input::Propose(vec![proposal])))
}

fn change(rig: &mut Rig, id: u64, kind: &str, member: u64) -> Vec<String> {
    let kind = match kind {
        "add" => ConfChangeKind::AddVoter,
        "learn" => ConfChangeKind::AddLearner,
        "remove" => ConfChangeKind::Remove,
        "update" => ConfChangeKind::Update,
        other => panic!("unknown change {other}"),
    };
    let change = ConfChange {
        kind,
        ..voter(member)
    };
    show(
        id,
        &rig.input(
            id,
            Input::Propose(vec![Proposal::conf_change(ProposalId(1), &change)]),
        ),
    )
}

fn deliver(rig: &mut Rig, id: u64) -> Vec<String> {
    let mut lines = Vec::new();
    for message in rig.messages_to(id) {
        lines.push(format!("  {}", render::message(&message)));
        lines.extend(show(id, &rig.input(id, Input::Peer(message.clone()))));
        let from = message.from.0;
        lines.extend(show(from, &rig.report(&[message], true)));
    }
    lines
}

/// Lets disks, state machines and network work until nothing is left to do.
fn settle(rig: &mut Rig) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let before = lines.len();
        let mut worked = false;
        for id in rig.ids() {
            worked |= !rig.member(id).writes.is_empty() || !rig.member(id).jobs.is_empty();
            lines.extend(show(id, &rig.persist(id)));
            lines.extend(show(id, &rig.apply(id)));
            lines.extend(show(id, &rig.fetch(id)));
            lines.extend(show(id, &rig.offer(id)));
            if rig.is_up(id) {
                lines.extend(deliver(rig, id));
            }
        }
        if !worked && lines.len() == before {
            return lines;
        }
    }
}

fn status(rig: &mut Rig, id: u64) -> String {
    let member = rig.member(id);
    let core = member.core();
    let applied: Vec<_> = member
        .applied
        .iter()
        .map(|(_, _, payload)| String::from_utf8_lossy(payload))
        .collect();
    let normal: Vec<_> = applied
        .iter()
        .filter(|payload| payload.chars().all(char::is_alphanumeric))
        .collect();
    format!(
        "  {id}: {}{:?} of term {}, committed {}, applied {}, last {}, reads alone {}, state {normal:?}",
        if core.is_suspect() { "suspect " } else { "" },
        core.soft_state().role,
        core.soft_state().term,
        core.committed(),
        core.applied(),
        core.last_index(),
        core.reads_alone(),
    )
}
