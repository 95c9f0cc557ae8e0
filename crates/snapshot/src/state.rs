//! The state stream. Start reading in [`format`].

mod decoder;
mod format;
mod position;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Item, Row};
pub use format::{Header, Totals};
pub use position::Position;
pub use receiver::Receiver;
pub use sender::Sender;
