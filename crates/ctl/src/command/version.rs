//! `version`.

use crate::Error;
use crate::program::FERROCTL;
use crate::session::Session;

/// The etcd version whose behaviour is matched. Tools parse it.
const VERSION: &str = "3.7.1";
const API_VERSION: &str = "3.7";

/// Prints what etcd's tools print; under our own name, our own version too.
pub(super) fn run(session: &mut Session<'_, '_>) -> Result<(), Error> {
    let (program, own) = match session.program {
        FERROCTL => (
            "etcdctl",
            concat!("ferroctl version: ", env!("CARGO_PKG_VERSION"), "\n"),
        ),
        program => (program, ""),
    };
    let text = format!("{program} version: {VERSION}\nAPI version: {API_VERSION}\n{own}");
    Ok(session.terminal.output().write_all(text.as_bytes())?)
}
