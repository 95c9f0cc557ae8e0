//! What each command does: check arguments, call, print.

mod alarm;
mod compaction;
mod completion;
mod defrag;
mod del;
mod endpoint;
mod get;
mod help;
mod lease;
mod member;
mod move_leader;
mod put;
mod txn;
mod version;
mod wal_dump;
mod watch;

use std::ffi::OsString;

use crate::Error;
use crate::cli::{
    AlarmCommand, Command, DebugCommand, EndpointCommand, LeaseCommand, MemberCommand,
};
use crate::session::Session;

/// Runs the command that the words name.
pub(crate) async fn run(command: Command, session: &mut Session<'_, '_>) -> Result<(), Error> {
    match command {
        Command::Alarm(alarm) => match alarm.command {
            AlarmCommand::Disarm(args) => alarm::disarm(args, session).await,
            AlarmCommand::List(args) => alarm::list(args, session).await,
        },
        Command::Compaction(args) => compaction::run(args, session).await,
        Command::Completion(args) => completion::run(args, session),
        Command::Debug(debug) => match debug.command {
            DebugCommand::WalDump(args) => wal_dump::run(args, session),
        },
        Command::Defrag(args) => defrag::run(args, session).await,
        Command::Del(args) => del::run(args, session).await,
        Command::Endpoint(endpoint) => match endpoint.command {
            EndpointCommand::Hashkv(args) => endpoint::hashkv(args, session).await,
            EndpointCommand::Health(_) => endpoint::health(session).await,
            EndpointCommand::Status(_) => endpoint::status(session).await,
        },
        Command::Get(args) => get::run(args, session).await,
        Command::Help(args) => help::run(args, session),
        Command::Lease(lease) => match lease.command {
            LeaseCommand::Grant(args) => lease::grant(args, session).await,
            LeaseCommand::KeepAlive(args) => lease::keep_alive(args, session).await,
            LeaseCommand::List(_) => lease::list(session).await,
            LeaseCommand::Revoke(args) => lease::revoke(args, session).await,
            LeaseCommand::Timetolive(args) => lease::time_to_live(args, session).await,
        },
        Command::Member(member) => match member.command {
            MemberCommand::Add(args) => member::add(args, session).await,
            MemberCommand::List(args) => member::list(args, session).await,
            MemberCommand::Promote(args) => member::promote(args, session).await,
            MemberCommand::Remove(args) => member::remove(args, session).await,
            MemberCommand::Update(args) => member::update(args, session).await,
        },
        Command::MoveLeader(args) => move_leader::run(args, session).await,
        Command::Options(_) => help::options(session),
        Command::Put(args) => put::run(args, session).await,
        Command::Txn(args) => txn::run(args, session).await,
        Command::Version(_) => version::run(session),
        Command::Watch(args) => watch::run(args, session).await,
    }
}

/// The bytes of an argument, as they came.
fn bytes(word: OsString) -> bytes::Bytes {
    word.into_encoded_bytes().into()
}

/// The text of an argument that is read as a number.
fn text(word: &OsString) -> String {
    word.to_string_lossy().into_owned()
}

/// Bytes as an argument. Where arguments must be Unicode, bytes that are not are replaced.
fn os_string(bytes: Vec<u8>) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes);
    #[cfg(not(unix))]
    return String::from_utf8_lossy(&bytes).into_owned().into();
}
