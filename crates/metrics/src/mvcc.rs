//! `etcd_mvcc_*` and `etcd_debugging_mvcc_*`.

use prometheus::{Histogram, IntCounter, IntGauge};

use crate::buckets::doubling;
use crate::registrar::Registrar;

/// The key space and its watchers: `etcd_mvcc_*` and `etcd_debugging_mvcc_*`.
#[derive(Debug)]
pub struct Mvcc {
    /// Ranges, those inside transactions and internal ones too.
    pub range_total: IntCounter,
    /// Puts.
    pub put_total: IntCounter,
    /// Deletes, also those that hit no key; a revoked lease counts one per key.
    pub delete_total: IntCounter,
    /// Transactions of more than one operation, read-only ones too.
    pub txn_total: IntCounter,
    /// Size of the store on disk.
    pub db_total_size_in_bytes: IntGauge,
    /// The part of it that is in use.
    pub db_total_size_in_use_in_bytes: IntGauge,
    /// Read transactions that are open.
    pub db_open_read_transactions: IntGauge,
    /// Hashes of the whole store.
    pub hash_duration_seconds: Histogram,
    /// Hashes at a revision.
    pub hash_rev_duration_seconds: Histogram,
    /// Keys that exist.
    pub keys_total: IntGauge,
    /// Streams of watchers.
    pub watch_stream_total: IntGauge,
    /// Watchers.
    pub watcher_total: IntGauge,
    /// Watchers that are behind.
    pub slow_watcher_total: IntGauge,
    /// Events that wait for being sent.
    pub pending_events_total: IntGauge,
    /// Events that were sent.
    pub events_total: IntCounter,
    /// The current revision.
    pub current_revision: IntGauge,
    /// The revision below which history is forgotten.
    pub compact_revision: IntGauge,
    /// Bytes of keys and values that were put.
    pub total_put_size_in_bytes: IntGauge,
    /// When the last compaction ended, in seconds since 1970; 0 before the first.
    pub db_compaction_last: IntGauge,
    /// Rows that compactions removed.
    pub db_compaction_keys_total: IntCounter,
    /// How long compactions of the index held up others.
    pub index_compaction_pause_duration_milliseconds: Histogram,
    /// How long steps of compactions held up others.
    pub db_compaction_pause_duration_milliseconds: Histogram,
    /// How long whole compactions took.
    pub db_compaction_total_duration_milliseconds: Histogram,
}

impl Mvcc {
    pub(crate) fn new(r: &Registrar<'_>) -> Mvcc {
        let counter = |name: &str, help| r.counter(&format!("etcd_mvcc_{name}"), help);
        let gauge = |name: &str, help| r.gauge(&format!("etcd_mvcc_{name}"), help);
        let hashes =
            |name: &str, help| r.histogram(&format!("etcd_mvcc_{name}"), help, doubling(0.01, 15));
        let debug_counter =
            |name: &str, help| r.counter(&format!("etcd_debugging_mvcc_{name}"), help);
        let debug_gauge = |name: &str, help| r.gauge(&format!("etcd_debugging_mvcc_{name}"), help);
        let debug_histogram = |name: &str, help, first, count| {
            let buckets = doubling(first, count);
            r.histogram(&format!("etcd_debugging_mvcc_{name}"), help, buckets)
        };
        Mvcc {
            range_total: counter("range_total", "Ranges."),
            put_total: counter("put_total", "Puts."),
            delete_total: counter("delete_total", "Deletes."),
            txn_total: counter("txn_total", "Transactions of more than one operation."),
            db_total_size_in_bytes: gauge("db_total_size_in_bytes", "Size of the store on disk."),
            db_total_size_in_use_in_bytes: gauge(
                "db_total_size_in_use_in_bytes",
                "Size of the store on disk without its free pages.",
            ),
            db_open_read_transactions: gauge(
                "db_open_read_transactions",
                "Read transactions that are open.",
            ),
            hash_duration_seconds: hashes(
                "hash_duration_seconds",
                "How long hashing the whole store took.",
            ),
            hash_rev_duration_seconds: hashes(
                "hash_rev_duration_seconds",
                "How long hashing at a revision took.",
            ),
            keys_total: debug_gauge("keys_total", "Keys that exist."),
            watch_stream_total: debug_gauge("watch_stream_total", "Streams of watchers."),
            watcher_total: debug_gauge("watcher_total", "Watchers."),
            slow_watcher_total: debug_gauge("slow_watcher_total", "Watchers that are behind."),
            pending_events_total: debug_gauge(
                "pending_events_total",
                "Events that wait for being sent.",
            ),
            events_total: debug_counter("events_total", "Events that were sent."),
            current_revision: debug_gauge("current_revision", "The current revision."),
            compact_revision: debug_gauge(
                "compact_revision",
                "The revision below which history is forgotten.",
            ),
            total_put_size_in_bytes: debug_gauge(
                "total_put_size_in_bytes",
                "Bytes of keys and values that were put.",
            ),
            db_compaction_last: debug_gauge(
                "db_compaction_last",
                "When the last compaction ended, in seconds since 1970.",
            ),
            db_compaction_keys_total: debug_counter(
                "db_compaction_keys_total",
                "Rows that compactions removed.",
            ),
            index_compaction_pause_duration_milliseconds: debug_histogram(
                "index_compaction_pause_duration_milliseconds",
                "How long compactions of the index held up others.",
                0.5,
                14,
            ),
            db_compaction_pause_duration_milliseconds: debug_histogram(
                "db_compaction_pause_duration_milliseconds",
                "How long steps of compactions held up others.",
                1.0,
                13,
            ),
            db_compaction_total_duration_milliseconds: debug_histogram(
                "db_compaction_total_duration_milliseconds",
                "How long whole compactions took.",
                100.0,
                14,
            ),
        }
    }
}
