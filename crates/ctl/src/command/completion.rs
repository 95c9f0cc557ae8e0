//! `completion`.

use clap::Command;
use clap_complete::{Shell, generate};

use super::text;
use crate::Error;
use crate::help;
use crate::session::Session;

pub(super) fn run(args: crate::cli::Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let [word] = args.words.as_slice() else {
        let message = format!("accepts 1 arg(s), received {}", args.words.len());
        return Err(Error::Syntax {
            message,
            usage: help::usage(&session.line.path),
        });
    };
    let shell = match text(word).as_str() {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        "powershell" => Shell::PowerShell,
        other => {
            let (name, command) = (crate::go::quote(other.as_bytes()), session.line.path.name());
            return Err(Error::Failed(format!(
                "invalid argument {name} for \"{command}\""
            )));
        }
    };
    let mut script = Vec::new();
    generate(
        shell,
        &mut visible(session.tree),
        session.program,
        &mut script,
    );
    Ok(session.terminal.output().write_all(&script)?)
}

/// The tree without what is hidden: a script must not offer what is not there.
fn visible(command: &Command) -> Command {
    let subcommands = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let arguments = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set());
    Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .disable_help_subcommand(true)
        .args(arguments)
        .subcommands(subcommands.map(visible))
}
