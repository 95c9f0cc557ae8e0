//! An asynchronous client for the etcd v3 API.
//!
//! A [`Client`] is a cheap handle on one set of endpoints: it spreads calls over them, fails over, and repeats what may
//! be repeated. [`Client::watch`] survives broken connections without losing or repeating an event, and
//! [`Client::keep_alive`] renews a lease at a third of its time to live. Requests and responses are the wire types of
//! [`proto`], so no field of the API is out of reach.
//!
//! ```no_run
//! use ferrod_client::{Client, Config, KeyRange, proto::WatchCreateRequest};
//!
//! # async fn example() -> Result<(), ferrod_client::Error> {
//! let client = Client::connect(Config::new(["http://127.0.0.1:2379"])).await?;
//! let written = client.put("colour/sky", "blue").await?;
//!
//! let (key, range_end) = KeyRange::prefix("colour/").into_parts();
//! let start_revision = written.header.map_or(0, |header| header.revision);
//! let request = WatchCreateRequest { key, range_end, start_revision, ..Default::default() };
//! let mut watcher = client.watch(request);
//! let response = watcher.next().await.expect("a watcher ends only when it is canceled")?;
//! assert_eq!(response.events.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! What the official Go client does about retries is the rule here too, because servers choose their codes by it:
//! calls that change nothing are sent again when a server is unavailable, others only when no connection existed.

mod error;

mod config;
mod endpoint;
mod key_range;

mod method;
mod pool;
mod retry;

mod auth;
mod client;
mod cluster;
mod kv;
mod lease;
mod maintenance;
mod range_stream;
mod watch;

pub use client::Client;
pub use config::{Config, Credentials};
pub use endpoint::Endpoint;
pub use error::Error;
pub use key_range::KeyRange;
pub use lease::KeepAlive;
pub use range_stream::RangeStream;
pub use watch::{WatchHandle, Watcher, cancel_cause, is_progress_notification};

#[cfg(test)]
mod tests;

/// The wire types of the API.
pub mod proto {
    pub use ferrod_proto::ApiError;
    pub use ferrod_proto::authpb;
    pub use ferrod_proto::etcdserverpb::*;
    pub use ferrod_proto::mvccpb::{Event, KeyValue, event::EventType};
}
