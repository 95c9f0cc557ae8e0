//! The form of a script.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// One command.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) args: Vec<String>,
    pub(super) stdin: String,
    /// Name under which the first long hexadecimal number of the output is kept.
    pub(super) catches: Option<char>,
    /// The command is ended after so many lines.
    pub(super) lines_max: Option<usize>,
    pub(super) only_etcdctl: bool,
    /// A later etcdctl prints something else.
    pub(super) changed_later: bool,
}

/// Reads a script.
pub(super) fn parse(script: &str) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    for (at, line) in script.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(input) = line.strip_prefix('|') {
            let Some(last) = lines.last_mut() else {
                bail!("line {}: no command", at + 1)
            };
            last.stdin
                .push_str(input.strip_prefix(' ').unwrap_or(input));
            last.stdin.push('\n');
            continue;
        }
        let Some((marks, text)) = line.split_once("$ ").or_else(|| line.split_once('$')) else {
            bail!("line {} is no command: {line}", at + 1);
        };
        let digits: String = marks.chars().filter(char::is_ascii_digit).collect();
        lines.push(Line {
            number: at + 1,
            text: text.to_owned(),
            args: text.split_whitespace().map(str::to_owned).collect(),
            stdin: String::new(),
            catches: marks.chars().find(char::is_ascii_uppercase),
            lines_max: digits.parse().ok(),
            only_etcdctl: marks.contains('@'),
            changed_later: marks.contains('~'),
        });
    }
    Ok(lines)
}

/// Numbers that were caught, by name.
#[derive(Debug, Default)]
pub(super) struct Names {
    caught: BTreeMap<char, String>,
}

impl Names {
    /// Keeps the first long hexadecimal number of `output`.
    pub(super) fn catch(&mut self, name: char, output: &str) {
        let words = output.split(|c: char| !c.is_ascii_alphanumeric());
        let mut numbers =
            words.filter(|w| w.len() >= 12 && w.chars().all(|c| c.is_ascii_hexdigit()));
        self.caught
            .insert(name, numbers.next().unwrap_or("0").to_owned());
    }

    /// Puts numbers where their names are.
    pub(super) fn fill(&self, args: &[String]) -> Vec<String> {
        let fill = |arg: &String| {
            let replace = |arg: String, (name, number): (&char, &String)| {
                arg.replace(&format!("{{{name}}}"), number)
            };
            self.caught.iter().fold(arg.clone(), replace)
        };
        args.iter().map(fill).collect()
    }

    /// Puts names where their numbers are.
    pub(super) fn hide(&self, output: &str) -> String {
        let hide = |text: String, (name, number): (&char, &String)| {
            text.replace(number.as_str(), &name.to_string())
        };
        self.caught.iter().fold(output.to_owned(), hide)
    }
}
