//! Memory for a million keys, and how soon a member that holds them answers after its start.

use std::time::Duration;

use anyhow::{Context, Result};
use ferrod_proto::etcdserverpb::RangeRequest;

use crate::bench::measure::{Measure, measure};
use crate::bench::requests::key;
use crate::bench::stand::Stand;
use crate::clock::{now, poll};
use crate::wire::Wire;

pub(super) async fn footprint(stand: &mut Stand) -> Result<Vec<Measure>> {
    let filled = stand.memory()?;
    stand.stop()?;
    // After the stop, when everything has reached its file.
    let file = stand.file_size()?;
    let started = now();
    stand.start_again()?;
    let endpoint = stand.endpoint();
    let read = async || {
        let wire = Wire::connect(&endpoint).await.ok()?;
        let request = RangeRequest {
            key: key(1),
            ..Default::default()
        };
        wire.kv().range(request).await.ok()
    };
    poll(Duration::from_secs(120), read)
        .await
        .context("no read was answered after a start")?;
    let first_read = now() - started;
    Ok(vec![
        measure("memory", "MB", filled as f64 / 1e6),
        measure("memory after start", "MB", stand.memory()? as f64 / 1e6),
        measure("start to first read", "ms", first_read.as_secs_f64() * 1e3),
        measure("file size", "MB", file as f64 / 1e6),
    ])
}
