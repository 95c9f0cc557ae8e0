//! `watch -i`: a line starts a watcher or asks all of them for progress.

use std::ffi::OsString;

use clap::CommandFactory;
use ferrod_client::proto::WatchResponse;
use ferrod_client::{Client, WatchHandle};
use tokio::sync::mpsc;

use super::request::{self, FromEnvironment, Plan};
use super::{KEY, RANGE_END, show};
use crate::Error;
use crate::cli::WatchLine;
use crate::session::Session;
use crate::syntax::{CommandLine, tokens};
use crate::terminal;

/// Responses that may wait to be printed, over all watchers.
const RESPONSES_MAX: usize = 64;

/// A response with the number of the watcher that it came to.
type Numbered = (usize, Result<WatchResponse, ferrod_client::Error>);

/// The watchers started so far.
struct Watchers {
    client: Client,
    handles: Vec<WatchHandle>,
    exec: Vec<Vec<OsString>>,
    responses: mpsc::Sender<Numbered>,
}

pub(super) async fn run(
    environment: &FromEnvironment,
    session: &mut Session<'_, '_>,
) -> Result<(), Error> {
    let settings = session.settings(&[KEY, RANGE_END])?;
    let client = settings.client(None).await?.with_require_leader(true);
    let (sender, mut responses) = mpsc::channel(RESPONSES_MAX);
    let mut watchers = Watchers {
        client,
        handles: vec![],
        exec: vec![],
        responses: sender,
    };
    let mut lines = read_lines(session);
    loop {
        tokio::select! {
            biased;
            line = lines.recv() => match line {
                Some(line) => watchers.obey(&line, environment, session).await?,
                None => {
                    let reason = "error reading watch request line: EOF";
                    return Err(Error::InvalidInput(reason.into()));
                }
            },
            Some((number, response)) = responses.recv() => {
                let exec = watchers.exec[number].clone();
                show(response, &settings.style, &exec, session).await?;
            }
        }
    }
}

/// Lines of the input, read on a thread of their own. The channel closes at the end of the input.
fn read_lines(session: &mut Session<'_, '_>) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    if let Some(mut input) = session.terminal.take_input() {
        tokio::task::spawn_blocking(move || {
            while let Ok(Some(line)) = terminal::read_line(input.as_mut()) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
    }
    lines
}

impl Watchers {
    async fn obey(
        &mut self,
        line: &str,
        environment: &FromEnvironment,
        session: &mut Session<'_, '_>,
    ) -> Result<(), Error> {
        let words = tokens(line)?;
        let refusal = match words.first().map(|word| word.as_slice()) {
            None => format!("Invalid command: {line} (watch and progress supported)\n"),
            Some(b"watch") if words.len() < 2 && environment.key.is_empty() => {
                format!("Invalid command {line} (command type or key is not provided)\n")
            }
            Some(b"watch") => match plan(words, environment)? {
                Plan {
                    request: Some(request),
                    exec,
                } => {
                    self.start(request, exec);
                    return Ok(());
                }
                Plan { request: None, .. } => {
                    format!("Invalid command {line} ({})\n", request::EXCLUSIVE)
                }
            },
            Some(b"progress") => {
                for handle in &self.handles {
                    handle.request_progress().await;
                }
                return Ok(());
            }
            Some(_) => format!("Invalid command {line} (only support watch)\n"),
        };
        Ok(session.terminal.complain(refusal)?)
    }

    fn start(&mut self, request: ferrod_client::proto::WatchCreateRequest, exec: Vec<OsString>) {
        let mut watcher = self.client.watch(request);
        let number = self.handles.len();
        self.handles.push(watcher.handle());
        self.exec.push(exec);
        let responses = self.responses.clone();
        tokio::spawn(async move {
            while let Some(response) = watcher.next().await {
                if responses.send((number, response)).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Reads the words behind `watch`. Flags of the command line do not count here.
fn plan(words: Vec<Vec<u8>>, environment: &FromEnvironment) -> Result<Plan, Error> {
    let words: Vec<OsString> = words
        .into_iter()
        .skip(1)
        .map(super::super::os_string)
        .collect();
    let tree = WatchLine::command();
    let line = CommandLine::parse(&tree, &words).map_err(Error::BadArguments)?;
    let filled: WatchLine = line.fill().map_err(Error::BadArguments)?;
    request::plan(filled.watch, line.dash(), environment)
}
