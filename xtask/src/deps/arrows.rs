//! The arrows between crates, and the third-party crates that only few may name.
//!
//! A new arrow is a visible decision: it changes this table, in a commit of its own.

use crate::metadata::{Metadata, Package};

/// Each crate and what it may depend on. Arrows only point upwards.
const ARROWS: &[(&str, &[&str])] = &[
    ("env", &[]),
    ("proto", &[]),
    ("metrics", &[]),
    ("wal", &["env"]),
    ("mvcc", &[]),
    ("watch", &[]),
    ("lease", &[]),
    ("auth", &[]),
    ("node", &["env", "wal"]),
    ("bolt", &[]),
    ("snapshot", &["bolt", "mvcc", "proto"]),
    ("store", &["mvcc", "lease", "auth", "proto"]),
    ("tls", &[]),
    ("client", &["proto", "tls"]),
    (
        "ctl",
        &[
            "client", "snapshot", "node", "wal", "mvcc", "bolt", "proto",
            // `debug wal-dump` hands the real disk to the reader of the log.
            "env",
        ],
    ),
    ("gateway", &["proto"]),
    (
        "server",
        &[
            "env", "proto", "metrics", "wal", "mvcc", "watch", "lease", "auth", "node", "bolt",
            "snapshot", "store", "tls", "gateway",
        ],
    ),
];

/// The two programs, which are thin.
const PROGRAMS: &[(&str, &[&str])] = &[("ferrod", &["server"]), ("ferroctl", &["ctl"])];

/// Third-party crates with the only crates that may name them.
const FENCES: &[(&str, &[&str])] = &[
    ("raft", &["node"]),
    ("protobuf", &["node"]),
    ("heed", &["mvcc"]),
    ("tonic", &["proto", "client", "gateway", "server"]),
    ("hyper", &["gateway", "server"]),
    (
        "tokio",
        &["client", "ctl", "gateway", "server", "ferrod", "ferroctl"],
    ),
];

/// Packages that may use anything and are never published.
const FREE: &[&str] = &["xtask", "ferrod-tests"];

/// Every manifest line that the tables do not allow.
pub(super) fn faults(metadata: &Metadata) -> Vec<String> {
    let checked = metadata
        .members()
        .filter(|p| !FREE.contains(&p.name.as_str()));
    checked.flat_map(faults_of).collect()
}

fn faults_of(package: &Package) -> Vec<String> {
    let name = short(&package.name);
    let Some(position) = ARROWS.iter().position(|(n, _)| *n == name) else {
        return match PROGRAMS.iter().find(|(n, _)| *n == package.name) {
            Some((_, allowed)) => check(package, allowed, &[]),
            None => vec![format!("{} is not in the table of crates", package.name)],
        };
    };
    // Tests of a crate may use any crate above it: that makes no cycle.
    let above: Vec<&str> = ARROWS[..=position].iter().map(|(n, _)| *n).collect();
    check(package, ARROWS[position].1, &above)
}

fn check(package: &Package, allowed: &[&str], in_tests: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let name = short(&package.name);
    for dependency in &package.dependencies {
        let (on, dev) = (
            short(&dependency.name),
            dependency.kind.as_deref() == Some("dev"),
        );
        let ours = dependency.name.starts_with("ferrod-");
        // Feature `planted` asks the outermost crate which bug a simulation has planted; no program has the feature.
        let planted = dependency.optional && on == "env";
        let may = allowed.contains(&on) || (dev && in_tests.contains(&on)) || planted;
        if ours && !may {
            faults.push(format!("{name} may not depend on {on}"));
        }
        let fence = FENCES.iter().find(|(n, _)| *n == dependency.name);
        if let Some((_, inside)) = fence
            && !dev
            && !inside.contains(&name)
        {
            faults.push(format!(
                "{name} may not name {}: only {inside:?} may",
                dependency.name
            ));
        }
    }
    faults
}

fn short(name: &str) -> &str {
    name.strip_prefix("ferrod-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn package(name: &str, on: &str, kind: Option<&str>) -> Metadata {
        let dependency = Dependency {
            name: on.to_owned(),
            kind: kind.map(str::to_owned),
            optional: false,
        };
        let package = Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            license: None,
            dependencies: vec![dependency],
            source: None,
            manifest_path: String::new(),
        };
        Metadata {
            packages: vec![package],
        }
    }

    #[test]
    fn arrows_point_upwards() {
        assert!(ARROWS.iter().enumerate().all(|(at, (_, allowed))| {
            allowed
                .iter()
                .all(|on| ARROWS[..at].iter().any(|(name, _)| name == on))
        }));
    }

    #[test]
    fn a_forbidden_arrow_is_a_fault() {
        assert_eq!(
            faults(&package("ferrod-wal", "ferrod-env", None)),
            Vec::<String>::new()
        );
        assert_eq!(
            faults(&package("ferrod-wal", "ferrod-mvcc", None)),
            ["wal may not depend on mvcc"]
        );
        assert!(faults(&package("ferrod-store", "ferrod-wal", Some("dev"))).is_empty());
        assert_eq!(faults(&package("ferrod-wal", "tokio", None)).len(), 1);
        assert_eq!(faults(&package("stranger", "rand", None)).len(), 1);
    }
}
