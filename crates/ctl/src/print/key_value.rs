//! Answers to get, put and del.

use std::io::{self, Write};

use ferrod_client::proto::{DeleteRangeResponse, KeyValue, PutResponse, RangeResponse};
use prost::Message;
use serde::Serialize;

use super::fields::Fields;
use super::json::{Header, Pair, is_default};
use super::{Printable, Style};
use crate::Error;

/// Key and value, a line each.
pub(super) fn pair(kv: &KeyValue, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    if !style.value_only {
        line(&kv.key, style, out)?;
    }
    line(&kv.value, style, out)
}

fn line(bytes: &[u8], style: &Style, out: &mut dyn Write) -> io::Result<()> {
    if style.hex {
        bytes
            .iter()
            .try_for_each(|byte| write!(out, "\\x{byte:02x}"))?;
    } else {
        out.write_all(bytes)?;
    }
    out.write_all(b"\n")
}

#[derive(Serialize)]
pub(super) struct RangeJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kvs: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "is_default")]
    more: bool,
    #[serde(skip_serializing_if = "is_default")]
    count: i64,
}

impl<'a> RangeJson<'a> {
    pub(super) fn of(answer: &'a RangeResponse) -> RangeJson<'a> {
        RangeJson {
            header: Header::of(answer.header.as_ref()),
            kvs: Pair::list(&answer.kvs),
            more: answer.more,
            count: answer.count,
        }
    }
}

impl Printable for RangeResponse {
    fn simple(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        self.kvs.iter().try_for_each(|kv| pair(kv, style, out))
    }

    fn json(&self, _: &Style) -> impl Serialize {
        RangeJson::of(self)
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        self.kvs.iter().for_each(|kv| fields.pair("", kv, style));
        fields.line("More", self.more);
        fields.line("Count", self.count);
        fields.done()
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Ok(self.encode_to_vec())
    }
}

#[derive(Serialize)]
pub(super) struct PutJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_kv: Option<Pair<'a>>,
}

impl<'a> PutJson<'a> {
    pub(super) fn of(answer: &'a PutResponse) -> PutJson<'a> {
        PutJson {
            header: Header::of(answer.header.as_ref()),
            prev_kv: answer.prev_kv.as_ref().map(Pair::of),
        }
    }
}

impl Printable for PutResponse {
    fn simple(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"OK\n")?;
        self.prev_kv.iter().try_for_each(|kv| pair(kv, style, out))
    }

    fn json(&self, _: &Style) -> impl Serialize {
        PutJson::of(self)
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        self.prev_kv
            .iter()
            .for_each(|kv| fields.pair("Prev", kv, style));
        fields.done()
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Ok(self.encode_to_vec())
    }
}

#[derive(Serialize)]
pub(super) struct DeleteRangeJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    #[serde(skip_serializing_if = "is_default")]
    deleted: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prev_kvs: Vec<Pair<'a>>,
}

impl<'a> DeleteRangeJson<'a> {
    pub(super) fn of(answer: &'a DeleteRangeResponse) -> DeleteRangeJson<'a> {
        DeleteRangeJson {
            header: Header::of(answer.header.as_ref()),
            deleted: answer.deleted,
            prev_kvs: Pair::list(&answer.prev_kvs),
        }
    }
}

impl Printable for DeleteRangeResponse {
    fn simple(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.deleted)?;
        self.prev_kvs.iter().try_for_each(|kv| pair(kv, style, out))
    }

    fn json(&self, _: &Style) -> impl Serialize {
        DeleteRangeJson::of(self)
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        fields.line("Deleted", self.deleted);
        self.prev_kvs
            .iter()
            .for_each(|kv| fields.pair("Prev", kv, style));
        fields.done()
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Ok(self.encode_to_vec())
    }
}
