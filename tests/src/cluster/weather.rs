//! Bad weather between members: whatever they say to each other passes through here, and is late, slow, stuck or cut off.
//!
//! Each member is known to the others by a port of this process. Who calls it is told by its address, so that each pair
//! of members, in each direction, has weather of its own. Chance comes from a seed; what it meets does not.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::clock::now;

/// Bytes that move at once.
const PIECE_BYTES: usize = 16 << 10;
/// Pieces under way on one connection in one direction: beyond that the sender feels the weather.
const PIECES_MAX: usize = 64;
/// How often what is stuck looks whether it still is.
const STUCK_PAUSE: Duration = Duration::from_millis(10);

/// What happens to what one member says to another.
#[derive(Debug, Clone, Default)]
pub(super) struct Weather {
    /// Each piece is late by so many milliseconds, and never overtakes another.
    pub(super) delay: std::ops::Range<u64>,
    /// Not more bytes in a second.
    pub(super) bytes_per_second: Option<u64>,
    /// Nothing arrives; the connections stay open.
    pub(super) stuck: bool,
    /// Connections that the member opens break after so many milliseconds.
    pub(super) life: Option<std::ops::Range<u64>>,
    /// Connections that the member opens break after so many of its bytes, whatever is in the middle.
    pub(super) bytes: Option<std::ops::Range<u64>>,
}

impl Weather {
    /// Nothing arrives.
    pub(super) fn stuck() -> Weather {
        Weather {
            stuck: true,
            ..Weather::default()
        }
    }
}

/// The weather by sender and receiver; where nothing is said it is fair.
type Forecast = Arc<Mutex<BTreeMap<(usize, usize), Weather>>>;

/// Passes on what members say to each other, for as long as it lives.
pub(super) struct Between {
    forecast: Forecast,
    /// Where each member is reached.
    addresses: Vec<SocketAddr>,
    /// Changes when all connections are to break. Without it the proxy ends.
    breaks: watch::Sender<u64>,
}

