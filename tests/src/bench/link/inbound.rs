//! The receiving half of a connection: frames in, events out.

use anyhow::{Result, bail};

use super::status::Status;
use super::{Ending, Event, Keep, Link, PREFIX_LEN};
use crate::bench::frame::{
    self, ACK, END_HEADERS, END_STREAM, FrameHead, PADDED, PRIORITY, kind, number, push_head,
};

/// Consumed bytes are given back to the server in portions of this size.
const RETURN_AT: u32 = 1 << 29;

/// Answers of one call, cut into messages.
#[derive(Debug)]
pub(super) struct Inbound {
    tag: u32,
    keep: Keep,
    pub(super) keep_next: Keep,
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    missing: usize,
    body: Vec<u8>,
    messages: u32,
    bytes: u64,
    unreturned: u32,
}

impl Inbound {
    pub(super) fn new(tag: u32, keep: Keep) -> Self {
        Self {
            tag,
            keep,
            keep_next: keep,
            prefix: [0; PREFIX_LEN],
            prefix_len: 0,
            missing: 0,
            body: Vec::new(),
            messages: 0,
            bytes: 0,
            unreturned: 0,
        }
    }

    /// Cuts `data` into messages and returns what was counted in them.
    fn feed(&mut self, mut data: &[u8], events: &mut Vec<Event>) -> u64 {
        let mut counted = 0;
        self.bytes += data.len() as u64;
        while !data.is_empty() {
            if self.prefix_len < PREFIX_LEN {
                let take = (PREFIX_LEN - self.prefix_len).min(data.len());
                self.prefix[self.prefix_len..self.prefix_len + take].copy_from_slice(&data[..take]);
                self.prefix_len += take;
                data = &data[take..];
                if self.prefix_len < PREFIX_LEN {
                    return counted;
                }
                self.missing = number(&self.prefix, 1) as usize;
                self.keep = self.keep_next;
            }
            let (part, rest) = data.split_at(self.missing.min(data.len()));
            self.missing -= part.len();
            data = rest;
            match self.keep {
                // The usual case: nothing is copied.
                Keep::Count(count) if self.missing == 0 && self.body.is_empty() => {
                    counted += count(part);
                }
                Keep::Count(_) | Keep::Bytes => self.body.extend_from_slice(part),
                Keep::Nothing => {}
            }
            if self.missing == 0 {
                self.prefix_len = 0;
                self.messages += 1;
                let body = std::mem::take(&mut self.body);
                match self.keep {
                    Keep::Count(_) if body.is_empty() => {}
                    Keep::Count(count) => counted += count(&body),
                    Keep::Nothing | Keep::Bytes => events.push(Event::Message {
                        tag: self.tag,
                        body,
                    }),
                }
            }
        }
        counted
    }
}

impl Link {
    /// Handles every whole frame in the input buffer and keeps the rest.
    pub(super) fn take_frames(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while let Some(head) = FrameHead::parse(&input[at..]) {
            let start = at + frame::HEADER_LEN;
            let Some(payload) = input.get(start..start + head.len) else {
                break;
            };
            self.handle(head, payload, events)?;
            at = start + head.len;
        }
        self.input = input;
        self.input.drain(..at);
        self.input.reserve(256 * 1024);
        Ok(())
    }

    fn handle(&mut self, head: FrameHead, payload: &[u8], events: &mut Vec<Event>) -> Result<()> {
        match head.kind {
            kind::DATA => self.on_data(head, payload, events),
            kind::HEADERS => self.on_headers(head, payload, events)?,
            kind::RST_STREAM => self.close(head.stream, false, events),
            kind::SETTINGS if !head.has(ACK) => self.on_settings(payload),
            kind::PING if !head.has(ACK) => {
                push_head(&mut self.output, payload.len(), kind::PING, ACK, 0);
                self.output.extend_from_slice(payload);
            }
            kind::WINDOW_UPDATE => {
                let more = i64::from(number(payload, 0) & 0x7fff_ffff);
                match self.streams.get_mut(&head.stream) {
                    Some(stream) => stream.window += more,
                    None if head.stream == 0 => self.send_window += more,
                    None => {}
                }
                self.send_blocked();
            }
            kind::GOAWAY => bail!(
                "the server sent GOAWAY, code {}: {}",
                number(payload, 4),
                String::from_utf8_lossy(payload.get(8..).unwrap_or_default())
            ),
            _ => {}
        }
        Ok(())
    }

    fn on_headers(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<()> {
        if !head.has(END_HEADERS) || head.has(PADDED) || head.has(PRIORITY) {
            bail!("a header block is split or padded, which no server under measurement does");
        }
        let status = self.statuses.read(payload)?;
        if head.has(END_STREAM) {
            self.close(head.stream, status == Status::Good, events);
        }
        Ok(())
    }

    fn on_data(&mut self, head: FrameHead, payload: &[u8], events: &mut Vec<Event>) {
        let data = match payload.split_first() {
            Some((pad, rest)) if head.has(PADDED) => &rest[..rest.len() - usize::from(*pad)],
            _ => payload,
        };
        self.unreturned += head.len as u32;
        if self.unreturned > RETURN_AT {
            push_head(&mut self.output, 4, kind::WINDOW_UPDATE, 0, 0);
            self.output
                .extend_from_slice(&self.unreturned.to_be_bytes());
            self.unreturned = 0;
        }
        if let Some(stream) = self.streams.get_mut(&head.stream) {
            let inbound = &mut stream.inbound;
            self.counted += inbound.feed(data, events);
            inbound.unreturned += head.len as u32;
            if inbound.unreturned > RETURN_AT {
                push_head(&mut self.output, 4, kind::WINDOW_UPDATE, 0, head.stream);
                self.output
                    .extend_from_slice(&inbound.unreturned.to_be_bytes());
                inbound.unreturned = 0;
            }
        }
        if head.has(END_STREAM) {
            self.close(head.stream, false, events);
        }
    }

    fn on_settings(&mut self, payload: &[u8]) {
        for setting in payload.chunks_exact(6) {
            let value = number(setting, 2);
            match u16::from_be_bytes([setting[0], setting[1]]) {
                4 => {
                    let change = i64::from(value) - self.stream_window;
                    self.stream_window = i64::from(value);
                    self.streams.values_mut().for_each(|s| s.window += change);
                }
                5 => self.frame_max = value as usize,
                _ => {}
            }
        }
        push_head(&mut self.output, 0, kind::SETTINGS, ACK, 0);
        self.send_blocked();
    }

    fn close(&mut self, stream: u32, good: bool, events: &mut Vec<Event>) {
        if let Some(state) = self.streams.remove(&stream) {
            let Inbound {
                tag,
                messages,
                bytes,
                ..
            } = state.inbound;
            events.push(Event::Closed(Ending {
                tag,
                messages,
                bytes,
                good,
            }));
        }
    }
}
