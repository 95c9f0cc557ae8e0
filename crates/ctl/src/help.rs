//! Help screens in the shape of etcdctl's.

use clap::{Arg, ArgAction, Command};

use crate::cli::GROUPS;
use crate::syntax::Path;

const HINT: &str = "list of global command-line options (applies to all commands).";

/// Names in a list of commands are at least so wide.
const NAME_WIDTH_MIN: usize = 11;

/// The description of a command, then its usage.
pub(crate) fn help(path: &Path<'_>) -> String {
    let about = path
        .command()
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    format!("{about}\n\n{}", usage(path))
}

/// How a command is used: also what follows a complaint about its flags.
pub(crate) fn usage(path: &Path<'_>) -> String {
    let name = path.name();
    let program = name.split(' ').next().unwrap_or_default();
    usage_without_hint(path) + &format!("\nUse \"{program} options\" for a {HINT}\n")
}

/// The same for a command that is not one of a program's, but of a line of input.
pub(crate) fn usage_without_hint(path: &Path<'_>) -> String {
    let command = path.command();
    let name = path.name();
    let mut text = format!("Usage:\n  {}\n", usage_line(path));
    if command.has_subcommands() {
        text += &subcommands(path);
    }
    let flags = flag_list(own_flags(command));
    if !flags.is_empty() {
        text += &format!("\nFlags:\n{flags}");
    }
    if command.has_subcommands() {
        let hint = "for more information about a command.";
        text += &format!("\nUse \"{name} [command] --help\" {hint}\n");
    }
    text
}

/// The flags that every command takes.
pub(crate) fn options(root: &Command) -> String {
    let flags = flag_list(root.get_arguments().filter(|arg| arg.is_global_set()));
    format!("The following options can be passed to any command:\n\n{flags}")
}

fn usage_line(path: &Path<'_>) -> String {
    let (command, name) = (path.command(), path.name());
    if command.has_subcommands() {
        return format!("{name} [command]");
    }
    // clap keeps the text but not apart from the word "Usage:" that it puts before it.
    let usage = command.clone().render_usage().to_string();
    let own = usage.trim_start_matches("Usage:").trim();
    match own.strip_prefix(command.get_name()) {
        Some(arguments) if command.get_name() != "version" => {
            let arguments = arguments.trim();
            let flags = if arguments.is_empty() {
                "[flags]"
            } else {
                arguments
            };
            format!("{name} {flags}")
        }
        _ => name,
    }
}

fn subcommands(path: &Path<'_>) -> String {
    let visible = || {
        path.command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
    };
    let width = visible()
        .map(|c| c.get_name().len())
        .max()
        .unwrap_or(0)
        .max(NAME_WIDTH_MIN);
    let line = |command: &Command| {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        format!("  {:width$} {about}\n", command.get_name())
    };
    let list = |wanted: &dyn Fn(&str) -> bool| -> String {
        let mut commands: Vec<_> = visible().filter(|c| wanted(c.get_name())).collect();
        commands.sort_unstable_by_key(|command| command.get_name());
        commands.into_iter().map(line).collect()
    };
    if !path.is_root() {
        return format!("\nAvailable Commands:\n{}", list(&|_| true));
    }
    let group = |(title, names): &(&str, &[&str])| {
        Some(list(&|name| names.contains(&name)))
            .filter(|list| !list.is_empty())
            .map(|list| format!("\n{title}\n{list}"))
    };
    GROUPS.iter().filter_map(group).collect()
}

/// Flags of the command itself, those that all commands take excepted.
fn own_flags(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_root_flag = |arg: &Arg| arg.is_global_set() && arg.get_long() != Some("cluster");
    command
        .get_arguments()
        .filter(move |arg| !arg.is_positional() && !arg.is_hide_set() && !is_root_flag(arg))
}

/// A list in the layout of pflag: sorted, texts in one column, defaults that are not empty in parentheses.
fn flag_list<'a>(flags: impl Iterator<Item = &'a Arg>) -> String {
    let mut flags: Vec<&Arg> = flags.collect();
    flags.sort_unstable_by_key(|arg| arg.get_long());
    let width = flags.iter().map(|arg| left(arg).len()).max().unwrap_or(0);
    let line = |arg: &&Arg| {
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        format!("{:width$}   {about}{}\n", left(arg), default(arg))
    };
    flags.iter().map(line).collect()
}

fn left(arg: &Arg) -> String {
    let long = arg.get_long().unwrap_or_default();
    let names = match arg.get_short() {
        Some(short) => format!("  -{short}, --{long}"),
        None => format!("      --{long}"),
    };
    match kind(arg) {
        Some(kind) => format!("{names} {kind}"),
        None => names,
    }
}

fn kind(arg: &Arg) -> Option<&str> {
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    takes_value
        .then(|| arg.get_value_names()?.first().map(|name| name.as_str()))
        .flatten()
}

fn default(arg: &Arg) -> String {
    let value = arg
        .get_default_values()
        .first()
        .map(|v| v.to_string_lossy())
        .unwrap_or_default();
    match (kind(arg), arg.get_action()) {
        (None, ArgAction::SetFalse) => " (default true)".into(),
        (Some("string"), _) if !value.is_empty() => format!(" (default \"{value}\")"),
        (Some("strings"), _) => format!(" (default [{value}])"),
        (Some("duration"), _) => format!(" (default {value})"),
        (Some("int"), _) if value != "0" => format!(" (default {value})"),
        _ => String::new(),
    }
}
