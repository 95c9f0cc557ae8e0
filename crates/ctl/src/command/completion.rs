//! `completion`.

use clap_complete::{Shell, generate};

use super::text;
use crate::Error;
use crate::help;
use crate::session::Session;

pub(super) fn run(args: crate::cli::Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let [word] = args.words.as_slice() else {
        let message = format!("accepts 1 arg(s), received {}", args.words.len());
        return Err(Error::Syntax { message, usage: help::usage(&session.line.path) });
    };
    let shell = match text(word).as_str() {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        "powershell" => Shell::PowerShell,
        other => {
            let (name, command) = (crate::go::quote(other.as_bytes()), session.line.path.name());
            return Err(Error::Failed(format!("invalid argument {name} for \"{command}\"")));
        }
    };
    let mut script = Vec::new();
    generate(shell, &mut session.tree.clone(), session.program, &mut script);
    Ok(session.terminal.output().write_all(&script)?)
}
