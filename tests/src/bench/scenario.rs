//! What is measured: the rows of the table in `docs/benchmarks.md`.

mod cluster;
mod footprint;
mod puts;
mod reads;
mod streams;

use anyhow::Result;

pub(crate) use cluster::CLUSTER;

use super::measure::{Demand, Measure};
use super::stand::Stand;

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PutMany,
    PutOne,
    PutCompact,
    Churn,
    ChurnSteady,
    PutLarge(usize),
    Get { serializable: bool },
    List,
    Pages,
    PagesPinned,
    Watch,
    KeepAlive,
    Footprint,
    GetWhileWriting,
    SlowDisk,
    Rejoin,
    Killed,
    Moved,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// For `--only` and the JSON.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) work: &'static str,
    /// Keys put before it starts, at full scale.
    pub(crate) keys: u64,
    /// Length of their values.
    pub(crate) value_len: usize,
    pub(crate) kind: Kind,
    /// Demands on measures by name.
    pub(crate) demands: &'static [(&'static str, Demand)],
}

const fn at_least(must: f64, aim: f64) -> Demand {
    Demand::AtLeast { must, aim }
}

const fn at_most(must: f64, aim: f64) -> Demand {
    Demand::AtMost { must, aim }
}

const fn below(must: f64, aim: f64) -> Demand {
    Demand::Below { must, aim }
}

const TWICE_AT_HALF: &[(&str, Demand)] = &[
    ("rate", at_least(2.0, 3.0)),
    ("cpu per op", at_most(0.5, 0.3)),
];

/// All rows of one member. Neighbours that want the same keys share one server and one filling.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "put-many",
        work: "put, 1000 callers on 100 connections",
        keys: 0,
        value_len: 256,
        kind: Kind::PutMany,
        demands: &[
            ("rate", at_least(2.0, 5.0)),
            ("cpu per op", at_most(0.5, 0.25)),
        ],
    },
    Scenario {
        name: "put-one",
        work: "put, 1 caller",
        keys: 0,
        value_len: 256,
        kind: Kind::PutOne,
        demands: &[("p50", at_most(1.0, 0.6))],
    },
    Scenario {
        name: "put-compact",
        work: "put at a fixed rate while compacting and flushing",
        keys: 100_000,
        value_len: 256,
        kind: Kind::PutCompact,
        demands: &[("p99.9", at_most(0.5, 0.1))],
    },
    Scenario {
        name: "put-1k",
        work: "put of 1 KiB values with churn",
        keys: 20_000,
        value_len: 1 << 10,
        kind: Kind::PutLarge(1 << 10),
        demands: &[("throughput", at_least(1.5, 3.0))],
    },
    Scenario {
        name: "put-10k",
        work: "put of 10 KiB values with churn",
        keys: 5_000,
        value_len: 10 << 10,
        kind: Kind::PutLarge(10 << 10),
        demands: &[("throughput", at_least(1.5, 3.0))],
    },
    Scenario {
        name: "put-100k",
        work: "put of 100 KiB values with churn",
        keys: 1_000,
        value_len: 100 << 10,
        kind: Kind::PutLarge(100 << 10),
        demands: &[("throughput", at_least(1.5, 3.0))],
    },
    Scenario {
        name: "list",
        work: "range of 10,000 keys of 1 KiB, 4 callers",
        keys: 10_000,
        value_len: 1 << 10,
        kind: Kind::List,
        demands: &[
            ("throughput", at_least(3.0, 8.0)),
            ("extra memory", at_most(0.5, 0.1)),
        ],
    },
    Scenario {
        name: "get",
        work: "linearizable get, 1000 callers on 100 connections",
        keys: 10_000,
        value_len: 256,
        kind: Kind::Get {
            serializable: false,
        },
        demands: TWICE_AT_HALF,
    },
    Scenario {
        name: "get-serializable",
        work: "serializable get, 1000 callers on 100 connections",
        keys: 10_000,
        value_len: 256,
        kind: Kind::Get { serializable: true },
        demands: TWICE_AT_HALF,
    },
    Scenario {
        name: "keep-alive",
        work: "lease keep-alives, 1000 leases on 100 streams",
        keys: 0,
        value_len: 256,
        kind: Kind::KeepAlive,
        demands: &[("rate", at_least(2.0, 5.0))],
    },
    Scenario {
        name: "watch",
        work: "1,000 watchers of one prefix, 16 writers",
        keys: 0,
        value_len: 256,
        kind: Kind::Watch,
        demands: &[("rate", at_least(3.0, 5.0))],
    },
    Scenario {
        name: "footprint",
        work: "1 M keys: memory, start to first read",
        keys: 1_000_000,
        value_len: 256,
        kind: Kind::Footprint,
        demands: &[
            ("memory", at_most(0.5, 0.3)),
            ("memory after start", at_most(0.5, 0.3)),
            ("start to first read", at_most(0.3, 0.1)),
        ],
    },
    Scenario {
        name: "pages",
        work: "limit=500 pages over 1 M keys",
        keys: 1_000_000,
        value_len: 256,
        kind: Kind::Pages,
        demands: &[("whole walk", at_most(0.2, 0.03))],
    },
    Scenario {
        name: "pages-pinned",
        work: "the same at the first page's revision, with puts",
        keys: 1_000_000,
        value_len: 256,
        kind: Kind::PagesPinned,
        demands: &[("whole walk", at_most(0.5, 0.1))],
    },
    Scenario {
        name: "churn",
        work: "random overwrites of 1 M keys, compaction every 10 s",
        keys: 1_000_000,
        value_len: 256,
        kind: Kind::Churn,
        demands: &[
            ("rate", at_least(2.0, 4.0)),
            ("cpu per op", at_most(0.5, 0.3)),
            ("file size", at_most(1.0, 0.5)),
        ],
    },
    Scenario {
        name: "churn-steady",
        work: "the same at a fixed rate: equal work",
        keys: 1_000_000,
        value_len: 256,
        kind: Kind::ChurnSteady,
        demands: &[],
    },
];

