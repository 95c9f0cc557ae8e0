//! The ferrod server.

use std::process::ExitCode;

use ferrod_server::config::{Startup, Surroundings};
use ferrod_server::{Ended, Signal};

/// Half of a put is small allocations; this one makes them cheap, and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (config, log) = match Startup::read(&Surroundings::of_process()).begin() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    log.end_process_on_panic();
    match ferrod_server::run(&config) {
        Ok(ended) => {
            log.flush();
            match ended {
                Ended::Signal(signal) => end_by(signal),
                Ended::Removed => ExitCode::SUCCESS,
            }
        }
        Err(error) => {
            let error = ferrod_server::logging::error_chain(&error);
            ferrod_server::fatal!(error = %error, "discovery failed");
            log.flush();
            ExitCode::FAILURE
        }
    }
}

/// Ends as the signal would have ended the process, so that its parent sees what happened.
fn end_by(signal: Signal) -> ExitCode {
    // The first process of a container has no default action; it just ends.
    if std::process::id() != 1 {
        // If the system does not end the process, it ends by itself.
        let _ = signal_hook::low_level::emulate_default_handler(signal.number());
    }
    ExitCode::SUCCESS
}
