//! Connections: accepted in one place, given to the runtime that has the fewest, served there to their end.

mod at_once;
mod connection;
mod listener;
mod runtimes;
mod socket;

pub(crate) use connection::{Kind, Serving};
pub(crate) use listener::{BoundListener, SocketOptions, bind, is_passing};
pub(crate) use runtimes::Runtimes;
