//! A member that is asked to stop ends, whatever its clients do.

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::clock::now;
use crate::member::Setup;

/// How long a start may take until it waits; far more than it needs.
const PATIENCE: Duration = Duration::from_secs(60);
const STOPS: usize = 6;
const CALLERS: usize = 3;

/// Connections come and go all the while the member is asked to stop, several times over.
///
/// # Errors
/// If it does not end in good order.
pub fn ends_while_connections_come(binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let setup = Setup::new(binary, folder.path())?;
    for _ in 0..STOPS {
        let member = setup.start()?;
        let place = ("127.0.0.1", setup.client_port());
        let calling = AtomicBool::new(true);
        let status = std::thread::scope(|threads| {
            for _ in 0..CALLERS {
                threads.spawn(|| {
                    while calling.load(Ordering::Relaxed) {
                        // Refused once it has stopped to listen.
                        drop(TcpStream::connect(place));
                    }
                });
            }
            let status = member.ask_to_stop().and_then(|()| member.end());
            calling.store(false, Ordering::Relaxed);
            status
        })?;
        // In good order it ends as its signal says, as etcd does.
        let is_orderly = status.signal() == Some(Signal::TERM.as_raw());
        ensure!(is_orderly, "it ended with {status}");
    }
    Ok(())
}

/// A member that waits for others, who do not come, is asked to stop: it ends in good order all the same.
///
/// # Errors
/// If it just ends, or does not.
pub fn ends_while_it_waits_for_others(binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let setup = Setup::cluster(binary, folder.path(), 3)?.swap_remove(0);
    let member = setup.spawn()?;
    let says = |words: &str| {
        let log = std::fs::read_to_string(setup.log_path()).unwrap_or_default();
        log.contains(words)
    };
    let patience = now() + PATIENCE;
    while !says("serving peer traffic") {
        ensure!(now() < patience, "it never begins\n{}", setup.log_tail(8));
        std::thread::park_timeout(Duration::from_millis(5));
    }
    member.ask_to_stop()?;
    let status = member.end()?;
    let is_orderly = status.signal() == Some(Signal::TERM.as_raw());
    ensure!(is_orderly, "it ended with {status}");
    ensure!(says("closed etcd server"), "it just ended");
    Ok(())
}
