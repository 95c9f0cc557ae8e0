//! One lazy connection per endpoint, used in turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint as Dialer};

use crate::{Config, Endpoint, Error};

/// How long an endpoint that refused a connection is passed over, at first and at most.
const PENALTY_MIN: Duration = Duration::from_millis(100);
const PENALTY_MAX: Duration = Duration::from_secs(10);

/// What the server may send before we take it from the connection.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// One lazy connection per endpoint.
///
/// Invariant: there is at least one.
pub(crate) struct Pool {
    targets: Vec<Target>,
    turn: AtomicUsize,
}

struct Target {
    channel: Channel,
    penalty: Mutex<Option<Penalty>>,
}

/// An endpoint that could not be connected to is passed over until then, unless all are.
#[derive(Clone, Copy)]
struct Penalty {
    until: Instant,
    length: Duration,
}

/// A connection for one attempt.
pub(crate) struct Picked {
    pub(crate) channel: Channel,
    target_idx: usize,
}

impl Pool {
    /// Parses the endpoints; connects to none.
    ///
    /// Must be called inside a tokio runtime, to which the connections then belong.
    pub(crate) fn new(config: &Config) -> Result<Pool, Error> {
        if config.endpoints.is_empty() {
            return Err(Error::NoEndpoint);
        }
        let target = |text: &String| {
            let channel = dialer(&Endpoint::parse(text)?, config)?.connect_lazy();
            Ok(Target {
                channel,
                penalty: Mutex::new(None),
            })
        };
        let targets = config
            .endpoints
            .iter()
            .map(target)
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Pool {
            targets,
            turn: AtomicUsize::new(0),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    /// The next endpoint in turn that is not known to be unreachable; if all are, the next in turn.
    pub(crate) fn pick(&self) -> Picked {
        let now = Instant::now();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.targets.len();
        let in_turn = || (first..self.targets.len()).chain(0..first);
        let usable = |idx: &usize| {
            self.targets[*idx]
                .penalty
                .lock()
                .is_none_or(|p| p.until <= now)
        };
        let target_idx = in_turn().find(usable).unwrap_or(first);
        Picked {
            channel: self.targets[target_idx].channel.clone(),
            target_idx,
        }
    }

    /// Passes this endpoint over for a while, each time for longer.
    pub(crate) fn unreachable(&self, picked: &Picked) {
        let mut penalty = self.targets[picked.target_idx].penalty.lock();
        let length = penalty.map_or(PENALTY_MIN, |p| (p.length * 2).min(PENALTY_MAX));
        *penalty = Some(Penalty {
            until: Instant::now() + length,
            length,
        });
    }

    /// Forgets earlier failures.
    pub(crate) fn reachable(&self, picked: &Picked) {
        *self.targets[picked.target_idx].penalty.lock() = None;
    }
}

fn dialer(endpoint: &Endpoint, config: &Config) -> Result<Dialer, Error> {
    let dialer = Dialer::from_shared(endpoint.uri().to_owned()).map_err(|_| Error::Endpoint {
        endpoint: endpoint.as_str().to_owned(),
        reason: "is not an address",
    })?;
    Ok(dialer
        .connect_timeout(config.dial_timeout)
        .http2_keep_alive_interval(config.keepalive_interval)
        .keep_alive_timeout(config.keepalive_timeout)
        .keep_alive_while_idle(false)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .tcp_nodelay(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool::new(&Config::new(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"])).unwrap()
    }

    fn turns(pool: &Pool, count: usize) -> Vec<usize> {
        (0..count).map(|_| pool.pick().target_idx).collect()
    }

    #[tokio::test]
    async fn endpoints_take_turns() {
        assert_eq!(turns(&pool(), 5), [0, 1, 2, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_endpoint_is_passed_over_for_a_while() {
        let pool = pool();
        let first = pool.pick();
        pool.unreachable(&first);
        assert_eq!(turns(&pool, 3), [1, 2, 1]);
        tokio::time::advance(PENALTY_MIN).await;
        assert!(turns(&pool, 3).contains(&0));
    }

    #[tokio::test(start_paused = true)]
    async fn if_all_are_unreachable_they_take_turns_again() {
        let pool = pool();
        for _ in 0..3 {
            let picked = pool.pick();
            pool.unreachable(&picked);
        }
        assert_eq!(turns(&pool, 3), [0, 1, 2]);
    }

    #[test]
    fn no_endpoint_is_an_error() {
        let none: [&str; 0] = [];
        assert!(matches!(
            Pool::new(&Config::new(none)),
            Err(Error::NoEndpoint)
        ));
    }
}
