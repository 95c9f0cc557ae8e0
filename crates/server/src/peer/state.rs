//! Copies of the state, on their way to members that are too far behind for the log.
//!
//! The node asks for a copy, hears which it can get, and hands it over with a message; all that takes long happens here,
//! each copy on a connection of its own. Where it arrives it is whole and durable before the node hears of it. A copy
//! whose connection breaks goes on from where it was: the sender keeps its export, the receiver what has come.
//!
//! Start reading in `desk.rs` for the side that leads, `receive.rs` for the one that lags.

mod desk;
mod pace;
mod receive;
mod send;

use std::sync::Arc;

use ferrod_mvcc::Views;
use ferrod_mvcc::backend::Backend;
use ferrod_node::{MemberId, PeerMessage, StateMeta};
use tokio::sync::mpsc;

pub(super) use desk::Desk;
pub(super) use receive::{Receptions, StateReplies, receive};

/// What the node wants to be done with copies.
#[derive(Debug)]
pub(crate) enum StateOrder {
    /// Prepare one.
    Offer(MemberId),
    /// Drop the one that was prepared, or is being.
    Withdraw(MemberId),
    /// Send the one that was prepared, with this message.
    Send(PeerMessage),
    /// Delete one that was received.
    Refused(StateMeta),
}

/// What copies are made of, and what they are received into.
pub(crate) struct States {
    pub(super) views: Views,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) receptions: Receptions,
    /// Bytes of a chunk that are taken: one row has to fit in.
    pub(super) chunk_bytes_max: usize,
}

/// Rows of today's largest requests fit in this, and those of times when larger ones were allowed.
const CHUNK_BYTES_MIN: usize = 64 << 20;

impl States {
    pub(crate) fn new(views: Views, backend: Arc<dyn Backend>, request_bytes_max: usize) -> States {
        States {
            views,
            backend,
            receptions: Receptions::default(),
            chunk_bytes_max: CHUNK_BYTES_MIN.max(4 * request_bytes_max),
        }
    }
}

/// The node's way to the desk. It never waits: there is a handful of orders for each member at most.
pub(crate) type StateOrders = mpsc::UnboundedSender<StateOrder>;
