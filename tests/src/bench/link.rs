//! One HTTP/2 connection that makes gRPC calls at very little cost.
//!
//! The load generator shares the machine with the server that it measures, so its own cost limits what can be seen:
//! general clients spend several times as much per call as this one, which writes frames straight into one buffer, reads
//! many answers with one system call and decodes a header block only when it has not met the same bytes before.

mod inbound;
mod status;

use std::collections::{HashMap, VecDeque};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;

use super::frame::{self, END_HEADERS, END_STREAM, kind, push_head};
use super::headers::HeaderTable;
use inbound::Inbound;
use status::StatusReader;

/// What the server may send ahead on each stream and on the connection: more than any scenario uses.
const RECEIVE_WINDOW: u32 = (1 << 31) - 1;
/// What both sides start with before any setting arrives (RFC 9113, section 6.9.2).
const DEFAULT_WINDOW: i64 = 65_535;
/// Length of the prefix of a gRPC message: a compression flag and the length.
const PREFIX_LEN: usize = 5;

/// What came back on a stream.
#[derive(Debug)]
pub(crate) enum Event {
    /// A whole message: its bytes if the call was started with [`Keep::Bytes`], else nothing.
    Message { tag: u32, body: Vec<u8> },
    /// The server has ended the stream.
    Closed(Ending),
}

/// How a stream ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// Of the call.
    pub(crate) tag: u32,
    /// Messages that came back.
    pub(crate) messages: u32,
    /// Their bytes, with prefixes.
    pub(crate) bytes: u64,
    /// Whether the server said that all went well.
    pub(crate) good: bool,
}

/// How a call is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// Full path, such as `/etcdserverpb.KV/Put`.
    pub(crate) path: &'static str,
    /// Comes back with each event of the stream.
    pub(crate) tag: u32,
    /// Whether the first message is also the last.
    pub(crate) unary: bool,
    /// What is wanted of the answers.
    pub(crate) keep: Keep,
}

/// What becomes of the messages that come back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep {
    /// Their number is enough.
    Nothing,
    /// Each comes as an event with its bytes.
    Bytes,
    /// They are counted in place by this function and never become events; see [`Link::take_counted`].
    Count(fn(&[u8]) -> u64),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: TcpStream,
    authority: String,
    table: HeaderTable,
    statuses: StatusReader,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    next_stream: u32,
    send_window: i64,
    stream_window: i64,
    frame_max: usize,
    unreturned: u32,
    counted: u64,
    streams: HashMap<u32, Stream>,
    blocked: VecDeque<u32>,
}

/// One call in flight.
#[derive(Debug)]
struct Stream {
    window: i64,
    unsent: VecDeque<u8>,
    unary: bool,
    inbound: Inbound,
}

