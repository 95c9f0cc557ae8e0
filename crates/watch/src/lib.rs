//! Who hears of which change: range index, cursors, catch-up, each event encoded once.
//!
//! A [`Hub`] belongs to one thread and serves the watch streams of that thread. Whoever changes the store
//! makes one [`EventBatch`] per revision and gives it, shared, to every hub; nothing else is shared and
//! nothing is locked. A hub never waits: what it has to say piles up in bounded queues, one per stream,
//! and is pulled by the stream's owner.
//!
//! Guarantees, for each watcher: events come in the order of their changes, none twice and none left out;
//! all of one revision in one response; nothing before the response that says it was created; progress at
//! a revision only after every event up to it. A client that reads slowly costs no more than its queue:
//! its watchers are set aside and go on later, from the hub's memory of recent revisions or from the
//! store's [`History`], or are canceled if that has been compacted.
//!
//! ```
//! use bytes::Bytes;
//! use ferrod_watch::{
//!     Body, Change, Create, Error, EventBatch, History, HistoryRead, Hub, KeyRange, Kind, Limits,
//!     Options, Revision, Window,
//! };
//! use std::sync::Arc;
//!
//! struct NoHistory;
//! impl History for NoHistory {
//!     fn read(&self, read: HistoryRead) -> Result<Window, Error> {
//!         Err(Error::Compacted(read.high.next()))
//!     }
//!     fn previous(&self, _key: &[u8], _at: Revision) -> Option<Bytes> {
//!         None
//!     }
//! }
//!
//! let mut hub = Hub::new(Revision(1), Revision(0), Limits::default());
//! let stream = hub.open();
//! hub.create(stream, Create {
//!     range: KeyRange::from_request(Bytes::from("a"), Bytes::from("b")),
//!     start_revision: 0,
//!     watch_id: 0,
//!     options: Options::default(),
//!     denied: None,
//! });
//! assert_eq!(hub.poll(stream).expect("an answer").body, Body::Created);
//!
//! let change = Change::new(Kind::Create, Bytes::from("apple"), Bytes::from("encoded row"));
//! let batch = Arc::new(EventBatch::new(Revision(2), vec![change]));
//! hub.on_batch(&batch, &NoHistory);
//! assert_eq!(hub.take_ready(), [stream]);
//! let response = hub.poll(stream).expect("an event");
//! assert_eq!(response.header_revision, Revision(2));
//! assert_eq!(response.events().expect("an event").count(), 1);
//! ```

mod change;
mod error;
mod event_batch;
mod events;
mod history;
mod hub;
mod key_range;
mod limits;
mod planted;
mod range_index;
mod request;
mod response;
mod revision;
mod ring;
mod wire;

pub use change::{Change, Kind};
pub use error::Error;
pub use event_batch::EventBatch;
pub use events::Events;
pub use history::{History, HistoryRead, Window};
pub use hub::{Hub, Stats, StreamId};
pub use key_range::KeyRange;
pub use limits::Limits;
pub use request::{Create, Options, WatchId};
pub use response::{Body, Response};
pub use revision::Revision;
pub use wire::{Message, Sender};
