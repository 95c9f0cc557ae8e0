//! One follower whose disk takes a second for each sync: what the others lose by it.

use anyhow::{Context, Result};

use super::Both;
use crate::bench::measure::{Measure, measure};
use crate::bench::slow_sync;
use crate::bench::stand::Stand;

const DELAY_MS: u32 = 1_000;

pub(crate) async fn slow_disk(stand: &mut Stand) -> Result<Vec<Measure>> {
    let launcher = slow_sync::launcher(&stand.folder().join("slow_sync"), DELAY_MS)?;
    let leader = stand.leader().await?;
    let slow = (leader + 1) % stand.seats().len();
    let others: Vec<u16> = {
        let ports = stand.ports();
        let others = (0..ports.len()).filter(|at| *at != slow);
        others.map(|at| ports[at]).collect()
    };
    let healthy = Both::measure(stand, &others).await?;

    let seat = &mut stand.seats()[slow];
    seat.member.take().context("all members run")?.stop()?;
    seat.setup = seat.setup.clone().launcher(launcher);
    seat.member = Some(seat.setup.start()?);
    let before = stand.standing(leader).await?;
    let hurt = Both::measure(stand, &others).await?;
    let after = stand.standing(leader).await?;

    let loss = 1.0 - hurt.puts.rate() / healthy.puts.rate();
    Ok(vec![
        measure("put rate, healthy", "1/s", healthy.puts.rate()),
        measure("put rate", "1/s", hurt.puts.rate()),
        measure("loss of put rate", "%", loss.max(0.0) * 100.0),
        measure("get p99, healthy", "µs", healthy.gets.latency(0.99)),
        measure("get p99", "µs", hurt.gets.latency(0.99)),
        measure(
            "get p99 to healthy",
            "×",
            hurt.gets.latency(0.99) / healthy.gets.latency(0.99),
        ),
        // Every change of leader begins a term.
        measure("leader changes", "1", (after.term - before.term) as f64),
    ])
}