impl Link {
    /// Connects and offers large windows.
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))
            .await
            .context("connect")?;
        socket.set_nodelay(true)?;
        let mut output = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        push_head(&mut output, 12, kind::SETTINGS, 0, 0);
        for (setting, value) in [(2u16, 0u32), (4, RECEIVE_WINDOW)] {
            output.extend_from_slice(&setting.to_be_bytes());
            output.extend_from_slice(&value.to_be_bytes());
        }
        push_head(&mut output, 4, kind::WINDOW_UPDATE, 0, 0);
        output.extend_from_slice(&(RECEIVE_WINDOW - DEFAULT_WINDOW as u32).to_be_bytes());
        Ok(Self {
            socket,
            authority: format!("127.0.0.1:{port}"),
            table: HeaderTable::default(),
            statuses: StatusReader::new(),
            input: Vec::with_capacity(256 * 1024),
            output,
            written: 0,
            next_stream: 1,
            send_window: DEFAULT_WINDOW,
            stream_window: DEFAULT_WINDOW,
            frame_max: 16_384,
            unreturned: 0,
            counted: 0,
            streams: HashMap::new(),
            blocked: VecDeque::new(),
        })
    }

    /// Starts a call with its first message and returns the stream's number.
    pub(crate) fn start(&mut self, call: Call, message: &impl prost::Message) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let head_at = self.output.len();
        push_head(&mut self.output, 0, kind::HEADERS, END_HEADERS, stream);
        self.table
            .encode_call(call.path, &self.authority, &mut self.output);
        let len = self.output.len() - head_at - frame::HEADER_LEN;
        self.output[head_at + 2] = len as u8; // a header block is always below 256 bytes
        self.streams.insert(
            stream,
            Stream {
                window: self.stream_window,
                unsent: VecDeque::new(),
                unary: call.unary,
                inbound: Inbound::new(call.tag, call.keep),
            },
        );
        self.send(stream, message);
        stream
    }

    /// Sends a message on a stream; of a unary call the only one.
    pub(crate) fn send(&mut self, stream: u32, message: &impl prost::Message) {
        let len = message.encoded_len();
        let Some(state) = self.streams.get_mut(&stream) else {
            return;
        };
        let total = len + PREFIX_LEN;
        let room = self.send_window.min(state.window);
        if state.unsent.is_empty() && total <= self.frame_max && total as i64 <= room {
            self.send_window -= total as i64;
            state.window -= total as i64;
            let flags = if state.unary { END_STREAM } else { 0 };
            push_head(&mut self.output, total, kind::DATA, flags, stream);
            push_prefixed(&mut self.output, len, message);
            return;
        }
        let mut bytes = Vec::with_capacity(total);
        push_prefixed(&mut bytes, len, message);
        if state.unsent.is_empty() {
            self.blocked.push_back(stream);
        }
        state.unsent.extend(bytes);
        self.send_blocked();
    }

    /// Sends what the windows allow of messages that did not fit before.
    fn send_blocked(&mut self) {
        for _ in 0..self.blocked.len() {
            let Some(stream) = self.blocked.pop_front() else {
                return;
            };
            let Some(state) = self.streams.get_mut(&stream) else {
                continue;
            };
            while !state.unsent.is_empty() {
                let room = self.send_window.min(state.window).max(0) as usize;
                let len = room.min(self.frame_max).min(state.unsent.len());
                if len == 0 {
                    break;
                }
                self.send_window -= len as i64;
                state.window -= len as i64;
                let last = state.unary && len == state.unsent.len();
                push_head(
                    &mut self.output,
                    len,
                    kind::DATA,
                    u8::from(last) * END_STREAM,
                    stream,
                );
                self.output.extend(state.unsent.drain(..len));
            }
            if !state.unsent.is_empty() {
                self.blocked.push_back(stream);
            }
        }
    }

    /// Writes what is queued, waits for bytes of the server and appends what they mean to `events`.
    ///
    /// Safe to drop while waiting.
    pub(crate) async fn turn(&mut self, events: &mut Vec<Event>) -> Result<()> {
        self.flush()?;
        if !self.output.is_empty() {
            // The server takes no more: it may be waiting for us to read.
            let ready = self
                .socket
                .ready(Interest::READABLE | Interest::WRITABLE)
                .await?;
            if !ready.is_readable() {
                return self.flush();
            }
        }
        match self
            .socket
            .read_buf(&mut self.input)
            .await
            .context("read")?
        {
            0 => bail!("the server closed the connection"),
            _ => self.take_frames(events)?,
        }
        self.flush()
    }

    /// Decides anew what is wanted of the answers on `stream`, from the next one on that has not begun.
    pub(crate) fn keep(&mut self, stream: u32, keep: Keep) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.inbound.keep_next = keep;
        }
    }

    /// What [`Keep::Count`] has counted since the last call.
    pub(crate) fn take_counted(&mut self) -> u64 {
        std::mem::take(&mut self.counted)
    }

    /// Writes what is queued as far as the server takes it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while self.written < self.output.len() {
            match self.socket.try_write(&self.output[self.written..]) {
                Ok(n) => self.written += n,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e).context("write"),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}

fn push_prefixed(out: &mut Vec<u8>, len: usize, message: &impl prost::Message) {
    out.push(0);
    out.extend_from_slice(&(len as u32).to_be_bytes());
    message.encode_raw(out);
}
