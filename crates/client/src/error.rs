//! Why a call did not give an answer.

use ferrod_proto::ApiError;
use tonic::{Code, Status};

/// Why a call did not give an answer.
///
/// Texts are those of the official client, because scripts compare them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused with an error that the API defines. It is recognised by its text; the code is ignored.
    #[error("{0}")]
    Api(ApiError),
    /// The server, or the connection to it, failed in a way that the API does not name.
    #[error("rpc error: code = {} desc = {text}", code_name(*.code))]
    Status {
        /// The gRPC status code.
        code: Code,
        /// What came with it.
        text: String,
    },
    /// A watch was refused when it was created, with a reason that the API does not name.
    #[error("{0}")]
    WatchRefused(String),
    /// The deadline of the call passed. The request may still take effect.
    #[error("context deadline exceeded")]
    DeadlineExceeded {
        /// What went wrong in the last attempt, for instance a refused connection.
        #[source]
        last: Option<Box<Status>>,
    },
    /// The configuration names no endpoint.
    #[error("etcdclient: no available endpoints")]
    NoEndpoint,
    /// An endpoint cannot be used.
    #[error("endpoint {endpoint:?} {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The client may send larger messages than it may receive.
    #[error(
        "gRPC message recv limit ({recv} bytes) must be greater than send limit ({send} bytes)"
    )]
    MessageLimits {
        /// Receive limit in bytes.
        recv: usize,
        /// Send limit in bytes.
        send: usize,
    },
    /// A user name, password or token holds bytes that cannot be sent.
    #[error("token cannot be sent as metadata")]
    BadToken,
}

impl Error {
    /// The error of the API, if it is one.
    pub fn api(&self) -> Option<ApiError> {
        match self {
            Error::Api(error) => Some(*error),
            _ => None,
        }
    }

    /// The gRPC code behind it, if the server or the connection caused it.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Error::Api(error) => Some(Code::from_i32(error.code() as i32)),
            Error::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    pub(crate) fn from_reason(reason: &str) -> Error {
        match ApiError::from_text(reason) {
            Some(error) => Error::Api(error),
            None => Error::WatchRefused(reason.to_owned()),
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        match ApiError::from_text(status.message()) {
            Some(error) => Error::Api(error),
            None => Error::Status {
                code: code_of(&status),
                text: status.message().to_owned(),
            },
        }
    }
}

/// The code of a status. tonic calls a connection that broke in the middle of an answer unknown; for everybody else it
/// is unavailable. Such a status was made here and says from which error, one that the server sent does not.
pub(crate) fn code_of(status: &Status) -> Code {
    let made_here = std::error::Error::source(status).is_some();
    match status.code() {
        Code::Unknown if made_here => Code::Unavailable,
        code => code,
    }
}

/// Names as Go's gRPC library prints them.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_lose_the_wrapping_whatever_the_code() {
        let error = Error::from(Status::unknown("etcdserver: too many requests"));
        assert_eq!(error.to_string(), "etcdserver: too many requests");
        assert_eq!(error.api(), Some(ApiError::TooManyRequests));
    }

    #[test]
    fn unknown_texts_keep_it() {
        let error = Error::from(Status::cancelled("gone"));
        assert_eq!(error.to_string(), "rpc error: code = Canceled desc = gone");
    }
}
