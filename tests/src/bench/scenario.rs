//! What is measured: the rows of the table in `docs/benchmarks.md`.

mod footprint;
mod puts;
mod reads;
mod streams;

use anyhow::Result;

use super::measure::Demand::{self, AtLeast, AtMost};
use super::measure::Measure;
use super::stand::Stand;

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PutMany,
    PutOne,
    PutCompact,
    Churn,
    PutLarge(usize),
    Get { serializable: bool },
    List,
    Pages,
    PagesPinned,
    Watch,
    KeepAlive,
    Footprint,
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

const TWICE_AT_HALF: &[(&str, Demand)] = &[
    (
        "rate",
        AtLeast {
            must: 2.0,
            aim: 3.0,
        },
    ),
    (
        "cpu per op",
        AtMost {
            must: 0.5,
            aim: 0.3,
        },
    ),
];

/// All rows. Neighbours that want the same keys share one server and one filling.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "put-many",
        work: "put, 1000 callers on 100 connections",
        keys: 0,
        value_len: 256,
        kind: Kind::PutMany,
        demands: &[
            (
                "rate",
                AtLeast {
                    must: 2.0,
                    aim: 5.0,
                },
            ),
            (
                "cpu per op",
                AtMost {
                    must: 0.5,
                    aim: 0.25,
                },
            ),
        ],
    },
    Scenario {
        name: "put-one",
        work: "put, 1 caller",
        keys: 0,
        value_len: 256,
        kind: Kind::PutOne,
        demands: &[(
            "p50",
            AtMost {
                must: 1.0,
                aim: 0.6,
            },
        )],
    },
    Scenario {
        name: "put-compact",
        work: "put at a fixed rate while compacting and flushing",
        keys: 100_000,
        value_len: 256,
        kind: Kind::PutCompact,
        demands: &[(
            "p99.9",
            AtMost {
                must: 0.5,
                aim: 0.1,
            },
        )],
    },
    Scenario {
        name: "put-1k",
        work: "put of 1 KiB values with churn",
        keys: 20_000,
        value_len: 1 << 10,
        kind: Kind::PutLarge(1 << 10),
        demands: &[(
            "throughput",
            AtLeast {
                must: 1.5,
                aim: 3.0,
            },
        )],
    },
    Scenario {
        name: "put-10k",
        work: "put of 10 KiB values with churn",
        keys: 5_000,
        value_len: 10 << 10,
        kind: Kind::PutLarge(10 << 10),
        demands: &[(
            "throughput",
            AtLeast {
                must: 1.5,
                aim: 3.0,
            },
        )],
    },
    Scenario {
        name: "put-100k",
        work: "put of 100 KiB values with churn",
        keys: 1_000,
        value_len: 100 << 10,
        kind: Kind::PutLarge(100 << 10),
        demands: &[(
            "throughput",
            AtLeast {
                must: 1.5,
                aim: 3.0,
            },
        )],
    },
    Scenario {
        name: "list",
        work: "range of 10,000 keys of 1 KiB, 4 callers",
        keys: 10_000,
        value_len: 1 << 10,
        kind: Kind::List,
        demands: &[
            (
                "throughput",
                AtLeast {
                    must: 3.0,
                    aim: 8.0,
                },
            ),
            (
                "extra memory",
                AtMost {
                    must: 0.5,
                    aim: 0.1,
                },
            ),
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
        demands: &[(
            "rate",
            AtLeast {
                must: 2.0,
                aim: 5.0,
            },
        )],
    },
    Scenario {
        name: "watch",
        work: "1,000 watchers of one prefix, 16 writers",
        keys: 0,
        value_len: 256,
        kind: Kind::Watch,
        demands: &[(
            "rate",
            AtLeast {
                must: 3.0,
                aim: 5.0,
            },
        )],
    },
    Scenario {
        name: "footprint",
        work: "1 M keys: memory, start to first read",
        keys: 1_000_000,
        value_len: 256,
        kind: Kind::Footprint,
        demands: &[
            (
                "memory",
                AtMost {
                    must: 0.5,
                    aim: 0.3,
                },
            ),
            (
                "memory after start",
                AtMost {
                    must: 0.5,
                    aim: 0.3,
                },
            ),
            (
                "start to first read",
                AtMost {
                    must: 0.3,
                    aim: 0.1,
                },
            ),
        ],
    },
    Scenario {
        name: "pages",
        work: "limit=500 pages over 1 M keys",
        keys: 1_000_000,
        value_len: 256,
        kind: Kind::Pages,
        demands: &[(
            "whole walk",
            AtMost {
                must: 0.2,
                aim: 0.03,
            },
        )],
    },
    Scenario {
        name: "pages-pinned",
        work: "the same at the first page's revision, with puts",
        keys: 1_000_000,
        value_len: 256,
        kind: Kind::PagesPinned,
        demands: &[(
            "whole walk",
            AtMost {
                must: 0.5,
                aim: 0.1,
            },
        )],
    },
    Scenario {
        name: "churn",
        work: "random overwrites of 1 M keys, compaction every 10 s",
        keys: 1_000_000,
        value_len: 256,
        kind: Kind::Churn,
        demands: &[
            (
                "rate",
                AtLeast {
                    must: 2.0,
                    aim: 4.0,
                },
            ),
            (
                "cpu per op",
                AtMost {
                    must: 0.5,
                    aim: 0.3,
                },
            ),
            (
                "file size",
                AtMost {
                    must: 1.0,
                    aim: 0.5,
                },
            ),
        ],
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
            Kind::Churn => puts::churn(stand, keys).await,
            Kind::PutLarge(len) => puts::large(stand, keys, len).await,
            Kind::Get { serializable } => reads::get(stand, keys, serializable).await,
            Kind::List => reads::list(stand, keys).await,
            Kind::Pages => reads::pages(stand, keys).await,
            Kind::PagesPinned => reads::pages_pinned(stand, keys).await,
            Kind::Watch => streams::watch(stand).await,
            Kind::KeepAlive => streams::keep_alive(stand).await,
            Kind::Footprint => footprint::footprint(stand).await,
        }
    }

    /// Whether `other` can go on with the server that this one has left behind.
    pub(crate) fn shares_with(&self, other: &Scenario) -> bool {
        self.keys > 0 && self.keys == other.keys && self.value_len == other.value_len
    }
}
