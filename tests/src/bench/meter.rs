//! What is counted while a window is open, and what the server used meanwhile.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::clock::now;
use crate::usage::{Usage, usage};

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
    /// What the server used.
    pub(crate) used: Usage,
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
                bytes: Cell::new(0),
                failed: Cell::new(0),
                latencies: RefCell::new(latencies),
            }),
        }
    }

    /// Counts an operation that began at `start` and has ended now.
    pub(crate) fn done(&self, start: Instant, bytes: u64) {
        if self.inner.open.get() {
            self.count(1, bytes);
            let nanos = u64::try_from((now() - start).as_nanos()).unwrap_or(u64::MAX);
            self.inner.latencies.borrow_mut().saturating_record(nanos);
        }
    }

    /// Counts `count` things without a latency.
    pub(crate) fn count(&self, count: u64, bytes: u64) {
        if self.inner.open.get() {
            self.inner.count.set(self.inner.count.get() + count);
            self.inner.bytes.set(self.inner.bytes.get() + bytes);
        }
    }

    /// Counts an operation that the server refused.
    pub(crate) fn failed(&self) {
        self.inner.failed.set(self.inner.failed.get() + 1);
    }

    /// Whether callers should start nothing more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.inner.stopped.get()
    }

    /// Warms up, measures `seconds` seconds of the running load, then tells the callers to stop.
    pub(crate) async fn window(&self, pid: u32, warm: f64, seconds: f64) -> Result<Window> {
        tokio::time::sleep(Duration::from_secs_f64(warm)).await;
        self.open();
        let (before, started) = (usage(pid)?, now());
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        self.close(pid, before, started)
    }

    /// Starts counting; for work that ends by itself.
    pub(crate) fn open(&self) {
        self.inner.open.set(true);
    }

    /// Ends the window that began at `started`.
    pub(crate) fn close(&self, pid: u32, before: Usage, started: Instant) -> Result<Window> {
        let (after, lasted) = (usage(pid)?, now() - started);
        self.inner.open.set(false);
        self.inner.stopped.set(true);
        Ok(Window {
            lasted,
            count: self.inner.count.get(),
            failed: self.inner.failed.get(),
            bytes: self.inner.bytes.get(),
            latencies: self.inner.latencies.borrow().clone(),
            used: Usage {
                cpu_us: after.cpu_us - before.cpu_us,
                written: after.written - before.written,
            },
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

    /// Latency at `quantile`, in microseconds.
    pub(crate) fn latency(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }
}
