//! `/health`.

use http::StatusCode;

use super::query::Query;
use super::reply::{self, PLAIN, Reply};
use super::{Consistency, Probe};

/// Answers `/health`, and tells whether the answer is yes.
pub(crate) async fn answer<P: Probe>(probe: &P, query: &Query<'_>) -> (Reply, bool) {
    match check(probe, query).await {
        Ok(()) => {
            let body = r#"{"health":"true","reason":""}"#;
            (reply::reply(StatusCode::OK, PLAIN, body), true)
        }
        Err(reason) => {
            tracing::warn!(reason, "serving /health false");
            let reason = serde_json::Value::from(reason);
            let body = format!("{{\"health\":\"false\",\"reason\":{reason}}}\n");
            (reply::text(StatusCode::SERVICE_UNAVAILABLE, body), false)
        }
    }
}

/// The first thing that is wrong, in etcd's words.
async fn check<P: Probe>(probe: &P, query: &Query<'_>) -> Result<(), String> {
    if let Some(reason) = probe.suspect() {
        return Err(format!("SUSPECT: {reason}"));
    }
    let excluded = query.all("exclude");
    for alarm in probe.alarms() {
        if !excluded.iter().any(|name| name == alarm.as_str()) {
            return Err(format!("ALARM {}", alarm.as_str()));
        }
    }
    let consistency = if query.first("serializable") == "true" {
        Consistency::Serializable
    } else {
        Consistency::Linearizable
    };
    if consistency == Consistency::Linearizable && !probe.has_leader() {
        return Err("RAFT NO LEADER".to_owned());
    }
    probe
        .read(consistency)
        .await
        .map_err(|text| format!("RANGE ERROR:{text}"))
}
