//! Lines of `"Name" : value`.

use std::fmt::{Display, Write};

use ferrod_client::proto::{KeyValue, ResponseHeader};

use super::Style;
use crate::go;

/// Lines of `"Name" : value`.
#[derive(Default)]
pub(super) struct Fields(String);

impl Fields {
    /// Begins with the lines of the header. An inner answer without one shows zeros.
    pub(super) fn header(header: Option<&ResponseHeader>, style: &Style) -> Fields {
        let mut fields = Fields::default();
        fields.add_header(header, style);
        fields
    }

    pub(super) fn add_header(&mut self, header: Option<&ResponseHeader>, style: &Style) {
        let header = header.copied().unwrap_or_default();
        self.id("ClusterID", header.cluster_id, style);
        self.id("MemberID", header.member_id, style);
        if header.revision > 0 {
            self.line("Revision", header.revision);
        }
        self.line("RaftTerm", header.raft_term);
    }

    /// An identifier: decimal, or hexadecimal without padding.
    pub(super) fn id(&mut self, name: &str, id: u64, style: &Style) {
        if style.hex {
            self.line(name, format_args!("{id:x}"));
        } else {
            self.line(name, id);
        }
    }

    /// A lease: decimal, or sixteen hexadecimal digits.
    pub(super) fn lease(&mut self, name: &str, id: i64, style: &Style) {
        if style.hex {
            self.line(name, format_args!("{id:016x}"));
        } else {
            self.line(name, id);
        }
    }

    pub(super) fn line(&mut self, name: impl Display, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "\"{name}\" : {value}");
    }

    pub(super) fn quoted(&mut self, name: impl Display, value: impl AsRef<[u8]>) {
        self.line(name, go::quote(value.as_ref()));
    }

    pub(super) fn empty_line(&mut self) {
        self.0.push('\n');
    }

    /// The lines of one pair, each name with a prefix.
    pub(super) fn pair(&mut self, prefix: &str, kv: &KeyValue, style: &Style) {
        self.quoted(format_args!("{prefix}Key"), &kv.key);
        self.line(format_args!("{prefix}CreateRevision"), kv.create_revision);
        self.line(format_args!("{prefix}ModRevision"), kv.mod_revision);
        self.line(format_args!("{prefix}Version"), kv.version);
        self.quoted(format_args!("{prefix}Value"), &kv.value);
        self.lease(&format!("{prefix}Lease"), kv.lease, style);
    }

    pub(super) fn done(self) -> Option<String> {
        Some(self.0)
    }
}
