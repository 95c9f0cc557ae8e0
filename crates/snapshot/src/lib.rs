//! Copies of a whole state: the stream that brings a lagging member up to date.
//!
//! A [`Sender`] turns an export of a key space into chunks of bytes; a [`Receiver`] turns those, however they are cut on the
//! way, into a received state of a backend, which a restart finds and which can then be installed. Neither knows what carries
//! the chunks. When that breaks, the sender goes on from the [`Position`] that the receiver names.
//!
//! ```
//! use std::sync::Arc;
//! use ferrod_mvcc::backend::{Backend, Memory};
//! use ferrod_mvcc::{KeySpace, Options};
//! use ferrod_snapshot::{Receiver, Sender};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut leading, mut flusher) = KeySpace::open(Arc::new(Memory::new()), Options::default(), &mut |_| {})?;
//! let mut txn = leading.write();
//! txn.put(b"key", b"value", 0);
//! txn.commit();
//! leading.publish(17, 3); // the effect of log entry 17 of term 3
//! flusher.flush()?;
//!
//! let lagging: Arc<dyn Backend> = Arc::new(Memory::new());
//! let mut receiver = Receiver::new(lagging.clone(), 1 << 20);
//! let export = leading.views().export(1_000_000)?;
//! for chunk in Sender::new(export, b"whatever the receiver must know".as_slice().into()) {
//!     receiver.feed(&chunk?)?;
//! }
//! let header = receiver.finish()?;
//! assert_eq!((header.applied_index, header.applied_term), (17, 3));
//! assert_eq!(lagging.received()?, [17]);
//! # Ok(())
//! # }
//! ```

mod error;
mod state;

pub use error::Error;
pub use state::{Decoder, Header, Item, Position, Receiver, Row, Sender, Totals};
