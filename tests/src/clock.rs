//! The one place of the tests that asks for the time and that waits.
//!
//! Timings are measured and reported, never asserted; a wait is always a poll with a deadline.

use std::time::{Duration, Instant};

/// The current moment.
#[expect(
    clippy::disallowed_methods,
    reason = "tests of whole processes live in real time"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Calls `probe` every few milliseconds until it gives a value or `limit` has passed.
pub async fn poll<T>(limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + limit;
    loop {
        if let Some(value) = probe().await {
            return Some(value);
        }
        if now() >= deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
