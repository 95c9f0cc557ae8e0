//! Simulated clusters as a program; `cargo xtask sim` builds and runs it.

use std::process::ExitCode;

use clap::Parser;
use ferrod_tests::sim;

/// Clusters in one thread, each from a seed, under every trouble, judged by every promise.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Cli {
    #[command(flatten)]
    options: sim::Options,
}

fn main() -> ExitCode {
    match sim::run(&Cli::parse().options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
