//! Automation of the ferrod workspace: `cargo xtask help` lists the commands.

mod bench;
mod check;
mod ci;
mod cluster;
mod codegen;
mod deps;
mod e2e;
mod install;
mod metadata;
mod shell;
mod sim;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Automation of the ferrod workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that continuous integration does, in its order
    Ci,
    /// The fast loop: format, lints, deps, tidy, unit tests
    Check,
    /// Writes the Rust that is generated from `proto/`
    Codegen {
        /// Only compares with what is committed
        #[arg(long)]
        check: bool,
    },
    /// Arrows between crates, licences, duplicates
    Deps {
        /// Also builds each crate alone, with default and with no features
        #[arg(long)]
        full: bool,
    },
    /// Leftovers and missing module docs; long files and functions are only reported
    Tidy,
    /// Tests of whole processes against real etcd and real clients; without arguments all of them
    E2e {
        /// A suite and its options; `cargo xtask e2e help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measures ferrod beside etcd; `cargo xtask bench --help` lists the options
    #[command(disable_help_flag = true)]
    Bench {
        /// Options of the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Simulated clusters under every trouble, each from a seed; `cargo xtask sim --help` lists the options
    #[command(disable_help_flag = true)]
    Sim {
        /// Options of the simulator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// A cluster of three members on this machine, to try things on
    Cluster {
        /// What to do
        #[command(subcommand)]
        action: cluster::Action,
    },
    /// Fetches what the end-to-end tests need into `target/tools`
    Install {
        /// Only these; without names all
        names: Vec<install::Tool>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace");
    match command {
        Command::Ci => ci::run(root),
        Command::Check => check::run(root),
        Command::Codegen { check } => codegen::run(root, check),
        Command::Deps { full } => deps::run(root, full),
        Command::Tidy => tidy::run(root),
        Command::E2e { args } => e2e::run(root, &args),
        Command::Bench { args } => bench::run(root, &args),
        Command::Sim { args } => sim::run(root, &args),
        Command::Cluster { action } => cluster::run(root, action),
        Command::Install { names } => install::run(root, &names),
    }
}
