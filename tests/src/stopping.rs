//! A member that is asked to stop ends, whatever its clients do.

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::member::Setup;

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
