//! What a client needs to know before its first call.

use std::time::Duration;

/// How to reach a cluster, and how long to try.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the members listen, as [`Endpoint::parse`](crate::Endpoint::parse) takes them. Calls go round them in turn.
    pub endpoints: Vec<String>,
    /// Limit for one attempt to connect, and for the token request when [`Config::credentials`] are given.
    pub dial_timeout: Duration,
    /// Pause between HTTP/2 pings while calls are open. Servers drop clients that ping more often than every 5 s.
    pub keepalive_interval: Duration,
    /// How long a ping may stay unanswered before the connection is given up.
    pub keepalive_timeout: Duration,
    /// Limit for a whole unary call with all its attempts; none means: try for ever.
    pub call_timeout: Option<Duration>,
    /// Largest message to send, in bytes.
    pub send_bytes_max: usize,
    /// Largest message to receive, in bytes.
    pub recv_bytes_max: usize,
    /// Ask a member that knows no leader to refuse at once instead of waiting for one.
    pub require_leader: bool,
    /// Who calls, on a cluster with authentication.
    pub credentials: Option<Credentials>,
}

/// Who calls.
#[derive(Clone)]
pub enum Credentials {
    /// A token is asked for with name and password, and again when the server no longer takes it.
    Password {
        /// User name.
        name: String,
        /// Password.
        password: String,
    },
    /// A token that is sent as it is, and never replaced.
    Token(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credentials::Password { name, .. } => f
                .debug_struct("Password")
                .field("name", name)
                .finish_non_exhaustive(),
            Credentials::Token(_) => f.write_str("Token(..)"),
        }
    }
}

impl Config {
    /// The official client's defaults, with a call timeout of 5 s.
    pub fn new<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Config {
        Config {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            dial_timeout: Duration::from_secs(2),
            keepalive_interval: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(6),
            call_timeout: Some(Duration::from_secs(5)),
            send_bytes_max: 2 * 1024 * 1024,
            recv_bytes_max: i32::MAX as usize,
            require_leader: false,
            credentials: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let password = Credentials::Password {
            name: "root".into(),
            password: "hidden".into(),
        };
        let shown = format!("{password:?} {:?}", Credentials::Token("hidden".into()));
        assert!(shown.contains("root") && !shown.contains("hidden"));
    }
}
