//! `endpoint`: asks each endpoint by itself.

use std::sync::Arc;

use ferrod_client::proto::{AlarmMember, AlarmType, ApiError};
use ferrod_client::{Client, KeyRange};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Error;
use crate::cli::EndpointHashkv;
use crate::go;
use crate::print::{EndpointHash, EndpointHealth, EndpointStatus};
use crate::session::{Session, Settings};

/// The endpoints to ask: those given, or with `--cluster` all client URLs of all members.
pub(super) async fn endpoints(settings: &Settings, cluster: bool) -> Result<Vec<String>, Error> {
    if !cluster {
        return Ok(settings.endpoints.clone());
    }
    let client = settings
        .client(Some(settings.timeout))
        .await
        .map_err(|error| match error {
            Error::Connection(error) => Error::Call(error),
            other => other,
        })?;
    let answer = client.member_list(true).await.map_err(|error| {
        Error::Failed(format!(
            "failed to fetch endpoints from etcd cluster member list: {error}"
        ))
    })?;
    Ok(answer
        .members
        .into_iter()
        .flat_map(|member| member.client_ur_ls)
        .collect())
}

/// Asks all endpoints at the same time; answers are shown in the order in which they come.
pub(super) async fn health(session: &mut Session<'_, '_>) -> Result<(), Error> {
    let settings = Arc::new(session.settings(&[])?);
    let mut checks = JoinSet::new();
    for endpoint in endpoints(&settings, settings.cluster).await? {
        checks.spawn(check(endpoint, Arc::clone(&settings)));
    }
    let answers: Vec<EndpointHealth> = checks.join_all().await;
    session.show(&answers, &settings.style)?;
    if answers.iter().all(|answer| answer.health) {
        return Ok(());
    }
    Err(Error::Failed("unhealthy cluster".into()))
}

async fn check(endpoint: String, settings: Arc<Settings>) -> EndpointHealth {
    let client = match settings.connect_to(&endpoint).await {
        Ok(client) => client,
        Err(error) => {
            let error = error.to_string();
            return EndpointHealth {
                endpoint,
                health: false,
                took: String::new(),
                error,
            };
        }
    };
    let begin = Instant::now();
    let read = client.get(KeyRange::single("health")).await;
    let took = go::format_duration(begin.elapsed());
    let error = match read {
        Ok(_) => alarms(&client).await,
        Err(error) if error.api() == Some(ApiError::PermissionDenied) => alarms(&client).await,
        Err(error) => error.to_string(),
    };
    EndpointHealth {
        endpoint,
        health: error.is_empty(),
        took,
        error,
    }
}

/// What the alarms say against a member that answers otherwise; nothing if there is none.
async fn alarms(client: &Client) -> String {
    let name = |alarm: &AlarmMember| match alarm.alarm() {
        AlarmType::Nospace => "NOSPACE ",
        AlarmType::Corrupt => "CORRUPT ",
        AlarmType::None => "UNKNOWN ",
    };
    match client.alarm_list().await {
        Err(_) => "Unable to fetch the alarm list".into(),
        Ok(answer) if answer.alarms.is_empty() => String::new(),
        Ok(answer) => {
            "Active Alarm(s): ".to_owned() + &answer.alarms.iter().map(name).collect::<String>()
        }
    }
}

pub(super) async fn status(session: &mut Session<'_, '_>) -> Result<(), Error> {
    let settings = session.settings(&[])?;
    let mut answers = Vec::new();
    let mut failed = false;
    for endpoint in endpoints(&settings, settings.cluster).await? {
        match settings.client_of(&endpoint).await?.status().await {
            Ok(status) => answers.push(EndpointStatus { endpoint, status }),
            Err(error) => {
                failed = true;
                let what = "Failed to get the status of endpoint";
                session
                    .terminal
                    .complain(format_args!("{what} {endpoint} ({error})\n"))?;
            }
        }
    }
    session.show(&answers, &settings.style)?;
    if failed { Err(Error::Reported) } else { Ok(()) }
}

pub(super) async fn hashkv(
    args: EndpointHashkv,
    session: &mut Session<'_, '_>,
) -> Result<(), Error> {
    let settings = session.settings(&[])?;
    let mut answers = Vec::new();
    let mut last = None;
    for endpoint in endpoints(&settings, settings.cluster).await? {
        match settings.client_of(&endpoint).await?.hash_kv(args.rev).await {
            Ok(hash) => answers.push(EndpointHash { endpoint, hash }),
            Err(error) => {
                let what = "Failed to get the hash of endpoint";
                session
                    .terminal
                    .complain(format_args!("{what} {endpoint} ({error})\n"))?;
                last = Some(error);
            }
        }
    }
    session.show(&answers, &settings.style)?;
    last.map_or(Ok(()), |error| Err(error.into()))
}
