//! The flags that every command takes.

use std::time::Duration;

use clap::{ArgAction, Args};

use crate::go::{self, Base};

/// The flags that every command takes, each also settable as `ETCDCTL_` and its name.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalFlags {
    /// gRPC endpoints
    #[arg(long, global = true, value_name = "strings", action = ArgAction::Append, default_value = "127.0.0.1:2379")]
    pub(crate) endpoints: Vec<String>,
    /// Log what the client does
    #[arg(long, global = true)]
    pub(crate) debug: bool,
    /// Output format: fields, json, protobuf, simple or table
    #[arg(
        long,
        short,
        global = true,
        value_name = "string",
        default_value = "simple"
    )]
    pub(crate) write_out: String,
    /// Print byte strings in hexadecimal
    #[arg(long, global = true)]
    pub(crate) hex: bool,
    /// Limit for asking for a token
    #[arg(long, global = true, value_name = "duration", default_value = "2s", value_parser = duration)]
    pub(crate) dial_timeout: Duration,
    /// Limit for short commands
    #[arg(long, global = true, value_name = "duration", default_value = "5s", value_parser = duration)]
    pub(crate) command_timeout: Duration,
    /// Pause between pings on a connection
    #[arg(long, global = true, value_name = "duration", default_value = "2s", value_parser = duration)]
    pub(crate) keepalive_time: Duration,
    /// How long a ping may stay unanswered
    #[arg(long, global = true, value_name = "duration", default_value = "6s", value_parser = duration)]
    pub(crate) keepalive_timeout: Duration,
    /// Largest message to send, 0 for 2 MiB
    #[arg(long, global = true, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) max_request_bytes: i64,
    /// Largest message to receive, 0 for 2 GiB
    #[arg(long, global = true, value_name = "int", default_value = "0", value_parser = int64)]
    pub(crate) max_recv_bytes: i64,
    /// Talk without TLS
    #[arg(long, global = true, action = ArgAction::SetFalse)]
    pub(crate) insecure_transport: bool,
    /// Accept SRV records of endpoints without TLS
    #[arg(long, global = true, action = ArgAction::SetFalse)]
    pub(crate) insecure_discovery: bool,
    /// Do not check the server's certificate
    #[arg(long, global = true)]
    pub(crate) insecure_skip_tls_verify: bool,
    /// Client certificate file
    #[arg(long, global = true, value_name = "string", default_value = "")]
    pub(crate) cert: String,
    /// Client key file
    #[arg(long, global = true, value_name = "string", default_value = "")]
    pub(crate) key: String,
    /// File with the certificates of the authorities to trust
    #[arg(long, global = true, value_name = "string", default_value = "")]
    pub(crate) cacert: String,
    /// Token to send as it is
    #[arg(long, global = true, value_name = "string", default_value = "")]
    pub(crate) auth_jwt_token: String,
    /// username[:password]; asks for the password if it is not given
    #[arg(long, global = true, value_name = "string", default_value = "")]
    pub(crate) user: String,
    /// Password; --user is then only the name
    #[arg(long, global = true, value_name = "string", default_value = "")]
    pub(crate) password: String,
    /// Domain to ask for SRV records of endpoints
    #[arg(long, short, global = true, value_name = "string", default_value = "")]
    pub(crate) discovery_srv: String,
    /// Service name to ask for
    #[arg(long, global = true, value_name = "string", default_value = "")]
    pub(crate) discovery_srv_name: String,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    go::parse_duration(text)
}

pub(super) fn int64(text: &str) -> Result<i64, String> {
    go::parse_int(text, Base::Prefix)
}
