//! From errors to gRPC status, and from status to headers.

use std::fmt::Write;

use ferrod_proto::{ApiError, Code};
use http::{HeaderMap, HeaderValue};
use tonic::Status;

/// The status that an error of the API travels as.
pub(crate) fn of(error: ApiError) -> Status {
    Status::new(tonic_code(error.wire_code()), error.text())
}

/// The status of a failed read of the key space.
pub(crate) fn of_read(error: ferrod_mvcc::Error) -> Status {
    match error {
        ferrod_mvcc::Error::Compacted => of(ApiError::Compacted),
        ferrod_mvcc::Error::Future => of(ApiError::FutureRevision),
        ferrod_mvcc::Error::Backend { .. }
        | ferrod_mvcc::Error::Corrupt { .. }
        | ferrod_mvcc::Error::Poisoned => damaged(&error),
    }
}

/// The status of a failed read of the state machine.
pub(crate) fn of_store(error: ferrod_store::Error) -> Status {
    match error {
        ferrod_store::Error::Refused(error) => of(error),
        ferrod_store::Error::Storage(error) => of_read(error),
        ferrod_store::Error::Malformed { .. } => damaged(&error),
    }
}

/// This member cannot answer, and a person should look. Another member may be able to.
fn damaged(error: &(dyn std::error::Error + 'static)) -> Status {
    let text = crate::logging::error_chain(error);
    tracing::error!(error = %text, "failed to read the backend");
    Status::data_loss(text)
}

/// What a suspect member says to everybody: another one may be able to answer.
pub(crate) fn suspect(reason: &str) -> Status {
    Status::unavailable(format!(
        "etcdserver: this member is suspect and heals from its peers: {reason}"
    ))
}

/// tonic's name of a code.
pub(crate) fn tonic_code(code: Code) -> tonic::Code {
    tonic::Code::from(i32::from(code as u8))
}

/// The trailers that say how a call ended.
pub(crate) fn to_headers(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert("grpc-status", HeaderValue::from(status.code() as i32));
    if !status.message().is_empty() {
        let text = percent_encode(status.message());
        let value = HeaderValue::from_str(&text).expect("percent encoding leaves visible ASCII");
        headers.insert("grpc-message", value);
    }
    headers
}

/// Source: gRPC over HTTP/2, `Percent-Encoded`: everything but printable ASCII without `%`.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | ..0x20 | 0x7f.. => {
                write!(out, "%{byte:02X}").expect("a String takes all that is written");
            }
            _ => out.push(byte as char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encode("50% of café\n"), "50%25 of caf%C3%A9%0A");
        let headers = to_headers(&of(ApiError::EmptyKey));
        assert_eq!(headers["grpc-status"], "3");
        assert_eq!(headers["grpc-message"], "etcdserver: key is not provided");
    }
}
