//! The command that runs for each event.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use ferrod_client::proto::{Event, EventType};

use crate::Error;
use crate::go;
use crate::session::Session;

/// Runs the command to its end. It gets no input, and the event in its environment.
pub(super) async fn run(
    words: &[OsString],
    revision: i64,
    event: &Event,
    session: &mut Session<'_, '_>,
) -> Result<(), Error> {
    let kind = match event.r#type() {
        EventType::Put => "PUT",
        EventType::Delete => "DELETE",
    };
    let kv = event.kv.clone().unwrap_or_default();
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .env("ETCD_WATCH_REVISION", revision.to_string())
        .env("ETCD_WATCH_EVENT_TYPE", go::quote(kind.as_bytes()))
        .env("ETCD_WATCH_KEY", go::quote(&kv.key))
        .env("ETCD_WATCH_VALUE", go::quote(&kv.value));
    let name = words[0].to_string_lossy().into_owned();
    // On a thread of its own, so that the connection stays alive meanwhile.
    let status = tokio::task::spawn_blocking(move || command.status()).await;
    let failure = match status {
        Ok(Ok(status)) if status.success() => return Ok(()),
        Ok(Ok(status)) => ended(status),
        Ok(Err(error)) => not_started(&name, &error),
        Err(error) => error.to_string(),
    };
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_encoded_bytes()).collect();
    let words = go::quote_list(&words);
    session
        .terminal
        .complain(format_args!("command {words} error ({failure})\n"))?;
    Err(Error::Reported)
}

fn ended(status: std::process::ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit status {code}"),
        None => signal(status),
    }
}

#[cfg(unix)]
fn signal(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(9) => "signal: killed".into(),
        Some(15) => "signal: terminated".into(),
        Some(number) => format!("signal: {number}"),
        None => status.to_string(),
    }
}

#[cfg(not(unix))]
fn signal(status: std::process::ExitStatus) -> String {
    status.to_string()
}

fn not_started(name: &str, error: &std::io::Error) -> String {
    if error.kind() != std::io::ErrorKind::NotFound {
        return error.to_string();
    }
    if name.contains('/') {
        return format!("fork/exec {name}: no such file or directory");
    }
    format!(
        "exec: {}: executable file not found in $PATH",
        go::quote(name.as_bytes())
    )
}
