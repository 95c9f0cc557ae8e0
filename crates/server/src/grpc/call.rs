//! What a request's headers say about the call.

use std::time::Duration;

use ferrod_proto::ApiError;
use http::HeaderMap;
use tonic::Status;

use super::status;

/// The caller's wishes that are not in the message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// Whether the call must fail when this member knows no leader.
    pub(crate) has_leader: bool,
    /// How long the caller waits; `None` for as long as it takes.
    pub(crate) timeout: Option<Duration>,
}

impl Call {
    /// Reads the headers.
    ///
    /// # Errors
    /// `InvalidArgument` if `client-api-version` is not UTF-8.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Call, Status> {
        if let Some(version) = headers.get("client-api-version")
            && std::str::from_utf8(version.as_bytes()).is_err()
        {
            return Err(status::of(ApiError::InvalidClientApiVersion));
        }
        Ok(Call {
            // Only the first value counts, and only this one.
            has_leader: headers
                .get("hasleader")
                .is_some_and(|value| value == "true"),
            timeout: headers
                .get("grpc-timeout")
                .and_then(|value| value.to_str().ok())
                .and_then(parse_timeout),
        })
    }
}

/// Source: gRPC over HTTP/2: at most 8 digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn timeouts_have_digits_and_a_unit() {
        assert_eq!(parse_timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(
            parse_timeout("4999894u"),
            Some(Duration::from_micros(4_999_894))
        );
        assert_eq!(parse_timeout("2H"), Some(Duration::from_secs(7200)));
        for bad in ["", "S", "5", "5s", "-5S", "123456789S", "5é"] {
            assert_eq!(parse_timeout(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn has_leader_needs_the_exact_value() {
        let mut headers = HeaderMap::new();
        assert!(!Call::from_headers(&headers).unwrap().has_leader);
        headers.append("hasleader", HeaderValue::from_static("True"));
        headers.append("hasleader", HeaderValue::from_static("true"));
        assert!(!Call::from_headers(&headers).unwrap().has_leader);
        headers.insert("hasleader", HeaderValue::from_static("true"));
        assert!(Call::from_headers(&headers).unwrap().has_leader);
    }

    ///
    #[test]
    fn the_client_version_must_be_utf8() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "client-api-version",
            HeaderValue::from_bytes(b"3\xff").unwrap(),
        );
        let status = Call::from_headers(&headers).unwrap_err();
        assert_eq!(status.message(), "etcdserver: invalid client api version");
    }
}
