//! What is measured of several members: the rows of the second table in `docs/benchmarks.md`.

mod failover;
mod rejoin;
mod slow_disk;

pub(super) use failover::{killed, moved};
pub(super) use rejoin::rejoin;
pub(super) use slow_disk::slow_disk;

use anyhow::{Result, ensure};

use super::{Kind, Scenario, at_least, at_most, below};
use crate::bench::load::{THOUSAND, closed_loop, open_loop};
use crate::bench::measure::{Measure, measure};
use crate::bench::meter::{Meter, Window};
use crate::bench::requests::{Gets, Puts};
use crate::bench::stand::Stand;

/// Gets per second where their latency beside puts is measured: few, so that they load nothing themselves.
const PROBE_RATE: f64 = 500.0;
/// Keys of the puts beside which gets are measured.
const KEYS: u64 = 10_000;

/// All rows.
pub(crate) const CLUSTER: &[Scenario] = &[
    Scenario {
        name: "put-many",
        work: "put, 1000 callers on 100 connections to all members",
        keys: 0,
        value_len: 256,
        kind: Kind::PutMany,
        demands: &[
            ("rate", at_least(2.0, 4.0)),
            ("cpu per op", at_most(0.5, 0.3)),
            ("p99", at_most(0.5, 0.15)),
        ],
    },
    Scenario {
        name: "put-one",
        work: "put, 1 caller at the leader",
        keys: 0,
        value_len: 256,
        kind: Kind::PutOne,
        demands: &[("p50", at_most(1.0, 0.7))],
    },
    Scenario {
        name: "get",
        work: "linearizable get, 1000 callers on 100 connections to all members",
        keys: KEYS,
        value_len: 256,
        kind: Kind::Get {
            serializable: false,
        },
        demands: &[("rate", at_least(2.0, 3.0))],
    },
    Scenario {
        name: "get-while-writing",
        work: "linearizable get on all members beside 1000 callers that put",
        keys: KEYS,
        value_len: 256,
        kind: Kind::GetWhileWriting,
        demands: &[("get p99", at_most(0.3, 0.1))],
    },
    Scenario {
        name: "slow-disk",
        work: "1000 callers that put, and gets, at two members while the third takes 1 s for a sync",
        keys: KEYS,
        value_len: 256,
        kind: Kind::SlowDisk,
        demands: &[
            ("loss of put rate", below(15.0, 5.0)),
            ("get p99 to healthy", below(2.0, 1.2)),
            ("leader changes", below(0.0, 0.0)),
        ],
    },
    Scenario {
        name: "rejoin",
        work: "a member that has lost its data comes back to 1 GB; once more beside 16 callers that put",
        keys: 0,
        value_len: 1 << 10,
        kind: Kind::Rejoin,
        demands: &[
            ("back in step", at_most(0.7, 0.3)),
            ("loss of put rate", below(10.0, 5.0)),
        ],
    },
    Scenario {
        name: "failover",
        work: "leader killed: until the first put is acknowledged elsewhere",
        keys: KEYS,
        value_len: 256,
        kind: Kind::Killed,
        demands: &[("p99", below(2_500.0, 300.0))],
    },
    Scenario {
        name: "move-leader",
        work: "leader moved while 500 puts/s arrive at all members",
        keys: KEYS,
        value_len: 256,
        kind: Kind::Moved,
        demands: &[
            ("requests lost", below(0.0, 0.0)),
            ("longest stall", below(50.0, 50.0)),
        ],
    },
];

/// Latency of a few gets while puts come as fast as they are taken.
pub(super) async fn get_while_writing(stand: &Stand) -> Result<Vec<Measure>> {
    let both = Both::measure(stand, &stand.ports()).await?;
    Ok(vec![
        measure("get p50", "µs", both.gets.latency(0.5)),
        measure("get p99", "µs", both.gets.latency(0.99)),
        measure("put rate", "1/s", both.puts.rate()),
    ])
}

/// Gets at a fixed rate beside puts in a closed loop.
struct Both {
    puts: Window,
    gets: Window,
}

impl Both {
    async fn measure(stand: &Stand, ports: &[u16]) -> Result<Self> {
        let (puts, gets) = (Meter::new(), Meter::new());
        let writers = closed_loop(ports, THOUSAND, &puts, |connection| {
            Puts::new(connection as u64, KEYS, 256)
        })
        .await?;
        let readers = open_loop(ports, 2 * ports.len(), PROBE_RATE, &gets, |connection| {
            Gets {
                rng: fastrand::Rng::with_seed(connection as u64),
                keys: stand.size.keys(KEYS),
                serializable: false,
            }
        })
        .await?;
        let (size, pids) = (stand.size, stand.pids());
        let (puts, gets) = tokio::try_join!(
            puts.window(&pids, size.warm(), size.seconds),
            gets.window(&pids, size.warm(), size.seconds),
        )?;
        drop((writers, readers));
        ensure!(puts.failed == 0, "{} puts were refused", puts.failed);
        ensure!(gets.failed == 0, "{} gets were refused", gets.failed);
        ensure!(gets.count > 0, "no get was answered");
        Ok(Self { puts, gets })
    }
}
