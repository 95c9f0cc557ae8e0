//! The ferrod server.

use std::process::ExitCode;

use ferrod_server::config::{Startup, Surroundings};

fn main() -> ExitCode {
    let (config, log) = match Startup::read(&Surroundings::of_process()).begin() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let ended = ferrod_server::run(&config);
    let code = match ended {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            ferrod_server::fatal!(
                error = %ferrod_server::logging::error_chain(&error),
                "discovery failed"
            );
            ExitCode::FAILURE
        }
    };
    drop(log);
    code
}
