//! Counters, gauges and histograms under etcd's names, and their text exposition.
//!
//! [`Metrics`] holds a handle for each, in the groups that their names have: whoever counts
//! something keeps a reference and updates its handle, which is one relaxed atomic operation. What
//! is only looked up when somebody asks is set just before [`Metrics::text`].
//!
//! ```
//! use ferrod_metrics::{GrpcCode, Metrics, Options, Rpc};
//!
//! let metrics = Metrics::new(Options::default());
//! metrics.disk.wal_fsync_duration_seconds.observe(0.0007);
//! metrics.server.has_leader.set(1);
//! metrics.grpc.method(Rpc::Put).begin().end(GrpcCode::Ok, 0.002);
//!
//! let text = metrics.text();
//! assert!(text.contains("etcd_server_has_leader 1\n"));
//! assert!(text.contains("etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 1\n"));
//! ```
//!
//! There is no global registry: two servers in one process count apart. A series with labels
//! appears with its first use, except where tools expect it from the start.
//!
//! Left out are the metrics of the Go runtime (`go_*`): nothing here corresponds to a garbage
//! collector or goroutines, and invented numbers would mislead. `process_*` is complete on Linux.

mod buckets;
mod disk;
mod grpc;
mod labelled;
mod lease;
mod metrics;
mod mvcc;
mod network;
mod outside;
mod process;
mod registrar;
mod requests;
mod scrape;
mod server;
mod snapshot;
mod watch;

pub use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

pub use disk::Disk;
pub use grpc::{Call, Grpc, GrpcCode, Method, Rpc, RpcKind};
pub use labelled::{ByLabel, Counters, Gauges, Histograms};
pub use lease::Lease;
pub use metrics::{Metrics, Options};
pub use mvcc::Mvcc;
pub use network::{Network, StreamApi, StreamFailure};
pub use outside::Outside;
pub use process::{Process, ProcessSample};
pub use requests::{Durations, Operation};
pub use scrape::Scrape;
pub use server::{ClientRequests, Health, Server, Success};
pub use snapshot::Snapshot;
pub use watch::WatchSending;
