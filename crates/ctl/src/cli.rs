//! The command tree as clap types: names, flags and short texts.
//!
//! clap holds the tree, fills these types, and generates completion scripts. What the words of a command line mean is Go's
//! business and is settled before, in [`crate::syntax`].
//!
//! Every command takes its positional arguments as one list, because etcdctl checks their number itself.

mod global;

use std::ffi::OsString;

use clap::{Args, CommandFactory, Parser, Subcommand};

pub(crate) use global::GlobalFlags;
use global::int64;

/// Root of the tree.
#[derive(Debug, Parser)]
#[command(
    name = "etcdctl",
    about = "Talks to a ferrod or etcd cluster from the command line",
    disable_help_flag = true,
    disable_help_subcommand = true
)]
pub(crate) struct Ctl {
    #[command(flatten)]
    pub(crate) globals: GlobalFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The tree. Commands that are planned but absent are hidden: they can be named, and say that they are absent.
pub(crate) fn tree(program: &str) -> clap::Command {
    let absent = |name: &&'static str| clap::Command::new(*name).hide(true);
    let mut tree = Ctl::command().name(program.to_owned());
    if program != crate::program::FERROCTL {
        tree = tree.mut_subcommand("debug", |debug| debug.hide(true));
    }
    tree.subcommands(ABSENT.iter().map(absent))
}

/// Commands of etcdctl that a later version brings.
pub(crate) const ABSENT: [&str; 9] = [
    "auth",
    "check",
    "downgrade",
    "elect",
    "lock",
    "make-mirror",
    "role",
    "snapshot",
    "user",
];

/// Titles of the groups on the first help screen, with their commands.
pub(crate) const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Key-value commands",
        &["compaction", "del", "get", "lease", "put", "txn", "watch"],
    ),
    (
        "Cluster maintenance commands",
        &["alarm", "defrag", "endpoint", "member", "move-leader"],
    ),
    (
        "Utility commands",
        &["completion", "debug", "help", "options", "version"],
    ),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Alarm related commands
    Alarm(Alarm),
    /// Forgets the history of the key space below a revision
    #[command(override_usage = "compaction [options] <revision>")]
    Compaction(Compaction),
    /// Generates a completion script for a shell
    #[command(override_usage = "completion <bash|zsh|fish|powershell>")]
    Completion(Plain),
    /// Looks into the files of a stopped member
    Debug(Debug),
    /// Gives back the free space in the storage of each endpoint's member
    Defrag(Defrag),
    /// Deletes a key or a range of keys
    #[command(override_usage = "del [options] <key> [range_end]")]
    Del(Del),
    /// Endpoint related commands
    Endpoint(Endpoint),
    /// Reads a key or a range of keys
    #[command(override_usage = "get [options] <key> [range_end]")]
    Get(Get),
    /// Shows help for a command
    #[command(override_usage = "help [command]")]
    Help(Plain),
    /// Lease related commands
    Lease(Lease),
    /// Membership related commands
    Member(Member),
    /// Hands leadership to another member of the cluster
    #[command(override_usage = "move-leader <transferee-member-id>")]
    MoveLeader(Plain),
    /// Lists the flags that every command takes
    Options(Plain),
    /// Writes a key
    #[command(
        override_usage = "put [options] <key> <value> (<value> can also be given from stdin)"
    )]
    Put(Put),
    /// Compares, then runs one of two lists of requests, all at one revision
    #[command(override_usage = "txn [options]")]
    Txn(Txn),
    /// Prints the version
    Version(Plain),
    /// Prints the changes of a key or a range of keys as they happen
    #[command(
        override_usage = "watch [options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]"
    )]
    Watch(Watch),
}

