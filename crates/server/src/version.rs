//! The versions that clients, tools and people see.

/// The etcd version whose behaviour this server matches. Clients switch behaviour by it.
pub const ETCD_VERSION: &str = "3.7.1";

/// [`ETCD_VERSION`] without its patch number: the cluster version of a cluster of such members.
pub const ETCD_MINOR_VERSION: &str = "3.7";

/// The lowest version of a cluster that this server can be a member of.
pub const ETCD_MIN_CLUSTER_VERSION: &str = "3.0.0";

/// ferrod's own version.
pub const FERROD_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `--version` prints: etcd's four lines, the first of which tools search, then ferrod's own.
#[must_use]
pub fn report() -> String {
    format!(
        "etcd Version: {ETCD_VERSION}\nGit SHA: {sha}\nGo Version: {runtime}\nGo OS/Arch: {os}/{arch}\n\
         ferrod Version: {FERROD_VERSION}\n",
        sha = git_sha(),
        runtime = runtime(),
        os = os(),
        arch = arch(),
    )
}

/// The commit this was built from, where the build told, by the variable `FERROD_GIT_SHA`.
#[must_use]
pub fn git_sha() -> &'static str {
    option_env!("FERROD_GIT_SHA").unwrap_or("unknown")
}

/// What stands where etcd names its Go runtime.
#[must_use]
pub fn runtime() -> &'static str {
    "none (Rust)"
}

/// The operating system by Go's name for it.
#[must_use]
pub fn os() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// The processor architecture by Go's name for it.
#[must_use]
pub fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_one_that_tools_search() {
        let report = report();
        let lines: Vec<&str> = report.lines().collect();
        assert_eq!(lines[0], "etcd Version: 3.7.1");
        assert!(lines[1].starts_with("Git SHA: "));
        assert!(lines[2].starts_with("Go Version: "));
        assert!(lines[3].starts_with("Go OS/Arch: "));
        assert_eq!(lines[4], format!("ferrod Version: {FERROD_VERSION}"));
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn the_minor_version_is_the_start_of_the_version() {
        assert!(ETCD_VERSION.starts_with(&format!("{ETCD_MINOR_VERSION}.")));
    }
}