impl Scenario {
    /// Measures on a server that holds the keys.
    pub(crate) async fn run(&self, stand: &mut Stand) -> Result<Vec<Measure>> {
        let keys = stand.size.keys(self.keys);
        match self.kind {
            Kind::PutMany => puts::many(stand).await,
            Kind::PutOne => puts::one(stand).await,
            Kind::PutCompact => puts::compacting(stand, keys).await,
            Kind::ChurnSteady => puts::churn_steady(stand, keys).await,
            Kind::Churn => puts::churn(stand, keys).await,
            Kind::PutLarge(len) => puts::large(stand, keys, len).await,
            Kind::Get { serializable } => reads::get(stand, keys, serializable).await,
            Kind::List => reads::list(stand, keys).await,
            Kind::Pages => reads::pages(stand, keys).await,
            Kind::PagesPinned => reads::pages_pinned(stand, keys).await,
            Kind::Watch => streams::watch(stand).await,
            Kind::KeepAlive => streams::keep_alive(stand).await,
            Kind::GetWhileWriting => cluster::get_while_writing(stand).await,
            Kind::SlowDisk => cluster::slow_disk(stand).await,
            Kind::Rejoin => cluster::rejoin(stand).await,
            Kind::Killed => cluster::killed(stand).await,
            Kind::Moved => cluster::moved(stand).await,
            Kind::Footprint => footprint::footprint(stand).await,
        }
    }

    /// Whether `other` can go on with the server that this one has left behind.
    pub(crate) fn shares_with(&self, other: &Scenario) -> bool {
        // The size of a file can be compared only when both servers have done the same before.
        // And one of them with a slow disk is good for nothing else.
        let starts_anew = |s: &Scenario| matches!(s.kind, Kind::ChurnSteady | Kind::SlowDisk);
        !starts_anew(self)
            && !starts_anew(other)
            && self.keys > 0
            && self.keys == other.keys
            && self.value_len == other.value_len
    }
}
