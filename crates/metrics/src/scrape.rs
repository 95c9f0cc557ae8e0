//! `promhttp_metric_handler_*`.

use prometheus::{IntCounter, IntGauge};

use crate::registrar::Registrar;

/// Reads of the metrics themselves: `promhttp_metric_handler_*`.
#[derive(Debug)]
pub struct Scrape {
    /// Those that were answered.
    pub served_total: IntCounter,
    /// Those that run.
    pub in_flight: IntGauge,
}

impl Scrape {
    pub(crate) fn new(r: &Registrar<'_>) -> Scrape {
        let by_code = r.counters(
            "promhttp_metric_handler_requests_total",
            "Reads of the metrics, by HTTP status.",
            &["code"],
        );
        let [served_total, ..] =
            ["200", "500", "503"].map(|code| by_code.with_label_values(&[code]));
        Scrape {
            served_total,
            in_flight: r.gauge(
                "promhttp_metric_handler_requests_in_flight",
                "Reads of the metrics that run.",
            ),
        }
    }
}
