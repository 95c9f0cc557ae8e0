//! The gRPC services, over hyper and the message types of `proto`.

pub(crate) mod call;
mod cluster;
pub(crate) mod dispatch;
mod health;
mod kv;
mod leader_check;
mod lease;
mod maintenance;
mod pieces;
mod range_reply;
mod range_stream;
pub(crate) mod reply;
pub(crate) mod status;
mod unary;
mod watch;
