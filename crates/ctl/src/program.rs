//! One run of the program, from its words to its exit code.

use std::ffi::OsString;
use std::io;
use std::path::Path as FilePath;

use crate::cli::{self, Ctl};
use crate::environment::Environment;
use crate::session::Session;
use crate::syntax::CommandLine;
use crate::{Error, Terminal, command, help};

/// The name under which the program shows what etcdctl does not have.
pub(crate) const FERROCTL: &str = "ferroctl";
const ETCDUTL: &str = "etcdutl";
const ETCDCTL: &str = "etcdctl";

/// Runs one command and returns the exit code of the process.
///
/// The first word is the name of the program: `etcdctl`, `etcdutl` or `ferroctl`, with or without a path; any other name
/// counts as `ferroctl`. Blocks until the command is done, in a runtime of its own.
pub fn run(
    words: impl IntoIterator<Item = OsString>,
    environment: Environment,
    mut terminal: Terminal<'_>,
) -> u8 {
    let mut words = words.into_iter();
    let program = program_name(words.next());
    let words: Vec<OsString> = words.collect();
    let outcome = run_command(program, &words, environment, &mut terminal);
    let outcome = outcome.and_then(|()| Ok(terminal.flush()?));
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            // If standard error is gone too there is nobody left to tell.
            let _ = report(program, &error, &mut terminal);
            error.exit_code()
        }
    }
}

fn program_name(word: Option<OsString>) -> &'static str {
    let name = word
        .as_ref()
        .and_then(|word| FilePath::new(word).file_stem()?.to_str());
    match name {
        Some(ETCDCTL) => ETCDCTL,
        Some(ETCDUTL) => ETCDUTL,
        _ => FERROCTL,
    }
}

fn report(program: &str, error: &Error, terminal: &mut Terminal<'_>) -> io::Result<()> {
    match error {
        Error::Reported => terminal.flush(),
        // etcdutl says it before and after the usage text.
        Error::Syntax { message, usage } if program == ETCDUTL => terminal.complain(format_args!(
            "Error: {message}\n{usage}\nError: {message}\n"
        )),
        Error::Syntax { message, usage } => {
            terminal.complain(format_args!("Error: {message}\n{usage}"))
        }
        // A reader that went away does not want to hear that it did.
        Error::Terminal(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        _ => terminal.complain(format_args!("Error: {error}\n")),
    }
}

fn run_command(
    program: &'static str,
    words: &[OsString],
    environment: Environment,
    terminal: &mut Terminal<'_>,
) -> Result<(), Error> {
    let tree = if program == ETCDUTL {
        cli::offline_tree()
    } else {
        cli::tree(program)
    };
    let line = CommandLine::parse(&tree, words).map_err(|message| {
        let usage = format!("Run '{program} --help' for usage.\n");
        Error::Syntax { message, usage }
    })?;
    let names: Vec<&str> = line.path.names().collect();
    if cli::is_absent(program, &names) {
        let name = line.path.name();
        return Err(Error::Unsupported(format!(
            "{name} is not available in this version"
        )));
    }
    let syntax = |message| Error::Syntax {
        message,
        usage: help::usage(&line.path),
    };
    if line.path.command().has_subcommands() && !line.help() {
        line.error()
            .map_or(Ok(()), |message| Err(syntax(message.to_owned())))?;
    }
    if line.path.command().has_subcommands() || line.help() {
        return Ok(terminal
            .output()
            .write_all(help::help(&line.path).as_bytes())?);
    }
    let ctl: Ctl = line.fill().map_err(syntax)?;
    let mut session = Session::new(program, &tree, &line, environment, ctl.globals, terminal);
    runtime()?.block_on(command::run(ctl.command, &mut session))
}

/// One thread is plenty for a client; a second one would only cost wake-ups.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
