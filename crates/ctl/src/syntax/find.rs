//! Finding the command among the words.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};

use crate::go;

/// The commands from the root to the one that is meant.
#[derive(Clone)]
pub(crate) struct Path<'a>(Vec<&'a Command>);

impl<'a> Path<'a> {
    pub(crate) fn root(root: &'a Command) -> Path<'a> {
        Path(vec![root])
    }

    pub(crate) fn command(&self) -> &'a Command {
        self.0[self.0.len() - 1]
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Names from the root on, separated by blanks.
    pub(crate) fn name(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|command| command.get_name()).collect();
        names.join(" ")
    }

    /// Names below the root.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0[1..].iter().map(|command| command.get_name())
    }

    /// Flags that the command takes, its own first: those of its ancestors only if they are handed down.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'a Arg> {
        let command = self.command();
        let (above, own) = (&self.0[..self.0.len() - 1], command.get_arguments());
        let handed_down = above.iter().flat_map(|command| command.get_arguments());
        own.chain(handed_down.filter(|arg| arg.is_global_set()))
            .filter(|arg| !arg.is_positional())
    }

    pub(crate) fn long_flag(&self, name: &str) -> Option<&'a Arg> {
        self.flags().find(|arg| arg.get_long() == Some(name))
    }

    pub(crate) fn short_flag(&self, name: char) -> Option<&'a Arg> {
        self.flags().find(|arg| arg.get_short() == Some(name))
    }
}

/// Whether a flag means true when it stands alone.
pub(super) fn is_bool(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse)
}

/// Follows the words that are neither flags nor their values down the tree as far as they name commands.
///
/// Returns the path and the words without the command names.
///
/// # Errors
/// The text of cobra's complaint if a word in the first place names no command.
pub(crate) fn find<'a>(
    root: &'a Command,
    words: &[OsString],
) -> Result<(Path<'a>, Vec<OsString>), String> {
    let mut path = Path::root(root);
    let mut words = words.to_vec();
    while path.command().has_subcommands() {
        let Some(at) = first_argument(&path, &words) else {
            break;
        };
        match subcommand(path.command(), &words[at]) {
            Some(command) => path.0.push(command),
            None if path.is_root() => return Err(unknown_command(root, &words[at])),
            None => break,
        }
        words.remove(at);
    }
    Ok((path, words))
}

/// Position of the first word that is neither a flag nor the value of one. An unknown flag is taken to have a value.
fn first_argument(path: &Path<'_>, words: &[OsString]) -> Option<usize> {
    let mut skip = false;
    for (at, word) in words.iter().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        let text = word.to_string_lossy();
        if text == "--" {
            return None;
        }
        if text.is_empty() || text == "-" {
            continue;
        }
        match text.strip_prefix("--") {
            Some(name) if !name.contains('=') => {
                skip = name != "help" && path.long_flag(name).is_none_or(|arg| !is_bool(arg));
            }
            Some(_) => {}
            None if !text.starts_with('-') => return Some(at),
            None if text.len() == 2 && text != "-h" => {
                let flag = text.chars().nth(1).and_then(|name| path.short_flag(name));
                skip = flag.is_none_or(|arg| !is_bool(arg));
            }
            None => {}
        }
    }
    None
}

/// The subcommand with this name, or the only one whose name begins with it.
fn subcommand<'a>(command: &'a Command, word: &OsStr) -> Option<&'a Command> {
    let word = word.to_str()?;
    if let Some(exact) = command.find_subcommand(word) {
        return Some(exact);
    }
    let mut matching = command
        .get_subcommands()
        .filter(|c| c.get_name().starts_with(word));
    matching.next().filter(|_| matching.next().is_none())
}

/// Names that differ in at most so many letters are suggested.
const SUGGESTION_DISTANCE_MAX: usize = 2;

fn unknown_command(root: &Command, word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let lower = word.to_lowercase();
    let similar = |name: &&str| {
        strsim::levenshtein(&lower, name) <= SUGGESTION_DISTANCE_MAX || name.starts_with(&lower)
    };
    let visible = root
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let mut suggestions: Vec<&str> = visible.map(|c| c.get_name()).filter(similar).collect();
    suggestions.sort_unstable();
    let mut text = format!(
        "unknown command {} for {}",
        go::quote(word.as_bytes()),
        go::quote(root.get_name().as_bytes())
    );
    if !suggestions.is_empty() {
        text += "\n\nDid you mean this?\n";
        suggestions
            .iter()
            .for_each(|name| text += &format!("\t{name}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    fn check(words: &str, expected: &str) {
        let tree = cli::tree("etcdctl");
        let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        let found = match find(&tree, &words) {
            Ok((path, rest)) => {
                format!("{} | {}", path.name(), rest.join(OsStr::new(" ")).display())
            }
            Err(text) => text,
        };
        assert_eq!(found, expected, "{words:?}");
    }

    #[test]
    fn commands_are_found_behind_flags_and_by_prefix() {
        check("get a b", "etcdctl get | a b");
        check(
            "-w json --endpoints x get a",
            "etcdctl get | -w json --endpoints x a",
        );
        check("--hex get get", "etcdctl get | --hex get");
        check("compact 5", "etcdctl compaction | 5");
        check("mem li", "etcdctl member list | ");
        check("end --cluster stat", "etcdctl endpoint status | --cluster");
        check(
            "endpoint health --cluster",
            "etcdctl endpoint health | --cluster",
        );
    }

    #[test]
    fn an_unknown_word_below_a_group_is_left_to_the_group() {
        check("lease foo", "etcdctl lease | foo");
        check("lease", "etcdctl lease | ");
        check("", "etcdctl | ");
    }

    #[test]
    fn an_unknown_command_is_refused_with_suggestions() {
        check(
            "gett x",
            "unknown command \"gett\" for \"etcdctl\"\n\nDid you mean this?\n\tget\n",
        );
        check("zzzzzzz", "unknown command \"zzzzzzz\" for \"etcdctl\"");
    }

    #[test]
    fn an_unknown_flag_before_the_command_swallows_it() {
        check(
            "--nosuch get zzzzzzz",
            "unknown command \"zzzzzzz\" for \"etcdctl\"",
        );
        check("--nosuch=1 get a", "etcdctl get | --nosuch=1 a");
    }
}
