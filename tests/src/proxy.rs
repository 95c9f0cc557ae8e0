//! A stretch of the network that can be told to break.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const CHUNK_BYTES: usize = 64 << 10;

/// Takes connections and passes on what they carry, both ways, until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// The next connection that has carried so many bytes towards its target is cut.
    cut_at: AtomicU64,
    /// Connections that were cut.
    cuts: AtomicU64,
    /// Bytes towards the target, of all connections.
    carried: AtomicU64,
}

impl Proxy {
    /// Takes connections at `address`, on any free port with port 0, for `target`, such as `10.0.0.1:2380`.
    pub(crate) async fn start(address: &str, target: String) -> Result<Proxy> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("listen on {address}"))?;
        let shared = Arc::new(Shared {
            cut_at: AtomicU64::new(u64::MAX),
            cuts: AtomicU64::new(0),
            carried: AtomicU64::new(0),
        });
        Ok(Proxy {
            address: listener.local_addr()?,
            shared: shared.clone(),
            task: tokio::spawn(accept(listener, target, shared)),
        })
    }

    /// Where it takes connections.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts one connection: the first that has carried so many bytes towards the target.
    pub(crate) fn cut_at(&self, bytes: u64) {
        self.shared.cut_at.store(bytes, Ordering::Relaxed);
    }

    /// How many connections were cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// Bytes that all connections have carried towards the target.
    pub(crate) fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: String, shared: Arc<Shared>) {
    // Dropped with the task, and with it the connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(pass_on(stream, target.clone(), shared.clone()));
    }
}

/// One connection; it ends when either end does, or with a cut.
async fn pass_on(near: TcpStream, target: String, shared: Arc<Shared>) {
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    // As the members themselves do.
    let _kept = (near.set_nodelay(true), far.set_nodelay(true));
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let there = async {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut carried = 0;
        loop {
            let Ok(length @ 1..) = near_in.read(&mut chunk).await else {
                return;
            };
            if far_out.write_all(&chunk[..length]).await.is_err() {
                return;
            }
            carried += length as u64;
            shared.carried.fetch_add(length as u64, Ordering::Relaxed);
            if carried >= shared.cut_at.load(Ordering::Relaxed) {
                shared.cut_at.store(u64::MAX, Ordering::Relaxed);
                shared.cuts.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    };
    let back = tokio::io::copy(&mut far_in, &mut near_out);
    tokio::select! {
        () = there => {}
        _ = back => {}
    }
}
