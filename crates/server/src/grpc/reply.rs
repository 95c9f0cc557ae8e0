//! The body of every answer: ready frames for the calls that carry the load, a stream, or a page.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Full;
use prost::Message;
use tonic::Status;

use super::pieces::Pieces;
use super::status::to_headers;

/// Bytes before each gRPC message: a compression flag and the length, big endian.
pub(crate) const PREFIX_BYTES: usize = 5;

/// Where the messages of a server stream come from. `None` ends the stream with OK, an error with its status.
///
/// Each item is a whole number of gRPC messages, prefixes included.
pub(crate) type FrameStream = Pin<Box<dyn FramePoll>>;

/// Something that yields encoded gRPC messages.
pub(crate) trait FramePoll: Send {
    /// The next run of messages.
    fn poll_frames(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Pieces, Status>>>;
}

/// The body of an answer.
pub(crate) enum ReplyBody {
    /// One message that is complete, in pieces.
    Message {
        pieces: VecDeque<Bytes>,
        ended: bool,
    },
    /// Messages as they come.
    Stream {
        source: FrameStream,
        ended: bool,
        counted: Option<ferrod_metrics::Call>,
    },
    /// A page that is not gRPC, or a gRPC error without any message.
    Page(Full<Bytes>),
}

impl ReplyBody {
    fn message(pieces: VecDeque<Bytes>) -> ReplyBody {
        ReplyBody::Message {
            pieces,
            ended: false,
        }
    }

    /// A body without any byte.
    pub(crate) fn empty() -> ReplyBody {
        ReplyBody::Page(Full::default())
    }
}

impl Body for ReplyBody {
    type Data = Pieces;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Pieces>, Self::Error>>> {
        match self.get_mut() {
            ReplyBody::Message { ended: true, .. } | ReplyBody::Stream { ended: true, .. } => {
                Poll::Ready(None)
            }
            ReplyBody::Message { pieces, ended } => {
                Poll::Ready(Some(Ok(match pieces.pop_front() {
                    Some(piece) => Frame::data(piece.into()),
                    None => {
                        *ended = true;
                        Frame::trailers(ok_trailers())
                    }
                })))
            }
            ReplyBody::Stream {
                source,
                ended,
                counted,
            } => {
                let frame = match std::task::ready!(source.as_mut().poll_frames(cx)) {
                    Some(Ok(frames)) => Frame::data(frames),
                    Some(Err(status)) => {
                        *ended = true;
                        end(counted, status.code() as i32);
                        Frame::trailers(to_headers(&status))
                    }
                    None => {
                        *ended = true;
                        end(counted, 0);
                        Frame::trailers(ok_trailers())
                    }
                };
                Poll::Ready(Some(Ok(frame)))
            }
            ReplyBody::Page(full) => Pin::new(full)
                .poll_frame(cx)
                .map_ok(|frame| frame.map_data(Pieces::from)),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            ReplyBody::Page(full) => full.size_hint(),
            ReplyBody::Message { .. } | ReplyBody::Stream { .. } => http_body::SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Message { ended, .. } | ReplyBody::Stream { ended, .. } => *ended,
            ReplyBody::Page(full) => full.is_end_stream(),
        }
    }
}

fn end(counted: &mut Option<ferrod_metrics::Call>, code: i32) {
    if let Some(call) = counted.take() {
        call.end(ferrod_metrics::GrpcCode::from_number(code), 0.0);
    }
}

fn ok_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}

fn grpc_response(body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static("application/grpc");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, content_type);
    response
}

/// Answers with one message.
pub(crate) fn message(message: &impl Message) -> Response<ReplyBody> {
    let mut pieces = VecDeque::with_capacity(1);
    pieces.push_back(encode_frame(message));
    grpc_response(ReplyBody::message(pieces))
}

/// Answers with one message that is encoded already, prefix included.
pub(crate) fn encoded_message(pieces: VecDeque<Bytes>) -> Response<ReplyBody> {
    grpc_response(ReplyBody::message(pieces))
}

/// Answers with a stream of messages.
pub(crate) fn stream(source: FrameStream) -> Response<ReplyBody> {
    grpc_response(ReplyBody::Stream {
        source,
        ended: false,
        counted: None,
    })
}

/// Answers with an error before any message.
pub(crate) fn error(status: &Status) -> Response<ReplyBody> {
    let mut response = grpc_response(ReplyBody::empty());
    response.headers_mut().extend(to_headers(status));
    response
}

/// Answers with something that is not gRPC.
pub(crate) fn page(page: Response<Full<Bytes>>) -> Response<ReplyBody> {
    page.map(ReplyBody::Page)
}

/// Answers with a bare HTTP status.
pub(crate) fn http_status(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::empty());
    *response.status_mut() = status;
    response
}

/// A message with its gRPC prefix.
pub(crate) fn encode_frame(message: &impl Message) -> Bytes {
    let len = message.encoded_len();
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + len);
    put_prefix(&mut out, len);
    message
        .encode(&mut out)
        .expect("the buffer has room for the encoded length");
    out.freeze()
}

/// Appends the prefix of a message of `len` bytes.
///
/// # Panics
/// If the message is longer than the 4 GiB that gRPC can say: no answer gets there.
pub(crate) fn put_prefix(out: &mut BytesMut, len: usize) {
    out.put_u8(0);
    out.put_u32(u32::try_from(len).expect("a gRPC message is shorter than 4 GiB"));
}
