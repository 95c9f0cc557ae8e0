//! What `--help` prints.

use std::fmt::Write;

use super::flags::{FLAGS, Field, Group};
use super::options::Options;

/// The short text, printed to standard error for a mistake in the flags and for `--help`.
pub(crate) const USAGE: &str = "\
Usage:

  ferrod [flags]
    Start a server.

  ferrod --version
    Show the version.

  ferrod -h | --help
    Show this text and all flags.

  ferrod --config-file PATH
    Start a server with the settings in a file; other flags and the environment are ignored.

Flags may be written with one dash or two. Each can also be given by a variable:
--data-dir by ETCD_DATA_DIR, and so on.
";

const GROUPS: [(Group, &str); 9] = [
    (Group::Member, "Member"),
    (Group::Clustering, "Clustering"),
    (Group::Security, "Security"),
    (Group::Auth, "Auth"),
    (Group::Monitoring, "Profiling and Monitoring"),
    (Group::Logging, "Logging"),
    (Group::Tracing, "Distributed tracing"),
    (Group::Tuning, "Features and tuning"),
    (Group::Unsafe, "Unsafe feature"),
];

/// The long text: every flag with its default, under the headings of etcd.
pub(crate) fn flags_text() -> String {
    let mut defaults = Options::default();
    let mut text = String::new();
    for (group, title) in GROUPS {
        writeln!(text, "\n{title}:").expect("a String takes any text");
        for flag in FLAGS.iter().filter(|flag| flag.group == group) {
            let default = match flag.name {
                "data-dir" => "${name}.etcd".to_owned(),
                _ => flag.field.show(&mut defaults),
            };
            let is_number = matches!(
                flag.field,
                Field::Unsigned(_) | Field::Unsigned32(_) | Field::Signed(_)
            );
            let quote = if is_number { "" } else { "'" };
            writeln!(text, "  --{} {quote}{default}{quote}", flag.name)
                .expect("a String takes any text");
            for line in flag.help.lines() {
                writeln!(text, "    {line}").expect("a String takes any text");
            }
        }
    }
    text.push_str("\nAn unsafe feature may break what the server promises otherwise.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_EXPECT=1` writes the file anew.
    #[test]
    fn the_help_text_is_the_one_on_file() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/help/help.txt");
        let text = format!("{USAGE}{}", flags_text());
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(path).unwrap());
    }

    #[test]
    fn every_flag_that_is_not_hidden_is_told() {
        let text = flags_text();
        for flag in FLAGS {
            let told = text.contains(&format!("  --{} ", flag.name));
            assert_eq!(told, flag.group != Group::Hidden, "{}", flag.name);
        }
    }
}
