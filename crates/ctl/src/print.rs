//! Output formats. Each kind of answer knows how it looks in each of them.
//!
//! Everything here is byte-exact with etcdctl 3.7. Where 3.5 differs, 3.7 is followed:
//!
//! - tables have box-drawing borders; 3.5 has ASCII ones;
//! - `endpoint status` has sixteen columns, with storage version, bytes in use, quota and downgrade state; 3.5 has ten;
//! - `endpoint hashkv` shows the hash revision;
//! - `fields` leaves out a revision of 0; 3.5 prints it for member commands;
//! - `watch` in JSON has `CancelReason`, and `"Events":null` when there are none; 3.5 has `[]`;
//! - `-w json --hex` covers all member commands;
//! - `defrag` says how long it took;
//! - `alarm` lines have no trailing blank.

mod alarm;
mod endpoint;
mod fields;
mod format;
mod json;
mod key_value;
mod lease;
mod member;
mod member_change;
mod table;
mod txn;
mod watch;

pub(crate) use endpoint::{EndpointHash, EndpointHealth, EndpointStatus};
pub(crate) use format::{Format, Printable, Style, print};
pub(crate) use lease::{Revoked, TimeToLive};
pub(crate) use member_change::{Added, LeaderMoved, MemberDone};