impl Between {
    /// Listens on `host` for calls to `members`, each of which really listens at its address.
    ///
    /// # Errors
    /// If it cannot listen.
    pub(super) fn start(host: &str, members: Vec<SocketAddr>, seed: u64) -> Result<Between> {
        let forecast = Forecast::default();
        let listen = |_| std::net::TcpListener::bind((host, 0)).context("listen between members");
        let listeners: Vec<_> = members.iter().map(listen).collect::<Result<_>>()?;
        let addresses: std::io::Result<_> = listeners.iter().map(|l| l.local_addr()).collect();
        let (breaks, broken) = watch::channel(0);
        let gate = Gate {
            names: (0..).zip(&members).map(|(n, at)| (at.ip(), n)).collect(),
            forecast: forecast.clone(),
            rng: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            broken: broken.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::spawn(move || {
            runtime.block_on(async move {
                for (to, (listener, target)) in listeners.into_iter().zip(members).enumerate() {
                    tokio::spawn(gate.clone().open(listener, to, target));
                }
                // Ends when the proxy is dropped, and all connections with it.
                let mut broken = broken;
                while broken.changed().await.is_ok() {}
            });
        });
        Ok(Between {
            forecast,
            addresses: addresses?,
            breaks,
        })
    }

    /// Where the others reach a member.
    pub(super) fn address(&self, member: usize) -> SocketAddr {
        self.addresses[member]
    }

    /// Sets the weather for what one member says to another.
    pub(super) fn set(&self, from: usize, to: usize, weather: Weather) {
        lock(&self.forecast).insert((from, to), weather);
    }

    /// Sets the same weather everywhere.
    pub(super) fn set_all(&self, weather: &Weather) {
        let members = 0..self.addresses.len();
        for from in members.clone() {
            members
                .clone()
                .for_each(|to| self.set(from, to, weather.clone()));
        }
    }

    /// All connections that there are break.
    pub(super) fn break_all(&self) {
        self.breaks.send_modify(|times| *times += 1);
    }

    /// The weather is fair again; connections that were doomed break all the same.
    pub(super) fn clear(&self) {
        lock(&self.forecast).clear();
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Gate {
    names: BTreeMap<IpAddr, usize>,
    forecast: Forecast,
    rng: Arc<Mutex<fastrand::Rng>>,
    broken: watch::Receiver<u64>,
}

impl Gate {
    async fn open(self, listener: std::net::TcpListener, to: usize, target: SocketAddr) {
        let listener = listener
            .set_nonblocking(true)
            .and_then(|()| TcpListener::from_std(listener));
        let Ok(listener) = listener else { return };
        while let Ok((caller, address)) = listener.accept().await {
            // A stranger is no member: it is let through as it is.
            let from = self.names.get(&address.ip()).copied().unwrap_or(usize::MAX);
            tokio::spawn(self.clone().connect(caller, from, to, target));
        }
    }

    async fn connect(self, mut caller: TcpStream, from: usize, to: usize, target: SocketAddr) {
        let Ok(mut called) = TcpStream::connect(target).await else {
            return reset(&caller);
        };
        caller.set_nodelay(true).ok();
        called.set_nodelay(true).ok();
        // Whichever way it ends, both ends hear of it at once, and what is under way is lost.
        reset(&caller);
        reset(&called);
        let doom = self.weather(from, to);
        let life = doom
            .life
            .map(|life| Duration::from_millis(self.draw(&life)));
        let bytes = doom.bytes.map_or(u64::MAX, |bytes| self.draw(&bytes));
        let (caller_in, caller_out) = caller.split();
        let (called_in, called_out) = called.split();
        let mut broken = self.broken.clone();
        broken.mark_unchanged();
        let over = async {
            match life {
                Some(life) => tokio::time::sleep(life).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.pass(caller_in, called_out, (from, to), bytes) => {}
            () = self.pass(called_in, caller_out, (to, from), u64::MAX) => {}
            () = over => {}
            _ = broken.changed() => {}
        }
    }

    /// Moves bytes one way, until there are no more or it has been so many.
    async fn pass(
        &self,
        mut incoming: ReadHalf<'_>,
        mut outgoing: WriteHalf<'_>,
        way: (usize, usize),
        mut left: u64,
    ) {
        let (pieces, mut queue) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
        let read = async move {
            let mut due = now();
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let Ok(len @ 1..) = incoming.read(&mut piece).await else {
                    return;
                };
                piece.truncate(len);
                let delay = self.draw(&self.weather(way.0, way.1).delay);
                due = due.max(now() + Duration::from_millis(delay));
                if pieces.send((due, piece)).await.is_err() {
                    return;
                }
            }
        };
        let write = async {
            while let Some((due, piece)) = queue.recv().await {
                tokio::time::sleep_until(due.into()).await;
                while self.weather(way.0, way.1).stuck {
                    tokio::time::sleep(STUCK_PAUSE).await;
                }
                let len = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                if outgoing.write_all(&piece[..len]).await.is_err() {
                    return;
                }
                left -= len as u64;
                if left == 0 {
                    return;
                }
                if let Some(rate) = self.weather(way.0, way.1).bytes_per_second {
                    let pause = Duration::from_secs(1) * len as u32 / rate.max(1) as u32;
                    tokio::time::sleep(pause).await;
                }
            }
        };
        // What was read before the end still arrives.
        let read = async {
            read.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = read => {}
            () = write => {}
        }
    }

    fn weather(&self, from: usize, to: usize) -> Weather {
        let forecast = lock(&self.forecast);
        forecast.get(&(from, to)).cloned().unwrap_or_default()
    }

    fn draw(&self, range: &std::ops::Range<u64>) -> u64 {
        if range.is_empty() {
            return range.start;
        }
        lock(&self.rng).u64(range.clone())
    }
}

/// Has a connection broken off instead of closed when it is dropped.
fn reset(stream: &TcpStream) {
    let _fails_only_when_closed = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Two members on one address, of which the first one calls.
    fn between(weather: Weather) -> (Between, TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let proxy = Between::start("127.0.0.1", vec![at], 1).unwrap();
        proxy.set_all(&weather);
        let caller = TcpStream::connect(proxy.address(0)).unwrap();
        let (called, _) = listener.accept().unwrap();
        (proxy, caller, called)
    }

    fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn in_fair_and_in_late_weather_everything_arrives_in_order() {
        for delay in [0..0, 1..9] {
            let weather = Weather {
                delay,
                ..Weather::default()
            };
            let (_proxy, mut caller, mut called) = between(weather);
            let bytes: Vec<u8> = (0..60_000).map(|n: u32| n as u8).collect();
            caller.write_all(&bytes).unwrap();
            assert_eq!(read(&mut called, bytes.len()), bytes);
            called.write_all(b"answer").unwrap();
            assert_eq!(read(&mut caller, 6), b"answer");
        }
    }

    #[test]
    fn a_connection_breaks_after_so_many_bytes() {
        let weather = Weather {
            bytes: Some(1000..1001),
            ..Weather::default()
        };
        let (_proxy, mut caller, mut called) = between(weather);
        caller.write_all(&[7; 5000]).unwrap();
        let mut heard = Vec::new();
        let end = called.read_to_end(&mut heard);
        assert!(heard.len() <= 1000);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn what_is_stuck_arrives_when_the_weather_is_fair_again() {
        let (proxy, mut caller, mut called) = between(Weather::stuck());
        caller.write_all(b"late").unwrap();
        called
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        assert!(called.read(&mut [0; 4]).is_err());
        called.set_read_timeout(None).unwrap();
        proxy.clear();
        assert_eq!(read(&mut called, 4), b"late");
    }
}
