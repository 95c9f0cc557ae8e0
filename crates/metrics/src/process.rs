//! `process_*` and `os_fd_*`.

use prometheus::{Counter, Gauge, IntCounter, IntGauge};

use crate::registrar::Registrar;

/// What the system says of a process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessSample {
    /// Processor time since the start of the process, in seconds.
    pub cpu_seconds: f64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Most file descriptors.
    pub max_fds: u64,
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// Address space in use, in bytes.
    pub virtual_bytes: u64,
    /// Most address space; `None` if there is no limit.
    pub virtual_max_bytes: Option<u64>,
    /// When the process started, in seconds since 1970.
    pub start_time_seconds: f64,
    /// Bytes received from the network.
    pub network_receive_bytes: u64,
    /// Bytes sent to the network.
    pub network_transmit_bytes: u64,
}

/// The process as the system sees it: `process_*` and `os_fd_*`.
#[derive(Debug)]
pub struct Process {
    cpu_seconds_total: Counter,
    open_fds: IntGauge,
    max_fds: IntGauge,
    resident_memory_bytes: IntGauge,
    virtual_memory_bytes: IntGauge,
    virtual_memory_max_bytes: Gauge,
    start_time_seconds: Gauge,
    network_receive_bytes_total: IntCounter,
    network_transmit_bytes_total: IntCounter,
    os_fd_used: IntGauge,
    os_fd_limit: IntGauge,
}

impl Process {
    pub(crate) fn new(r: &Registrar<'_>) -> Process {
        Process {
            cpu_seconds_total: r.counter_f64(
                "process_cpu_seconds_total",
                "Processor time since the start of the process.",
            ),
            open_fds: r.gauge("process_open_fds", "Open file descriptors."),
            max_fds: r.gauge("process_max_fds", "Most file descriptors."),
            resident_memory_bytes: r.gauge("process_resident_memory_bytes", "Memory in use."),
            virtual_memory_bytes: r.gauge("process_virtual_memory_bytes", "Address space in use."),
            virtual_memory_max_bytes: r
                .gauge_f64("process_virtual_memory_max_bytes", "Most address space."),
            start_time_seconds: r.gauge_f64(
                "process_start_time_seconds",
                "When the process started, in seconds since 1970.",
            ),
            network_receive_bytes_total: r.counter(
                "process_network_receive_bytes_total",
                "Bytes received from the network.",
            ),
            network_transmit_bytes_total: r.counter(
                "process_network_transmit_bytes_total",
                "Bytes sent to the network.",
            ),
            os_fd_used: r.gauge("os_fd_used", "Open file descriptors."),
            os_fd_limit: r.gauge("os_fd_limit", "Most file descriptors."),
        }
    }

    /// Shows a newer sample.
    pub fn set(&self, sample: &ProcessSample) {
        let cpu_more = sample.cpu_seconds - self.cpu_seconds_total.get();
        if cpu_more > 0.0 {
            self.cpu_seconds_total.inc_by(cpu_more);
        }
        self.open_fds.set(signed(sample.open_fds));
        self.max_fds.set(signed(sample.max_fds));
        self.os_fd_used.set(signed(sample.open_fds));
        self.os_fd_limit.set(signed(sample.max_fds));
        self.resident_memory_bytes
            .set(signed(sample.resident_bytes));
        self.virtual_memory_bytes.set(signed(sample.virtual_bytes));
        // No limit is shown as the largest number, as other collectors do.
        #[expect(
            clippy::cast_precision_loss,
            reason = "the format has only floating point"
        )]
        let limit = sample.virtual_max_bytes.unwrap_or(u64::MAX) as f64;
        self.virtual_memory_max_bytes.set(limit);
        self.start_time_seconds.set(sample.start_time_seconds);
        raise(
            &self.network_receive_bytes_total,
            sample.network_receive_bytes,
        );
        raise(
            &self.network_transmit_bytes_total,
            sample.network_transmit_bytes,
        );
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
