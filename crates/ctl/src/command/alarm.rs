//! `alarm`.

use ferrod_client::proto::AlarmResponse;

use crate::Error;
use crate::cli::Plain;
use crate::session::{Session, Timeout};

pub(super) async fn list(args: Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    no_arguments("list", &args)?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let answer = client.alarm_list().await?;
    session.show(&answer, &style)
}

/// Clears every alarm there is, one by one: the API has no wildcard.
pub(super) async fn disarm(args: Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    no_arguments("disarm", &args)?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let mut cleared = AlarmResponse::default();
    for alarm in client.alarm_list().await?.alarms {
        cleared
            .alarms
            .extend(client.alarm_disarm(alarm).await?.alarms);
    }
    session.show(&cleared, &style)
}

fn no_arguments(command: &str, args: &Plain) -> Result<(), Error> {
    if args.words.is_empty() {
        return Ok(());
    }
    Err(Error::BadArguments(format!(
        "alarm {command} command accepts no arguments"
    )))
}
