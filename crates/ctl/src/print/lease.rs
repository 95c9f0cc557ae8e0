//! Answers to the lease commands.

use std::io::{self, Write};

use ferrod_client::proto::{
    LeaseGrantResponse, LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeResponse,
    LeaseTimeToLiveResponse, ResponseHeader,
};
use prost::Message;
use serde::Serialize;

use super::fields::Fields;
use super::json::{Header, HeaderOnly, base64_list};
use super::{Printable, Style};
use crate::Error;

/// The official client's lease answers have the header inlined, and only that survives encoding.
fn header_bytes(header: Option<&ResponseHeader>) -> Result<Vec<u8>, Error> {
    Ok(header.map(Message::encode_to_vec).unwrap_or_default())
}

#[derive(Serialize)]
struct GrantJson<'a> {
    #[serde(flatten)]
    header: Option<Header>,
    #[serde(rename = "ID")]
    id: i64,
    #[serde(rename = "TTL")]
    ttl: i64,
    #[serde(rename = "Error")]
    error: &'a str,
}

impl Printable for LeaseGrantResponse {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "lease {:016x} granted with TTL({}s)",
            self.id, self.ttl
        )
    }

    fn json(&self, _: &Style) -> impl Serialize {
        let header = Header::of(self.header.as_ref());
        GrantJson {
            header,
            id: self.id,
            ttl: self.ttl,
            error: &self.error,
        }
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        fields.lease("ID", self.id, style);
        fields.line("TTL", self.ttl);
        fields.done()
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        header_bytes(self.header.as_ref())
    }
}

/// The answer does not name the lease, so the caller adds it.
pub(crate) struct Revoked {
    pub(crate) id: i64,
    pub(crate) answer: LeaseRevokeResponse,
}

impl Printable for Revoked {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "lease {:016x} revoked", self.id)
    }

    fn json(&self, _: &Style) -> impl Serialize {
        HeaderOnly {
            header: Header::of(self.answer.header.as_ref()),
        }
    }

    fn fields(&self, style: &Style) -> Option<String> {
        Fields::header(self.answer.header.as_ref(), style).done()
    }

    /// etcdctl cannot encode its own type here, and says so.
    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        let reason = "marshal unsupported for type *clientv3.LeaseRevokeResponse";
        Err(Error::Unsupported(reason.into()))
    }
}

#[derive(Serialize)]
struct KeepAliveJson {
    #[serde(flatten)]
    header: Option<Header>,
    #[serde(rename = "ID")]
    id: i64,
    #[serde(rename = "TTL")]
    ttl: i64,
}

impl Printable for LeaseKeepAliveResponse {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "lease {:016x} keepalived with TTL({})",
            self.id, self.ttl
        )
    }

    fn json(&self, _: &Style) -> impl Serialize {
        let header = Header::of(self.header.as_ref());
        KeepAliveJson {
            header,
            id: self.id,
            ttl: self.ttl,
        }
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        fields.lease("ID", self.id, style);
        fields.line("TTL", self.ttl);
        fields.done()
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        header_bytes(self.header.as_ref())
    }
}

/// Whether keys were asked for cannot be seen from an answer without any, so the caller adds it.
pub(crate) struct TimeToLive {
    pub(crate) with_keys: bool,
    pub(crate) answer: LeaseTimeToLiveResponse,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct TimeToLiveJson {
    #[serde(flatten)]
    header: Option<Header>,
    id: i64,
    ttl: i64,
    granted_ttl: i64,
    keys: Option<Vec<String>>,
}

impl Printable for TimeToLive {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let LeaseTimeToLiveResponse {
            id,
            ttl,
            granted_ttl,
            keys,
            ..
        } = &self.answer;
        if *granted_ttl == 0 && *ttl == -1 {
            return writeln!(out, "lease {id:016x} already expired");
        }
        write!(
            out,
            "lease {id:016x} granted with TTL({granted_ttl}s), remaining({ttl}s)"
        )?;
        if self.with_keys {
            write!(out, ", attached keys([")?;
            out.write_all(&keys.join(&b' '))?;
            write!(out, "])")?;
        }
        writeln!(out)
    }

    fn json(&self, _: &Style) -> impl Serialize {
        let LeaseTimeToLiveResponse {
            header,
            id,
            ttl,
            granted_ttl,
            keys,
        } = &self.answer;
        TimeToLiveJson {
            header: Header::of(header.as_ref()),
            id: *id,
            ttl: *ttl,
            granted_ttl: *granted_ttl,
            keys: Some(base64_list(keys)).filter(|keys| !keys.is_empty()),
        }
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.answer.header.as_ref(), style);
        fields.lease("ID", self.answer.id, style);
        fields.line("TTL", self.answer.ttl);
        fields.line("GrantedTTL", self.answer.granted_ttl);
        self.answer
            .keys
            .iter()
            .for_each(|key| fields.quoted("Key", key));
        fields.done()
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        header_bytes(self.answer.header.as_ref())
    }
}

#[derive(Serialize)]
struct ListJson {
    #[serde(flatten)]
    header: Option<Header>,
    leases: Vec<LeaseJson>,
}

#[derive(Serialize)]
struct LeaseJson {
    id: i64,
}

impl Printable for LeaseLeasesResponse {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "found {} leases", self.leases.len())?;
        self.leases
            .iter()
            .try_for_each(|lease| writeln!(out, "{:016x}", lease.id))
    }

    fn json(&self, _: &Style) -> impl Serialize {
        let leases = self
            .leases
            .iter()
            .map(|lease| LeaseJson { id: lease.id })
            .collect();
        ListJson {
            header: Header::of(self.header.as_ref()),
            leases,
        }
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        self.leases
            .iter()
            .for_each(|lease| fields.lease("ID", lease.id, style));
        fields.done()
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        header_bytes(self.header.as_ref())
    }
}
