//! Sockets to listen on, and the loop that accepts.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Runtimes, Serving};
use crate::config::MemberUrl;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long to wait when the process has no file descriptor left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A socket that is bound and listens.
#[derive(Debug)]
pub(crate) struct BoundListener {
    pub(crate) address: SocketAddr,
    listener: std::net::TcpListener,
}

/// Why an address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("listen on {url}")]
pub(crate) struct ListenError {
    url: String,
    #[source]
    source: io::Error,
}

/// How sockets are set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketOptions {
    pub(crate) reuse_port: bool,
}

/// Binds all addresses that a URL's host stands for.
///
/// # Errors
/// [`ListenError`] if the host is unknown or the port is taken.
pub(crate) fn bind(
    url: &MemberUrl,
    options: SocketOptions,
) -> Result<Vec<BoundListener>, ListenError> {
    let failed = |source| ListenError {
        url: url.as_str().to_owned(),
        source,
    };
    let addresses: Vec<SocketAddr> = url.address().to_socket_addrs().map_err(failed)?.collect();
    let mut bound = Vec::new();
    let mut refused = None;
    for address in addresses {
        match bind_one(address, options) {
            Ok(listener) => {
                let address = listener.local_addr().map_err(failed)?;
                bound.push(BoundListener { address, listener });
            }
            // `localhost` stands for an IPv6 address too, which a machine may not have.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => refused = Some(error),
            Err(error) => return Err(failed(error)),
        }
    }
    match refused {
        Some(error) if bound.is_empty() => Err(failed(error)),
        _ => Ok(bound),
    }
}

fn bind_one(address: SocketAddr, options: SocketOptions) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // As Go does: a restart must not wait for old connections to be forgotten.
    socket.set_reuse_address(true)?;
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl BoundListener {
    /// The socket, for the runtime that this is called on.
    pub(crate) fn into_tokio(self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.listener)
    }

    /// Another handle of the socket, for whoever accepts before this one does.
    pub(crate) fn try_clone(&self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.listener.try_clone()?)
    }

    /// Accepts until `stop` says so. A listener that fails otherwise is an error for the caller.
    pub(crate) async fn accept_all(
        self,
        serving: Arc<Serving>,
        runtimes: Arc<Runtimes>,
        mut stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let listener = self.into_tokio()?;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    // Without it an answer waits for the acknowledgement of the one before.
                    stream.set_nodelay(true).ok();
                    runtimes.give(stream.into_std()?, serving.clone());
                }
                Err(error) if is_passing(&error) => tokio::time::sleep(EXHAUSTED_PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Errors of one connection, or of a moment: the listener itself is fine.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    let exhausted = matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    );
    exhausted
        || matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::Interrupted
        )
}
