//! `cargo xtask tidy`: what no lint sees. Leftovers and missing module docs are faults; long files and functions are
//! reported, because sometimes they are right.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// Files above this are shown.
const LONG_FILE: usize = 500;
/// Functions above this are shown.
const LONG_FUNCTION: usize = 70;

/// Checks every Rust file of the workspace but generated ones.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut files = Vec::new();
    for folder in ["crates", "tests", "xtask"] {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut faults = 0;
    for file in &files {
        let text = std::fs::read_to_string(file)?;
        let shown = file.strip_prefix(root).unwrap_or(file).display();
        for fault in faults_in(file, &text) {
            eprintln!("tidy: {shown}: {fault}");
            faults += 1;
        }
        for remark in remarks_on(&text) {
            eprintln!("tidy: {shown}: {remark} (only a remark)");
        }
    }
    ensure!(faults == 0, "{faults} faults in {} files", files.len());
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "generated" && name != "target" {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn faults_in(file: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // The tests of a module belong to its doc.
    let tests = file.file_name().is_some_and(|n| n == "tests.rs");
    if !tests && !text.trim_start().starts_with("//!") {
        faults.push("begins without a module doc".to_owned());
    }
    if file.file_name().is_some_and(|n| n == "mod.rs") {
        faults.push("use foo.rs beside foo/ instead of mod.rs".to_owned());
    }
    // Split, so that this file does not find itself.
    for word in [
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK:"),
    ] {
        for (at, line) in text.lines().enumerate() {
            if line.contains(word) {
                faults.push(format!(
                    "line {}: {word} does not reach the main branch",
                    at + 1
                ));
            }
        }
    }
    faults
}

fn remarks_on(text: &str) -> Vec<String> {
    let mut remarks = Vec::new();
    let lines = text.lines().count();
    if lines > LONG_FILE {
        remarks.push(format!("{lines} lines"));
    }
    remarks.extend(long_functions(text));
    remarks
}

/// Functions are found by the indentation that rustfmt gives their first and last lines.
fn long_functions(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let body = line.trim_start();
        let indent = &line[..line.len() - body.len()];
        if let Some((start, before, name)) = &open {
            if body == "}" && indent == *before {
                if at - start > LONG_FUNCTION {
                    found.push(format!("{name} has {} lines", at - start));
                }
                open = None;
            }
        } else if let Some((_, after)) = body.split_once("fn ")
            && !body.starts_with("//")
            && !body.ends_with(';')
        {
            let name = after.split(['(', '<']).next().unwrap_or(after);
            open = Some((at, indent, name.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_functions_are_found_by_indentation() {
        let body = "        x();\n".repeat(LONG_FUNCTION + 5);
        let text =
            format!("impl A {{\n    fn short() {{\n    }}\n    fn long() {{\n{body}    }}\n}}\n");
        assert_eq!(
            long_functions(&text),
            [format!("long has {} lines", LONG_FUNCTION + 6)]
        );
    }

    #[test]
    fn leftovers_are_faults() {
        let word = concat!("FIX", "ME");
        let text = format!("//! Doc.\n// {word} later\n");
        assert_eq!(faults_in(Path::new("a.rs"), &text).len(), 1);
        assert_eq!(faults_in(Path::new("a/mod.rs"), "fn x() {}\n").len(), 2);
    }
}
