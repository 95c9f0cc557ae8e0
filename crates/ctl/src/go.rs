//! Go's text forms: what etcdctl reads and prints by Go's standard library, to the byte.

mod duration;
mod number;
mod quote;
mod size;

pub(crate) use duration::{format_duration, parse_duration};
pub(crate) use number::{Base, parse_bool, parse_int, parse_uint};
pub(crate) use quote::{quote, quote_list, unquote};
pub(crate) use size::format_size;

/// `%v` of a list of strings.
pub(crate) fn list(items: &[impl AsRef<str>]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    format!("[{}]", items.join(" "))
}
