//! The rules of `deny.toml`: by cargo-deny where it is installed, else as far as cargo's own metadata goes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::metadata::{Metadata, Package};
use crate::shell;

#[derive(Debug, Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
    /// The crate is welcome, but only once.
    #[serde(default, rename = "deny-multiple-versions")]
    only_once: bool,
}

/// Everything that breaks a rule.
pub(super) fn faults(root: &Path, metadata: &Metadata) -> Result<Vec<String>> {
    if std::process::Command::new("cargo-deny")
        .arg("--version")
        .output()
        .is_ok()
    {
        let mut deny = std::process::Command::new("cargo-deny");
        deny.current_dir(root).args(["--all-features", "check"]);
        return Ok(shell::run(&mut deny)
            .err()
            .map(|e| e.to_string())
            .into_iter()
            .collect());
    }
    eprintln!(
        "deps: cargo-deny is not installed: licences, bans and duplicates are checked here, \
         ADVISORIES ARE NOT CHECKED"
    );
    let text = std::fs::read_to_string(root.join("deny.toml")).context("read deny.toml")?;
    let rules: Deny = toml::from_str(&text).context("read deny.toml")?;
    let mut faults: Vec<String> = Vec::new();
    for package in metadata.foreign() {
        faults.extend(licence_fault(package, &rules.licenses.allow));
        let banned = rules
            .bans
            .deny
            .iter()
            .find(|b| !b.only_once && b.name == package.name);
        faults.extend(banned.map(|b| format!("{} is banned: {}", b.name, b.reason)));
    }
    faults.extend(duplicate_faults(metadata, &rules.bans.deny));
    Ok(faults)
}

fn licence_fault(package: &Package, allowed: &[String]) -> Option<String> {
    let Some(licence) = &package.license else {
        return Some(format!("{} names no licence", package.name));
    };
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return Some(format!(
            "{}: cannot read the licence {licence:?}",
            package.name
        ));
    };
    let good = expression.evaluate(|requirement| {
        let text = requirement.to_string();
        allowed.contains(&text)
    });
    (!good).then(|| format!("{}: the licence {licence} is not allowed", package.name))
}

fn duplicate_faults(metadata: &Metadata, rules: &[Banned]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in metadata.foreign() {
        versions
            .entry(&package.name)
            .or_default()
            .push(&package.version);
    }
    versions.retain(|_, v| v.len() > 1);
    let shown: Vec<&str> = versions.keys().copied().collect();
    eprintln!(
        "deps: {} crates come in several versions: {}",
        shown.len(),
        shown.join(", ")
    );
    let mut faults = Vec::new();
    for rule in rules.iter().filter(|rule| rule.only_once) {
        if let Some(versions) = versions.get(rule.name.as_str()) {
            faults.push(format!(
                "{} comes as {}: {}",
                rule.name,
                versions.join(", "),
                rule.reason
            ));
        }
    }
    faults
}
