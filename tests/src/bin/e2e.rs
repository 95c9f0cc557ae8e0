//! The end-to-end suites as a program; `cargo xtask e2e` builds and runs it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ferrod_tests::{clients, crash, differential, script};

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
    /// Clients in Go, Python, JavaScript and Rust that others have written
    Clients(clients::Options),
    /// The real etcdctl does the same on ferrod as on etcd
    Etcdctl(script::Options),
    /// ferroctl does the same on etcd as the real etcdctl
    Ferroctl(script::Options),
}

fn main() -> ExitCode {
    let ended = match Cli::parse().suite {
        Suite::Differential(options) => differential::run(&options),
        Suite::Crash(options) => crash::run(&options),
        Suite::Clients(options) => clients::run(&options),
        Suite::Etcdctl(options) => script::etcdctl_on_ferrod(&options),
        Suite::Ferroctl(options) => script::ferroctl_on_etcd(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a backtrace: where the test noticed says nothing about the server.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
