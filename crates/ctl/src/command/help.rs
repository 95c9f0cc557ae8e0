//! `help` and `options`.

use crate::Error;
use crate::cli::Plain;
use crate::help;
use crate::session::Session;
use crate::syntax::{Path, find};

/// The screen of the command that the words name.
pub(super) fn run(args: Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    match find(session.tree, &args.words) {
        Ok((path, rest)) if rest.is_empty() || !path.is_root() => Ok(session
            .terminal
            .output()
            .write_all(help::help(&path).as_bytes())?),
        _ => {
            let words: Vec<_> = args
                .words
                .iter()
                .map(|word| word.to_string_lossy())
                .collect();
            let usage = help::usage(&Path::root(session.tree));
            let unknown = format!("Unknown help topic {}\n{usage}", topic(&words));
            Ok(session.terminal.complain(unknown)?)
        }
    }
}

/// A list of words as Go quotes it, with back quotes.
fn topic(words: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    format!("[{}]", quoted.join(" "))
}

/// The flags that every command takes.
pub(super) fn options(session: &mut Session<'_, '_>) -> Result<(), Error> {
    let screen = help::options(session.tree);
    Ok(session.terminal.output().write_all(screen.as_bytes())?)
}
