//! Asking for a password.

use std::process::{Command, Stdio};

use crate::{Error, Terminal};

/// Prompts on standard output and reads one line, with the terminal's echo off if there is a terminal.
pub(super) fn ask(prompt: &str, terminal: &mut Terminal<'_>) -> Result<String, Error> {
    write!(terminal.output(), "{prompt}")?;
    terminal.flush()?;
    set_echo(false);
    let line = terminal.read_line();
    set_echo(true);
    terminal.say("")?;
    let line = line?.ok_or_else(|| Error::bad_arguments("failed to ask password: EOF"))?;
    Ok(String::from_utf8_lossy(&line)
        .trim_end_matches('\r')
        .to_owned())
}

/// Without a terminal the command fails, and nobody would see an echo.
fn set_echo(on: bool) {
    let argument = if on { "echo" } else { "-echo" };
    let _ = Command::new("stty")
        .arg(argument)
        .stderr(Stdio::null())
        .status();
}
