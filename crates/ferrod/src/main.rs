//! The ferrod server.

use std::process::ExitCode;

use ferrod_server::config::{Startup, Surroundings};
use ferrod_server::{Ended, Signal};

/// Half of a put is small allocations; this one makes them cheap, and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
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

/// Does without transparent huge pages: a buffer that begins to grow would have 2 MiB cleared for it, and whoever waits for
/// that thread waits with it. Beside writers that keep all cores busy this doubled the p99 of reads.
fn keep_pages_small() {
    #[cfg(target_os = "linux")]
    {
        // Without the right to say so, as without Linux, it is as the system does it.
        let _ = rustix::thread::disable_transparent_huge_pages(true);
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn pages_stay_small() {
        keep_pages_small();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let huge = status
            .lines()
            .find_map(|line| line.strip_prefix("THP_enabled:"));
        assert_eq!(huge.map(str::trim), Some("0"));
    }
}
