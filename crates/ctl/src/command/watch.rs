//! `watch`, from arguments or line by line.

mod exec;
mod interactive;
mod request;

use ferrod_client::proto::WatchResponse;
use ferrod_client::{cancel_cause, is_progress_notification};

use crate::Error;
use crate::cli::Watch;
use crate::print::Style;
use crate::session::Session;

/// Variables that belong to this command and are flags of none.
const KEY: &str = "ETCDCTL_WATCH_KEY";
const RANGE_END: &str = "ETCDCTL_WATCH_RANGE_END";

pub(super) async fn run(args: Watch, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let key = session.environment.get(KEY).to_owned();
    let range_end = session.environment.get(RANGE_END).to_owned();
    if key.is_empty() && !range_end.is_empty() {
        let got = crate::go::quote(range_end.as_bytes());
        return Err(Error::BadArguments(format!(
            "{KEY} is empty but got {RANGE_END}={got}"
        )));
    }
    let from_environment = request::FromEnvironment { key, range_end };
    if args.interactive {
        return interactive::run(&from_environment, session).await;
    }
    let plan = request::plan(args, session.line.dash(), &from_environment)?;
    let settings = session.settings(&[KEY, RANGE_END])?;
    let client = settings.client(None).await?.with_require_leader(true);
    let request = plan
        .request
        .ok_or_else(|| Error::bad_arguments(request::EXCLUSIVE))?;
    let mut watcher = client.watch(request);
    while let Some(response) = watcher.next().await {
        show(response, &settings.style, &plan.exec, session).await?;
    }
    Err(Error::Interrupted("watch is canceled by the server".into()))
}

/// Prints one response, then runs the command for each event in it.
async fn show(
    response: Result<WatchResponse, ferrod_client::Error>,
    style: &Style,
    exec: &[std::ffi::OsString],
    session: &mut Session<'_, '_>,
) -> Result<(), Error> {
    // The official client shows a refusal and a broken stream as one more response, empty but for that.
    let ended = || WatchResponse {
        canceled: true,
        ..Default::default()
    };
    let (response, cause) = match response {
        Ok(response) if response.created => (ended(), cancel_cause(&response)),
        Ok(response) => {
            let cause = cancel_cause(&response);
            (response, cause)
        }
        Err(error) => (ended(), Some(error)),
    };
    if let Some(cause) = cause {
        session
            .terminal
            .complain(format_args!("watch was canceled ({cause})\n"))?;
    }
    if is_progress_notification(&response) {
        let revision = response.header.map_or(0, |header| header.revision);
        session
            .terminal
            .say(format_args!("progress notify: {revision}"))?;
    }
    session.show(&response, style)?;
    if exec.is_empty() {
        return Ok(());
    }
    let revision = response.header.map_or(0, |header| header.revision);
    for event in response.events {
        exec::run(exec, revision, &event, session).await?;
    }
    Ok(())
}
