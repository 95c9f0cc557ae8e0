//! `etcd_debugging_server_watch_send_loop_*`.

use prometheus::Histogram;

use crate::buckets::milliseconds;
use crate::registrar::Registrar;

/// How watches are answered: `etcd_debugging_server_watch_send_loop_*`.
#[derive(Debug)]
pub struct WatchSending {
    /// Sending one batch of events.
    pub watch_stream_duration_seconds: Histogram,
    /// The same, divided by the number of events.
    pub watch_stream_duration_per_event_seconds: Histogram,
    /// Sending the answer to a request for a watch.
    pub control_stream_duration_seconds: Histogram,
    /// Sending notices of progress.
    pub progress_duration_seconds: Histogram,
}

impl WatchSending {
    pub(crate) fn new(r: &Registrar<'_>) -> WatchSending {
        let histogram = |name: &str, help| {
            let name = format!("etcd_debugging_server_watch_send_loop_{name}");
            r.histogram(&name, help, milliseconds())
        };
        WatchSending {
            watch_stream_duration_seconds: histogram(
                "watch_stream_duration_seconds",
                "How long sending a batch of events took.",
            ),
            watch_stream_duration_per_event_seconds: histogram(
                "watch_stream_duration_per_event_seconds",
                "How long sending a batch of events took, divided by their number.",
            ),
            control_stream_duration_seconds: histogram(
                "control_stream_duration_seconds",
                "How long answering a request for a watch took.",
            ),
            progress_duration_seconds: histogram(
                "progress_duration_seconds",
                "How long sending notices of progress took.",
            ),
        }
    }
}
