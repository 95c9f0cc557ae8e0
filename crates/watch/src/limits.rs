//! How much a hub may hold and do at once.

/// How much a hub may hold and do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Responses that wait in one stream before its watchers are set aside. A stream with many watchers
    /// may have two for each of them, so that one revision that concerns them all fits.
    pub queue_responses_max: usize,
    /// Bytes that wait in one stream before its watchers are set aside; one response may exceed it.
    pub queue_bytes_max: usize,
    /// Answers to requests that may wait in one stream before no further request should be read.
    pub queue_answers_max: usize,
    /// Bytes of several revisions in one response to a watcher that is up to date; one revision may exceed
    /// it.
    pub response_bytes_max: usize,
    /// Bytes of recent revisions that are kept in memory. They are shared between the hubs.
    pub ring_bytes_max: usize,
    /// Revisions in one step of catching up, and so in one response.
    pub window_revisions_max: usize,
    /// Bytes in one step of catching up; one revision may exceed it.
    pub window_bytes_max: usize,
    /// Watchers in one step of catching up.
    pub window_watchers_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            queue_responses_max: 128,
            queue_bytes_max: 8 << 20,
            queue_answers_max: 16,
            response_bytes_max: 64 << 10,
            ring_bytes_max: 16 << 20,
            window_revisions_max: 1000,
            window_bytes_max: 1 << 20,
            window_watchers_max: 4096,
        }
    }
}
