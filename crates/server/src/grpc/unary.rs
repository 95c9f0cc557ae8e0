//! Reads the one message of a unary call.
//!
//! tonic's server does the same through a boxed stream and a codec; most calls here are a few hundred bytes in one
//! DATA frame, so they are decoded in place, and key and value share the bytes that came from the socket.

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use prost::Message;
use tonic::Status;

use super::reply::PREFIX_BYTES;

/// Reads and decodes the message of a unary call, or the one request of a server stream.
///
/// # Errors
/// `ResourceExhausted` above `bytes_max`, `Unimplemented` if compressed, `Internal` if it is not such a message,
/// `Canceled` if the client went away.
pub(crate) async fn read<M: Message + Default>(
    body: Incoming,
    bytes_max: usize,
) -> Result<M, Status> {
    let message = read_bytes(body, bytes_max).await?;
    M::decode(message)
        .map_err(|e| Status::internal(format!("grpc: error unmarshalling request: {e}")))
}

async fn read_bytes(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Status> {
    let mut first = next_data(&mut body).await?.unwrap_or_default();
    if let Some(len) = message_len(&first, bytes_max)?
        && first.len() == PREFIX_BYTES + len
        && body.is_end_stream()
    {
        first.advance(PREFIX_BYTES);
        return Ok(first);
    }
    let mut all = BytesMut::from(first);
    while let Some(data) = next_data(&mut body).await? {
        all.extend_from_slice(&data);
        message_len(&all, bytes_max)?;
    }
    let Some(len) = message_len(&all, bytes_max)? else {
        return Err(Status::internal("grpc: the call ended before its message"));
    };
    let mut all = all.freeze();
    all.advance(PREFIX_BYTES);
    if all.len() == len {
        Ok(all)
    } else {
        Err(Status::internal(format!(
            "grpc: message of {len} bytes in a call of {}",
            all.len()
        )))
    }
}

async fn next_data(body: &mut Incoming) -> Result<Option<Bytes>, Status> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Status::cancelled("context canceled")),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The length that the prefix announces, once it is there.
fn message_len(received: &[u8], bytes_max: usize) -> Result<Option<usize>, Status> {
    let Some((&[compressed, a, b, c, d], _)) = received.split_first_chunk() else {
        return Ok(None);
    };
    if compressed != 0 {
        return Err(Status::unimplemented(
            "grpc: compressed requests are not supported",
        ));
    }
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    if len > bytes_max {
        let text = format!("grpc: received message larger than max ({len} vs. {bytes_max})");
        return Err(Status::resource_exhausted(text));
    }
    Ok(Some(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_bounded() {
        assert_eq!(message_len(b"\0\0\0\0", 10).unwrap(), None);
        assert_eq!(message_len(b"\0\0\0\0\x05hello", 10).unwrap(), Some(5));
        let too_large = message_len(b"\0\0\0\0\x0b", 10).unwrap_err();
        assert_eq!(too_large.code(), tonic::Code::ResourceExhausted);
        assert_eq!(
            too_large.message(),
            "grpc: received message larger than max (11 vs. 10)"
        );
        assert_eq!(
            message_len(b"\x01\0\0\0\0", 10).unwrap_err().code(),
            tonic::Code::Unimplemented
        );
    }
}