/// A command without flags of its own.
#[derive(Debug, Args)]
pub(crate) struct Plain {
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Linearizable (l) or serializable (s)
    #[arg(long, value_name = "string", default_value = "l")]
    pub(crate) consistency: String,
    /// Order of the results: ASCEND or DESCEND
    #[arg(long, value_name = "string", default_value = "")]
    pub(crate) order: String,
    /// What to sort by: CREATE, KEY, MODIFY, VALUE or VERSION
    #[arg(long, value_name = "string", default_value = "")]
    pub(crate) sort_by: String,
    /// Largest number of results, 0 for all
    #[arg(long, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) limit: i64,
    /// Read all keys with this prefix
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Read all keys from this one on
    #[arg(long)]
    pub(crate) from_key: bool,
    /// Read at this revision
    #[arg(long, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) rev: i64,
    /// Keys without their values
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// Only the number of keys, with --write-out=fields
    #[arg(long)]
    pub(crate) count_only: bool,
    /// Only values, with --write-out=simple
    #[arg(long)]
    pub(crate) print_value_only: bool,
    /// Only keys created at this revision or later
    #[arg(long, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) min_create_rev: i64,
    /// Only keys created at this revision or earlier
    #[arg(long, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) max_create_rev: i64,
    /// Only keys changed at this revision or later
    #[arg(long, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) min_mod_rev: i64,
    /// Only keys changed at this revision or earlier
    #[arg(long, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) max_mod_rev: i64,
    /// Let the server send the results in pieces
    #[arg(long)]
    pub(crate) stream: bool,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    /// Lease to attach to the key, in hexadecimal
    #[arg(long, value_name = "string", default_value = "0")]
    pub(crate) lease: String,
    /// Return the previous pair
    #[arg(long)]
    pub(crate) prev_kv: bool,
    /// Keep the current value
    #[arg(long)]
    pub(crate) ignore_value: bool,
    /// Keep the current lease
    #[arg(long)]
    pub(crate) ignore_lease: bool,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Del {
    /// Delete all keys with this prefix
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Return the deleted pairs
    #[arg(long)]
    pub(crate) prev_kv: bool,
    /// Delete all keys from this one on
    #[arg(long)]
    pub(crate) from_key: bool,
    /// Delete a range of keys without a pause to think it over
    #[arg(long)]
    pub(crate) range: bool,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Txn {
    /// Prompt for each section
    #[arg(long, short)]
    pub(crate) interactive: bool,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Compaction {
    /// Wait until the history is gone from the storage
    #[arg(long)]
    pub(crate) physical: bool,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Read watch commands from standard input
    #[arg(long, short)]
    pub(crate) interactive: bool,
    /// Watch all keys with this prefix
    #[arg(long)]
    pub(crate) prefix: bool,
    /// First revision to show
    #[arg(long, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) rev: i64,
    /// Show the previous pair of each change
    #[arg(long)]
    pub(crate) prev_kv: bool,
    /// Ask for a note of progress from time to time
    #[arg(long)]
    pub(crate) progress_notify: bool,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Lease {
    #[command(subcommand)]
    pub(crate) command: LeaseCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeaseCommand {
    /// Grants a lease
    #[command(override_usage = "grant <ttl>")]
    Grant(Plain),
    /// Renews a lease again and again
    #[command(override_usage = "keep-alive [options] <leaseID>")]
    KeepAlive(LeaseKeepAlive),
    /// Lists all leases
    List(Plain),
    /// Revokes a lease and deletes its keys
    #[command(override_usage = "revoke <leaseID>")]
    Revoke(Plain),
    /// Shows how long a lease lives on
    #[command(override_usage = "timetolive <leaseID> [options]")]
    Timetolive(LeaseTimeToLive),
}

#[derive(Debug, Args)]
pub(crate) struct LeaseKeepAlive {
    /// Renew once, then stop
    #[arg(long)]
    pub(crate) once: bool,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct LeaseTimeToLive {
    /// Show the keys attached to the lease
    #[arg(long)]
    pub(crate) keys: bool,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Member {
    #[command(subcommand)]
    pub(crate) command: MemberCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Adds a member to the cluster, before it is started
    #[command(override_usage = "add <memberName> [options]")]
    Add(MemberAdd),
    /// Lists all members of the cluster
    List(MemberList),
    /// Gives a learner a vote
    #[command(override_usage = "promote <memberID>")]
    Promote(Plain),
    /// Removes a member from the cluster
    #[command(override_usage = "remove <memberID>")]
    Remove(Plain),
    /// Changes the peer URLs of a member
    #[command(override_usage = "update <memberID> [options]")]
    Update(MemberUpdate),
}

#[derive(Debug, Args)]
pub(crate) struct MemberAdd {
    /// Peer URLs of the new member, separated by commas
    #[arg(long, value_name = "string", default_value = "")]
    pub(crate) peer_urls: String,
    /// Add it without a vote
    #[arg(long)]
    pub(crate) learner: bool,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct MemberUpdate {
    /// Peer URLs of the member from now on, separated by commas
    #[arg(long, value_name = "string", default_value = "")]
    pub(crate) peer_urls: String,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct MemberList {
    /// Linearizable (l) or serializable (s)
    #[arg(long, value_name = "string", default_value = "l")]
    pub(crate) consistency: String,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Endpoint {
    /// Use all endpoints of the cluster's member list
    #[arg(long, global = true)]
    pub(crate) cluster: bool,
    #[command(subcommand)]
    pub(crate) command: EndpointCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EndpointCommand {
    /// Prints the digest of each endpoint's key space
    Hashkv(EndpointHashkv),
    /// Checks whether each endpoint takes part in the cluster
    Health(Plain),
    /// Prints what each endpoint says about itself
    Status(Plain),
}

#[derive(Debug, Args)]
pub(crate) struct EndpointHashkv {
    /// Largest revision to take in, 0 for the latest
    #[arg(long, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) rev: i64,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Alarm {
    #[command(subcommand)]
    pub(crate) command: AlarmCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlarmCommand {
    /// Clears all alarms
    Disarm(Plain),
    /// Lists all alarms
    List(Plain),
}

#[derive(Debug, Args)]
pub(crate) struct Defrag {
    /// Use all endpoints of the cluster's member list
    #[arg(long)]
    pub(crate) cluster: bool,
    /// Work on the files of a stopped member instead
    #[arg(long, value_name = "string", hide = true)]
    pub(crate) data_dir: Option<String>,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Debug {
    #[command(subcommand)]
    pub(crate) command: DebugCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DebugCommand {
    /// Prints every entry of the write-ahead log and the last hard state
    #[command(override_usage = "wal-dump --data-dir <dir>")]
    WalDump(WalDump),
}

#[derive(Debug, Args)]
pub(crate) struct WalDump {
    /// Data directory of the member
    #[arg(long, value_name = "string", default_value = "")]
    pub(crate) data_dir: String,
    /// Directory of the log, if it is not in the data directory
    #[arg(long, value_name = "string", default_value = "")]
    pub(crate) wal_dir: String,
    #[arg(hide = true)]
    pub(crate) words: Vec<OsString>,
}

/// What a request line of `txn` may say.
#[derive(Debug, Parser)]
#[command(name = "txn", disable_help_flag = true, disable_help_subcommand = true)]
pub(crate) struct RequestLine {
    #[command(subcommand)]
    pub(crate) request: Request,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Request {
    /// Deletes a key or a range of keys
    #[command(override_usage = "del [options] <key> [range_end]")]
    Del(Del),
    /// Reads a key or a range of keys
    #[command(override_usage = "get [options] <key> [range_end]")]
    Get(Get),
    /// Writes a key
    #[command(override_usage = "put [options] <key> <value>")]
    Put(Put),
}

/// What a line of interactive `watch` may say after the word `watch`.
#[derive(Debug, Parser)]
#[command(
    name = "watch",
    disable_help_flag = true,
    disable_help_subcommand = true
)]
pub(crate) struct WatchLine {
    #[command(flatten)]
    pub(crate) watch: Watch,
}

/// Only the flags that every command takes.
#[derive(Debug, Parser)]
#[command(
    name = "options",
    disable_help_flag = true,
    disable_help_subcommand = true
)]
pub(crate) struct Globals {
    #[command(flatten)]
    pub(crate) flags: GlobalFlags,
    /// Counts as one of them under `endpoint`.
    #[arg(long, hide = true)]
    pub(crate) cluster: bool,
}

/// The tree under the name `etcdutl`.
pub(crate) fn offline_tree() -> clap::Command {
    let kept = ["completion", "help", "version"];
    let mut tree = Ctl::command()
        .name("etcdutl")
        .about("Works on the files of a stopped member");
    let names: Vec<String> = tree
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    for name in names.iter().filter(|name| !kept.contains(&name.as_str())) {
        tree = tree.mut_subcommand(name, |command| command.hide(true));
    }
    let absent = OFFLINE_ABSENT
        .iter()
        .filter(|name| !names.iter().any(|known| known == *name));
    tree.subcommands(absent.map(|name| clap::Command::new(*name).hide(true)))
}

/// Commands of etcdutl that a later version brings.
const OFFLINE_ABSENT: [&str; 4] = ["defrag", "hashkv", "migrate", "snapshot"];

/// Whether a command is known but not there under this program's name.
pub(crate) fn is_absent(program: &str, names: &[&str]) -> bool {
    match (program, names) {
        ("etcdutl", [first, ..]) => !["completion", "help", "version"].contains(first),
        (_, [first, ..]) if ABSENT.contains(first) => true,
        ("etcdctl", ["debug", ..]) => true,
        _ => false,
    }
}
