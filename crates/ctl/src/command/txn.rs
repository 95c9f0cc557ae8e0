//! `txn`: three sections of standard input.

use std::ffi::OsString;

use clap::CommandFactory;
use ferrod_client::proto::request_op::Request as Op;
use ferrod_client::proto::{RequestOp, TxnRequest};

use super::{del, get, os_string, put};
use crate::cli::{Request, RequestLine, Txn};
use crate::session::{Session, Timeout};
use crate::syntax::{CommandLine, parse_compare, tokens};
use crate::{Error, Terminal, help};

pub(super) async fn run(args: Txn, session: &mut Session<'_, '_>) -> Result<(), Error> {
    if !args.words.is_empty() {
        return Err(Error::bad_arguments("txn command does not accept argument"));
    }
    let (client, style) = session.client(Timeout::Never).await?;
    // Each section is judged before the next is read.
    let mut input = Input {
        prompts: args.interactive,
        terminal: session.terminal,
    };
    let compares = input.section("compares:")?;
    let compare = compares
        .iter()
        .map(|line| parse_compare(line))
        .collect::<Result<_, _>>()?;
    let success = input.requests("success requests (get, put, del):")?;
    let failure = input.requests("failure requests (get, put, del):")?;
    let answer = client
        .txn(TxnRequest {
            compare,
            success,
            failure,
        })
        .await?;
    session.show(&answer, &style)
}

/// The three sections as they come.
struct Input<'a, 'b> {
    prompts: bool,
    terminal: &'a mut Terminal<'b>,
}

impl Input<'_, '_> {
    /// Lines up to an empty one, each without blanks around it.
    fn section(&mut self, prompt: &str) -> Result<Vec<String>, Error> {
        if self.prompts {
            self.terminal.say(prompt)?;
        }
        let mut lines = Vec::new();
        loop {
            let line = self.terminal.read_line()?;
            let line = line.ok_or_else(|| Error::InvalidInput("EOF".into()))?;
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            if line.is_empty() {
                return Ok(lines);
            }
            lines.push(line);
        }
    }

    fn requests(&mut self, prompt: &str) -> Result<Vec<RequestOp>, Error> {
        let lines = self.section(prompt)?;
        lines
            .iter()
            .map(|line| parse_request(line, self.terminal))
            .collect()
    }
}

/// Reads one request with the parsers of the commands of the same names.
fn parse_request(line: &str, terminal: &mut Terminal<'_>) -> Result<RequestOp, Error> {
    let words = tokens(line)?;
    if words.len() < 2 {
        return Err(Error::InvalidInput(format!(
            "invalid txn compare request: {line}"
        )));
    }
    let words: Vec<OsString> = words.into_iter().map(os_string).collect();
    let refused = || Error::InvalidInput(format!("invalid txn request: {line}"));
    let tree = RequestLine::command();
    let line = CommandLine::parse(&tree, &words).map_err(|_| refused())?;
    if line.help() || line.path.is_root() {
        return Err(refused());
    }
    let filled: RequestLine = match line.fill() {
        Ok(filled) => filled,
        Err(_) => {
            terminal.complain(help::usage_without_hint(&line.path) + "\n")?;
            return Err(refused());
        }
    };
    let op = match filled.request {
        Request::Get(args) => Op::RequestRange(get::request(args)?),
        Request::Put(args) => Op::RequestPut(put::request(args, Vec::new())?),
        Request::Del(args) => Op::RequestDeleteRange(del::request(args)?),
    };
    Ok(RequestOp { request: Some(op) })
}
