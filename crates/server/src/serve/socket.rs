//! A socket that writes once for all that its connection has to say at a time.
//!
//! HTTP/2 hands out a frame at a time, and asks to flush after each that is larger than a few hundred bytes. Written as
//! they come, a hundred answers are a hundred system calls, each with a trip through the network stack. So writes are
//! held back here, and [`Connected`] lets go of them when its connection has been polled and has nothing more to add.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// What may be held back. More goes out at once, together with what is held.
const HELD_BYTES_MAX: usize = 64 << 10;
/// Writes of so many bytes are not held back: a full frame of HTTP/2's usual size. Copying it costs more than a system call.
const DIRECT_BYTES_MIN: usize = 16 << 10;
/// What an idle connection may keep for its next answers.
const KEPT_BYTES: usize = 16 << 10;

/// A socket that holds writes back.
pub(super) struct Socket {
    reader: TokioIo<OwnedReadHalf>,
    outbox: Outbox,
    /// Whether anything has been written.
    is_used: bool,
}

/// What has been written and not sent. Used by one thread; the lock is never waited for.
#[derive(Clone)]
pub(super) struct Outbox {
    shared: Arc<Mutex<Held>>,
}

struct Held {
    writer: OwnedWriteHalf,
    bytes: Vec<u8>,
    /// How many of the bytes are sent.
    sent: usize,
    /// Whether the kernel was told that more follows, and may wait for it.
    more_promised: bool,
}

/// What to tell the kernel about a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It may wait for more before it sends the last of this.
    More,
    /// All is there: send.
    Send,
}

impl Socket {
    /// Splits the way out from a socket.
    pub(super) fn split(stream: TcpStream) -> (Socket, Outbox) {
        let (reader, writer) = stream.into_split();
        let held = Held {
            writer,
            bytes: Vec::new(),
            sent: 0,
            more_promised: false,
        };
        let outbox = Outbox {
            shared: Arc::new(Mutex::new(held)),
        };
        let socket = Socket {
            reader: TokioIo::new(reader),
            outbox: outbox.clone(),
            is_used: false,
        };
        (socket, outbox)
    }
}

impl Outbox {
    /// Sends what is held.
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = self.shared.lock();
        while !held.bytes.is_empty() {
            ready!(held.poll_write(cx, &[], Then::Send))?;
        }
        Poll::Ready(held.push())
    }
}

/// A connection that sends what it has written whenever it has nothing more to add. It ends with the connection, or
/// when nothing can be sent any more.
pub(super) struct Connected<C> {
    pub(super) connection: C,
    pub(super) outbox: Outbox,
}

impl<C: Future + Unpin> Future for Connected<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = Pin::new(&mut self.connection).poll(cx);
        match self.outbox.poll_send(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => polled.map(drop),
        }
    }
}

impl Held {
    fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Holds all of it back if it is small and there is room, or sends it behind what is held.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        while len >= DIRECT_BYTES_MIN || self.len() + len > HELD_BYTES_MAX {
            let taken = ready!(self.poll_write(cx, slices, Then::More))?;
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
        }
        if self.bytes.len() + len > KEPT_BYTES {
            self.bytes.reserve(HELD_BYTES_MAX - self.len());
        }
        for slice in slices {
            self.bytes.extend_from_slice(slice);
        }
        Poll::Ready(Ok(len))
    }

    /// One system call for what is held and as much of `slices` as goes with it. Tells how much of `slices` went.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        then: Then,
    ) -> Poll<io::Result<usize>> {
        /// As many as HTTP/2 passes on at a time, and the held bytes.
        const SLICES_MAX: usize = 65;
        let held = self.len();
        let mut all = [IoSlice::new(&[]); SLICES_MAX];
        all[0] = IoSlice::new(&self.bytes[self.sent..]);
        let count = slices.len().min(SLICES_MAX - 1);
        all[1..=count].copy_from_slice(&slices[..count]);
        let written = ready!(poll_send(self.writer.as_ref(), cx, &all[..=count], then))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.more_promised = then == Then::More;
        if written < held {
            self.sent += written;
            return Poll::Ready(Ok(0));
        }
        self.sent = 0;
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        Poll::Ready(Ok(written - held))
    }

    /// Nothing more follows for now.
    fn push(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.more_promised) {
            // Asked not to wait for more, the kernel sends what it has (tcp(7)), even if it was asked before.
            self.writer.as_ref().set_nodelay(true)?;
        }
        Ok(())
    }
}

fn poll_send(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
    then: Then,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let send = || SockRef::from(stream).send_vectored_with_flags(slices, flags(then));
        match stream.try_io(Interest::WRITABLE, send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            sent => return Poll::Ready(sent),
        }
    }
}

#[cfg(target_os = "linux")]
fn flags(then: Then) -> libc::c_int {
    match then {
        Then::More => libc::MSG_MORE | libc::MSG_NOSIGNAL,
        Then::Send => libc::MSG_NOSIGNAL,
    }
}

