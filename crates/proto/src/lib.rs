//! Wire types of the etcd v3 API, and the table of its error codes and texts.
//!
//! The types are generated from `proto/` by `cargo xtask codegen` and committed, so this crate builds without protoc.
//! Every `bytes` field is a [`bytes::Bytes`]: decoding from `Bytes` shares the buffer instead of copying.
//!
//! ```
//! use ferrod_proto::{ApiError, etcdserverpb::PutRequest};
//! use prost::Message;
//!
//! let put = PutRequest { key: "k".into(), value: "v".into(), ..Default::default() };
//! let wire = bytes::Bytes::from(put.encode_to_vec());
//! assert_eq!(PutRequest::decode(wire).unwrap(), put);
//! assert_eq!(ApiError::EmptyKey.text(), "etcdserver: key is not provided");
//! ```

mod error;

pub use error::{ApiError, Code};

macro_rules! packages {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $(
            $(#[$doc])*
            #[allow(missing_docs, unreachable_pub, clippy::all, rustdoc::all)]
            pub mod $name {
                include!(concat!("generated/", $file));
            }
        )*
    };
}

packages! {
    /// Keys with their values, and what happened to them.
    mvccpb = "mvccpb.rs";
    /// Requests and responses of every service, and the payload of log entries.
    etcdserverpb = "etcdserverpb.rs";
    /// Users, roles and permissions as stored.
    authpb = "authpb.rs";
    /// Members as they travel through the log.
    membershippb = "membershippb.rs";
    /// Leases as stored.
    leasepb = "leasepb.rs";
    /// The lock service.
    v3lockpb = "v3lockpb.rs";
    /// The election service.
    v3electionpb = "v3electionpb.rs";
    /// The standard gRPC health service.
    health = "grpc.health.v1.rs";
    /// What members of one cluster say to each other; ferrod's own.
    peer = "ferrod.peer.v1.rs";
}
