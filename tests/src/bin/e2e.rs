//! The end-to-end suites as a program; `cargo xtask e2e` builds and runs it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ferrod_tests::{
    bad_input, clients, cluster, crash, damage, differential, discovery, members, script,
};

/// Whole processes against real etcd and real clients.
#[derive(Debug, Parser)]
#[command(name = "e2e")]
struct Cli {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// One random client on ferrod and on the real etcd, everything compared
    Differential(differential::Options),
    /// A member killed at random moments loses nothing
    Crash(crash::Options),
    /// A member dies once at each of its failpoints and loses nothing
    Failpoints(crash::failpoints::Options),
    /// Members that die, stand still and lose each other, judged by what their clients were told
    Cluster(cluster::Options),
    /// Hostile bytes, wrong flags, damaged files, a full disk
    BadInput(bad_input::Options),
    /// Members whose files are damaged heal from the others
    Damage(damage::Options),
    /// A cluster grows and shrinks under load and loses nothing
    Members(members::Options),
    /// Members and a client find each other by DNS
    Discovery(discovery::Options),
    /// All of them, as continuous integration wants them
    All,
    /// Clients in Go, Python, JavaScript and Rust that others have written
    Clients(clients::Options),
    /// The real etcdctl does the same on ferrod as on etcd
    Etcdctl(script::Options),
    /// ferroctl does the same on etcd as the real etcdctl
    Ferroctl(script::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse().suite) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a backtrace: where the test noticed says nothing about the server.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(suite: Suite) -> anyhow::Result<()> {
    match suite {
        Suite::Differential(options) => differential::run(&options),
        Suite::Crash(options) => crash::run(&options),
        Suite::Failpoints(options) => crash::failpoints::run(&options),
        Suite::Cluster(options) => cluster::run(&options),
        Suite::BadInput(options) => bad_input::run(&options),
        Suite::Clients(options) => clients::run(&options),
        Suite::Etcdctl(options) => script::etcdctl_on_ferrod(&options),
        Suite::Ferroctl(options) => script::ferroctl_on_etcd(&options),
        Suite::Damage(options) => damage::run(&options),
        Suite::Members(options) => members::run(&options),
        Suite::Discovery(options) => discovery::run(&options),
        Suite::All => all(),
    }
}

/// Runs every suite, also after one has failed, and counts.
fn all() -> anyhow::Result<()> {
    let suites = [
        (
            "differential",
            Suite::Differential(differential::Options::for_ci()),
        ),
        ("etcdctl", Suite::Etcdctl(Default::default())),
        ("ferroctl", Suite::Ferroctl(Default::default())),
        ("clients", Suite::Clients(Default::default())),
        ("crash", Suite::Crash(Default::default())),
        (
            "failpoints",
            Suite::Failpoints(crash::failpoints::Options::default()),
        ),
        ("cluster", Suite::Cluster(Default::default())),
        ("members", Suite::Members(members::Options::for_ci())),
        ("damage", Suite::Damage(Default::default())),
        ("discovery", Suite::Discovery(Default::default())),
        ("bad-input", Suite::BadInput(Default::default())),
    ];
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, suite) in suites {
        println!("== {name}");
        match run(suite) {
            Ok(()) => passed += 1,
            Err(error) => {
                println!("{name} FAILED: {error:#}");
                failed.push(name);
            }
        }
    }
    println!("{passed} passed, {} failed", failed.len());
    anyhow::ensure!(failed.is_empty(), "failed suites: {}", failed.join(", "));
    Ok(())
}