/// Elsewhere the kernel cannot be asked to wait, and sends at once.
#[cfg(not(target_os = "linux"))]
fn flags(_: Then) -> libc::c_int {
    0
}

impl hyper::rt::Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, cursor)
    }
}

impl hyper::rt::Write for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_used = true;
        self.outbox.shared.lock().poll_take(cx, slices)
    }

    /// h2 asks once, before it writes, and then sends each frame of 256 bytes or more by itself instead of copying it
    /// behind the others; told no, it draws that line at 1,024 bytes. Asked later, for a frame that is large, the answer
    /// is yes.
    fn is_write_vectored(&self) -> bool {
        self.is_used
    }

    /// Not yet: see [`Connected`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.outbox.poll_send(cx))?;
        let mut held = self.outbox.shared.lock();
        Pin::new(&mut held.writer).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::rt::Write as _;
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(test)
    }

    async fn write(socket: &mut Socket, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len() / 3);
            let slices = [IoSlice::new(head), IoSlice::new(tail)];
            let write = poll_fn(|cx| Pin::new(&mut *socket).poll_write_vectored(cx, &slices));
            let written = write.await.unwrap();
            bytes = &bytes[written..];
        }
    }

    /// A reader that takes a little at a time gets every byte, in order, whatever the lengths of the writes.
    #[test]
    fn all_that_is_written_comes_out_in_order() {
        run(async {
            let (mut client, server) = pair().await;
            let (mut socket, outbox) = Socket::split(server);
            let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
            let mut rest = &sent[..];
            let connection = std::pin::pin!(async {
                for len in (1..).map(|n| n * n * n % 200_003) {
                    let (now, later) = rest.split_at(len.min(rest.len()));
                    write(&mut socket, now).await;
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                poll_fn(|cx| Pin::new(&mut socket).poll_shutdown(cx))
                    .await
                    .unwrap();
            });
            let connected = Connected { connection, outbox };
            let read = async {
                let (mut got, mut some) = (Vec::new(), vec![0; 7_001]);
                loop {
                    match client.read(&mut some).await.unwrap() {
                        0 => break got,
                        len => got.extend_from_slice(&some[..len]),
                    }
                }
            };
            let ((), got) = tokio::join!(connected, read);
            assert!(got == sent);
        });
    }

    /// Small writes wait for each other, and leave when the connection waits for something else.
    #[test]
    fn small_writes_leave_together() {
        run(async {
            let (mut client, server) = pair().await;
            let (mut socket, outbox) = Socket::split(server);
            let held = outbox.clone();
            let connection = std::pin::pin!(async {
                assert!(!socket.is_write_vectored());
                for _ in 0..10 {
                    write(&mut socket, b"answer").await;
                    poll_fn(|cx| Pin::new(&mut socket).poll_flush(cx))
                        .await
                        .unwrap();
                }
                assert_eq!(held.shared.lock().len(), 60);
                assert!(socket.is_write_vectored());
                std::future::pending::<()>().await;
            });
            let connected = Connected { connection, outbox };
            let mut got = [0; 60];
            tokio::select! {
                () = connected => panic!("the connection does not end"),
                read = client.read_exact(&mut got) => assert_eq!(read.unwrap(), 60),
            }
            assert_eq!(got[..12], *b"answeranswer");
        });
    }

    /// What the kernel was asked to hold leaves too when the connection waits for something else.
    #[test]
    fn large_writes_leave_at_once() {
        run(async {
            let (mut client, server) = pair().await;
            let (mut socket, outbox) = Socket::split(server);
            let held = outbox.clone();
            let sent = vec![7; 3 * DIRECT_BYTES_MIN + 1];
            let connection = std::pin::pin!(async {
                for slice in sent.chunks(DIRECT_BYTES_MIN + 1) {
                    let slices = [IoSlice::new(slice)];
                    let write =
                        poll_fn(|cx| Pin::new(&mut socket).poll_write_vectored(cx, &slices));
                    assert_eq!(write.await.unwrap(), slice.len());
                }
                assert!(held.shared.lock().more_promised);
                std::future::pending::<()>().await;
            });
            let connected = Connected { connection, outbox };
            let mut got = vec![0; sent.len()];
            tokio::select! {
                () = connected => panic!("the connection does not end"),
                read = client.read_exact(&mut got) => assert_eq!(read.unwrap(), sent.len()),
            }
            assert!(got == sent && !held.shared.lock().more_promised);
        });
    }

    /// A client that has gone ends its connection, even if the connection itself has not noticed.
    #[test]
    fn a_socket_that_is_gone_ends_the_connection() {
        run(async {
            let (client, server) = pair().await;
            let (mut socket, outbox) = Socket::split(server);
            drop(client);
            let connection = std::pin::pin!(async {
                loop {
                    let bytes = [IoSlice::new(b"answer")];
                    let _gone =
                        poll_fn(|cx| Pin::new(&mut socket).poll_write_vectored(cx, &bytes)).await;
                    tokio::task::yield_now().await;
                }
            });
            Connected { connection, outbox }.await;
        });
    }
}
