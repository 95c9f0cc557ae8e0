//! One runtime per core, each on a thread of its own.
//!
//! Measured with tonic's echo: one runtime per thread costs half the CPU per call of one runtime with two threads.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::Serving;
use crate::worker::Worker;

/// The runtimes that serve clients.
pub(crate) struct Runtimes {
    seats: Vec<Seat>,
    threads: parking_lot::Mutex<Vec<JoinHandle<()>>>,
}

/// The way into one runtime.
struct Seat {
    connections: UnboundedSender<Arrival>,
    open: Arc<AtomicUsize>,
}

/// A connection on its way to its runtime.
struct Arrival {
    stream: TcpStream,
    serving: Arc<Serving>,
    guest: Guest,
}

impl Runtimes {
    /// Starts a thread for each worker. They end when `stop` says so and all connections are closed.
    pub(crate) fn start(
        workers: Vec<Arc<Worker>>,
        stop: &watch::Receiver<bool>,
    ) -> io::Result<Runtimes> {
        let mut seats = Vec::new();
        let mut threads = Vec::new();
        for (number, worker) in workers.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (connections, inbox) = unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            let guests = Guests {
                worker,
                open: open.clone(),
                stop: stop.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("serve-{number}"))
                .spawn(move || runtime.block_on(guests.serve(inbox)))?;
            seats.push(Seat { connections, open });
            threads.push(thread);
        }
        Ok(Runtimes {
            seats,
            threads: parking_lot::Mutex::new(threads),
        })
    }

    /// Gives a connection to the runtime that has the fewest: clients are few and their load is uneven.
    pub(crate) fn give(&self, stream: TcpStream, serving: Arc<Serving>) {
        let fewest = self
            .seats
            .iter()
            .min_by_key(|seat| seat.open.load(Ordering::Relaxed));
        if let Some(seat) = fewest {
            let guest = Guest::new(&seat.open);
            // A runtime that has ended closes the connection by dropping it.
            let _ended = seat.connections.send(Arrival {
                stream,
                serving,
                guest,
            });
        }
    }

    /// Waits for the threads to end.
    pub(crate) fn join(&self) {
        for thread in self.threads.lock().drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// The connections of one runtime.
struct Guests {
    worker: Arc<Worker>,
    open: Arc<AtomicUsize>,
    stop: watch::Receiver<bool>,
}

impl Guests {
    async fn serve(mut self, mut inbox: UnboundedReceiver<Arrival>) {
        tokio::spawn(self.worker.clone().sort_mail());
        tokio::spawn(self.worker.clone().let_go());
        let watching = self.worker.clone();
        tokio::spawn(async move { watching.watching.catch_up().await });
        loop {
            let next = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => break,
                next = inbox.recv() => next,
            };
            let Some(arrival) = next else { break };
            let Arrival {
                stream,
                serving,
                guest,
            } = arrival;
            let (worker, stop) = (self.worker.clone(), self.stop.clone());
            tokio::spawn(async move {
                serving.connection(worker, stream, stop).await;
                drop(guest);
            });
        }
        // What has come and was not looked at must not be waited for.
        drop(inbox);
        while self.open.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

/// Counts a connection from when it is given to a runtime until it is closed.
struct Guest {
    open: Arc<AtomicUsize>,
}

impl Guest {
    fn new(open: &Arc<AtomicUsize>) -> Guest {
        open.fetch_add(1, Ordering::Relaxed);
        Guest { open: open.clone() }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
