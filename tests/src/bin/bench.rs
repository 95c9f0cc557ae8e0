//! The benchmark as a program; `cargo xtask bench` builds and runs it.

use std::process::ExitCode;

use clap::Parser;
use ferrod_tests::bench;

/// Measures ferrod and a peer with the same work.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Command {
    #[command(flatten)]
    options: bench::Options,
}

fn main() -> ExitCode {
    match bench::run(&Command::parse().options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
