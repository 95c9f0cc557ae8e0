//! Answers to watch.

use std::io::{self, Write};

use ferrod_client::proto::{Event, EventType, WatchResponse};
use prost::Message;
use serde::Serialize;

use super::fields::Fields;
use super::json::{Header, Pair, is_default};
use super::{Printable, Style, key_value};
use crate::Error;

/// Go prints this struct by its own field names, and leaves nothing out.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WatchJson<'a> {
    header: Option<Header>,
    events: Option<Vec<EventJson<'a>>>,
    compact_revision: i64,
    canceled: bool,
    created: bool,
    cancel_reason: &'a str,
}

#[derive(Serialize)]
struct EventJson<'a> {
    #[serde(rename = "type", skip_serializing_if = "is_default")]
    kind: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    kv: Option<Pair<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_kv: Option<Pair<'a>>,
}

impl<'a> EventJson<'a> {
    fn of(event: &'a Event) -> EventJson<'a> {
        EventJson {
            kind: event.r#type,
            kv: event.kv.as_ref().map(Pair::of),
            prev_kv: event.prev_kv.as_ref().map(Pair::of),
        }
    }
}

fn kind(event: &Event) -> &'static str {
    match event.r#type() {
        EventType::Put => "PUT",
        EventType::Delete => "DELETE",
    }
}

impl Printable for WatchResponse {
    fn simple(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        for event in &self.events {
            writeln!(out, "{}", kind(event))?;
            let pairs = event.prev_kv.iter().chain(&event.kv);
            pairs
                .into_iter()
                .try_for_each(|kv| key_value::pair(kv, style, out))?;
        }
        Ok(())
    }

    fn json(&self, _: &Style) -> impl Serialize {
        let events: Vec<EventJson<'_>> = self.events.iter().map(EventJson::of).collect();
        WatchJson {
            header: Header::of(Some(&self.header.unwrap_or_default())),
            events: Some(events).filter(|events| !events.is_empty()),
            compact_revision: self.compact_revision,
            canceled: self.canceled,
            created: self.created,
            cancel_reason: &self.cancel_reason,
        }
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        for event in &self.events {
            fields.line("Type", kind(event));
            event
                .prev_kv
                .iter()
                .for_each(|kv| fields.pair("Prev", kv, style));
            event.kv.iter().for_each(|kv| fields.pair("", kv, style));
        }
        fields.done()
    }

    /// Only what the official client keeps of a response.
    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        let kept = WatchResponse {
            header: Some(self.header.unwrap_or_default()),
            events: self.events.clone(),
            compact_revision: self.compact_revision,
            canceled: self.canceled,
            created: self.created,
            ..Default::default()
        };
        Ok(kept.encode_to_vec())
    }
}
