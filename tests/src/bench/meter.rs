//! What is counted while a window is open, and what the server used meanwhile.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::clock::now;
use crate::usage::{Usage, usage, usage_of_all};

/// Shared by all connections of a load; one thread drives them, so no locks.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    open: Cell<bool>,
    stopped: Cell<bool>,
    count: Cell<u64>,
    total: Cell<u64>,
    bytes: Cell<u64>,
    failed: Cell<u64>,
    latencies: RefCell<Histogram<u64>>,
}

/// What happened in one window.
#[derive(Debug)]
pub(crate) struct Window {
    /// How long it was open.
    pub(crate) lasted: Duration,
    /// Operations that ended well.
    pub(crate) count: u64,
    /// Operations that did not.
    pub(crate) failed: u64,
    /// Bytes of payload moved.
    pub(crate) bytes: u64,
    /// Nanoseconds from (intended) start to end of each operation.
    pub(crate) latencies: Histogram<u64>,
    /// What the server used, or all members of the cluster.
    pub(crate) used: Usage,
    /// Processor time of the load generator, in microseconds.
    pub(crate) own_cpu_us: u64,
}

/// What had been used when a window was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    at: Instant,
    server: Usage,
    own: Usage,
}

impl Meter {
    pub(crate) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1_000, 600_000_000_000, 3)
            .expect("the bounds are in order and three digits are allowed");
        Self {
            inner: Rc::new(Inner {
                open: Cell::new(false),
                stopped: Cell::new(false),
                count: Cell::new(0),
                total: Cell::new(0),
                bytes: Cell::new(0),
                failed: Cell::new(0),
                latencies: RefCell::new(latencies),
            }),
        }
    }

    /// Counts an operation that began at `start` and has ended now.
    pub(crate) fn done(&self, start: Instant, bytes: u64) {
        self.count(1, bytes);
        if self.inner.open.get() {
            let nanos = u64::try_from((now() - start).as_nanos()).unwrap_or(u64::MAX);
            self.inner.latencies.borrow_mut().saturating_record(nanos);
        }
    }

    /// Counts `count` things without a latency.
    pub(crate) fn count(&self, count: u64, bytes: u64) {
        self.inner.total.set(self.inner.total.get() + count);
        if self.inner.open.get() {
            self.inner.count.set(self.inner.count.get() + count);
            self.inner.bytes.set(self.inner.bytes.get() + bytes);
        }
    }

    /// Counts an operation that the server refused.
    pub(crate) fn failed(&self) {
        self.inner.failed.set(self.inner.failed.get() + 1);
    }

    /// What was counted so far, in the window or not.
    pub(crate) fn total(&self) -> u64 {
        self.inner.total.get()
    }

    /// How many operations the server has refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.inner.failed.get()
    }

    /// Tells the callers to start nothing more.
    pub(crate) fn stop(&self) {
        self.inner.stopped.set(true);
    }

    /// Whether callers should start nothing more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.inner.stopped.get()
    }

    /// Warms up, measures `seconds` seconds of the running load, then tells the callers to stop.
    pub(crate) async fn window(&self, pids: &[u32], warm: f64, seconds: f64) -> Result<Window> {
        tokio::time::sleep(Duration::from_secs_f64(warm)).await;
        let opened = self.open(pids)?;
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        self.close(pids, &opened)
    }

    /// Counts from now on, without looking at what the server uses.
    pub(crate) fn open_latencies(&self) {
        self.inner.open.set(true);
    }

    /// Nanoseconds of each operation so far.
    pub(crate) fn latencies(&self) -> Histogram<u64> {
        self.inner.latencies.borrow().clone()
    }

    fn open(&self, pids: &[u32]) -> Result<Opened> {
        self.open_latencies();
        Ok(Opened {
            server: usage_of_all(pids)?,
            own: usage(std::process::id())?,
            at: now(),
        })
    }

    fn close(&self, pids: &[u32], opened: &Opened) -> Result<Window> {
        let (after, lasted) = (usage_of_all(pids)?, now() - opened.at);
        let own_cpu_us = usage(std::process::id())?.cpu_us - opened.own.cpu_us;
        self.inner.open.set(false);
        self.stop();
        Ok(Window {
            lasted,
            count: self.inner.count.get(),
            failed: self.inner.failed.get(),
            bytes: self.inner.bytes.get(),
            latencies: self.inner.latencies.borrow().clone(),
            used: Usage {
                cpu_us: after.cpu_us - opened.server.cpu_us,
                written: after.written - opened.server.written,
            },
            own_cpu_us,
        })
    }
}

impl Window {
    /// Operations per second.
    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / self.lasted.as_secs_f64()
    }

    /// Payload in MB (10⁶ bytes) per second.
    pub(crate) fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.lasted.as_secs_f64()
    }

    /// Processor time of the server for each operation, in microseconds.
    pub(crate) fn cpu_each(&self) -> f64 {
        self.used.cpu_us as f64 / self.count.max(1) as f64
    }

    /// Processor time of the load generator for each operation, in microseconds: what the machine has less for the server.
    pub(crate) fn own_cpu_each(&self) -> f64 {
        self.own_cpu_us as f64 / self.count.max(1) as f64
    }

    /// Latency at `quantile`, in microseconds.
    pub(crate) fn latency(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }
}
