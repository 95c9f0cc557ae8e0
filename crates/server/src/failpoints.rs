//! Failpoints of test builds (`--features failpoints`): named places in the code where a test can
//! make a member fail, wait or die.
//!
//! They are set with the variable `GOFAIL_FAILPOINTS` (`name=terms;name=terms`) before the start,
//! and at any time on the port of `GOFAIL_HTTP`, in the form of etcd's failpoint library, so that
//! harnesses written for etcd can drive a member. The places themselves are calls of
//! `fail::fail_point!`, which are nothing in other builds.

mod names;
mod port;
mod table;
mod terms;

use std::net::SocketAddr;

pub use names::NAMES;
use table::Table;

use crate::member::Error;

/// Sets what the environment asks for, and serves the port if it names one. Returns its address.
///
/// # Errors
/// [`Error::Start`] if a variable makes no sense; [`Error::System`] if the port cannot be served.
pub fn start() -> Result<Option<SocketAddr>, Error> {
    let table = Table::new();
    if let Ok(list) = std::env::var("GOFAIL_FAILPOINTS") {
        table
            .set_list(&list)
            .map_err(|reason| Error::Start(format!("GOFAIL_FAILPOINTS: {reason}")))?;
    }
    let Ok(address) = std::env::var("GOFAIL_HTTP") else {
        return Ok(None);
    };
    let address = address.parse::<SocketAddr>().map_err(|reason| {
        Error::Start(format!(
            "GOFAIL_HTTP={address}: {reason}; give an address such as 127.0.0.1:22381"
        ))
    })?;
    port::serve(address, table).map(Some)
}

#[cfg(test)]
mod tests;
