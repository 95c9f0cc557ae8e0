//! Flags that parse but whose features a later version brings. None is ever passed over in silence.

use crate::Error;
use crate::cli::GlobalFlags;

/// Refuses by name. `is_set` tells whether flag or environment set a flag.
pub(super) fn check(flags: &GlobalFlags, is_set: impl Fn(&str) -> bool) -> Result<(), Error> {
    let files = [
        ("cert", &flags.cert),
        ("key", &flags.key),
        ("cacert", &flags.cacert),
    ];
    for (name, value) in files {
        if value.is_empty() && is_set(name) {
            let reason = format!("empty string is passed to --{name} option");
            return Err(Error::BadArguments(reason));
        }
    }
    let missing = [
        ("cert", !flags.cert.is_empty(), "TLS"),
        ("key", !flags.key.is_empty(), "TLS"),
        ("cacert", !flags.cacert.is_empty(), "TLS"),
        (
            "insecure-skip-tls-verify",
            flags.insecure_skip_tls_verify,
            "TLS",
        ),
        ("insecure-transport=false", !flags.insecure_transport, "TLS"),
        ("insecure-discovery=false", !flags.insecure_discovery, "TLS"),
    ];
    match missing.into_iter().find(|(_, used, _)| *used) {
        None => Ok(()),
        Some((name, _, feature)) => {
            let reason =
                format!("--{name} needs {feature}, which is not available in this version");
            Err(Error::Unsupported(reason))
        }
    }
}
