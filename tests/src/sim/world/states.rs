//! Copies of the state on their way to members that are too far behind for the log.
//!
//! What the server streams over its peer connection goes here in small steps, so that anything may come between them:
//! the export reads a few rows, the import writes them, and either end may die or be cut off.

use std::sync::Arc;

use bytes::Bytes;
use ferrod_mvcc::backend::Bucket;
use ferrod_mvcc::{Export, Import};
use ferrod_node::{ConfState, LogIndex, MemberId, PeerBody, PeerMessage, StateMeta, Term};

use super::{Event, Judged, World};

/// Superseded rows that may wait on behalf of a copy, few enough to be exceeded now and then.
const HELD_ROWS_MAX: usize = 500;

/// Bytes of one step.
const STEP_BYTES: usize = 2_000;

/// A copy under way.
pub(super) struct Transfer {
    from: u64,
    from_life: u64,
    to: u64,
    to_life: u64,
    message: PeerMessage,
    export: Export,
    /// Unset before the first step.
    import: Option<Import>,
}

impl World {
    /// A leader wants a copy for a member.
    pub(super) fn plan_offer(&mut self, id: u64, to: u64) {
        let at = self.draw(1, 100);
        self.plan_for(id, at, Event::Offer(id, to));
    }

    pub(super) fn offer(&mut self, id: u64, to: u64) -> Judged {
        let now = self.now;
        let Some(process) = self.running(id) else {
            return Ok(());
        };
        // What is newest is worth sending.
        if let Err(error) = process.flusher.flush() {
            return self.failed(id, &error.to_string());
        }
        let offer = match process.views.export(HELD_ROWS_MAX) {
            Ok(export) => {
                let meta = meta(&export);
                process.exports.insert(to, export);
                Ok(meta)
            }
            Err(error) => Err(error.into()),
        };
        self.trace
            .note(now, [16, id, to], || format!("{id} offers {to} {offer:?}"));
        if let Some(process) = self.running(id) {
            let handle = process.executor.handle();
            handle.state_offered(MemberId(to), offer);
        }
        self.wake_node(id, now);
        Ok(())
    }

    /// The copy that was offered leaves.
    pub(super) fn send_state(&mut self, id: u64, message: PeerMessage) {
        let to = message.to.0;
        let life = |world: &World, id: u64| world.hosts.get(&id).map_or(0, |host| host.life);
        let export = self
            .running(id)
            .and_then(|process| process.exports.remove(&to));
        let Some(export) = export else {
            self.state_sent(id, &message, false);
            return;
        };
        self.next_transfer += 1;
        let number = self.next_transfer;
        let transfer = Transfer {
            from: id,
            from_life: life(self, id),
            to,
            to_life: life(self, to),
            message,
            export,
            import: None,
        };
        self.transfers.insert(number, transfer);
        let at = self.draw(1, 20);
        self.plan_at(at, Event::Transfer(number));
    }

    pub(super) fn step_transfer(&mut self, number: u64) -> Judged {
        let Some(mut transfer) = self.transfers.remove(&number) else {
            return Ok(());
        };
        let Transfer { from, to, .. } = transfer;
        let alive = |id: u64, life: u64| {
            let host = self.hosts.get(&id);
            host.is_some_and(|host| host.is_up() && host.life == life)
        };
        if !alive(from, transfer.from_life) {
            return Ok(());
        }
        let cut = self.network.is_cut(from, to) || self.network.is_cut(to, from);
        if cut || !alive(to, transfer.to_life) {
            self.state_sent(from, &transfer.message, false);
            return Ok(());
        }
        match self.copy_some(&mut transfer) {
            Ok(true) => {
                self.transfers.insert(number, transfer);
                let at = self.draw(1, 40);
                self.plan_at(at, Event::Transfer(number));
            }
            Ok(false) => {
                self.counts.states += 1;
                self.trace.note(self.now, [17, from, to], || {
                    format!("{to} has {:?} from {from}", transfer.message.body)
                });
                self.state_sent(from, &transfer.message, true);
                self.hear(to, transfer.message);
            }
            Err(error) => {
                self.trace.note(self.now, [18, from, to], || {
                    format!("the copy from {from} to {to} ends: {error}")
                });
                self.state_sent(from, &transfer.message, false);
            }
        }
        Ok(())
    }

    /// Copies some rows; returns whether there are more.
    fn copy_some(&mut self, transfer: &mut Transfer) -> Result<bool, ferrod_mvcc::Error> {
        let backend = Arc::clone(&self.hosts[&transfer.to].backend);
        let import = match &mut transfer.import {
            Some(import) => import,
            None => {
                let head = transfer.export.head();
                let mut import = Import::begin(&*backend, head.applied_index, head.applied_term)?;
                for (bucket, key, value) in &head.small_rows {
                    import.add(*bucket, key.clone(), value.clone())?;
                }
                transfer.import.insert(import)
            }
        };
        let mut rows = Vec::new();
        let more = transfer.export.step(STEP_BYTES, &mut |key, value| {
            rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        })?;
        for (key, value) in rows {
            import.add(Bucket::Key, key, value)?;
        }
        if !more && let Some(import) = transfer.import.take() {
            import.finish()?;
        }
        Ok(more)
    }

    fn state_sent(&mut self, id: u64, message: &PeerMessage, arrived: bool) {
        let (now, to) = (self.now, message.to);
        let PeerBody::State(state) = &message.body else {
            return;
        };
        let index: LogIndex = state.index;
        if let Some(process) = self.running(id) {
            process.executor.handle().state_sent(to, index, arrived);
        }
        self.wake_node(id, now);
    }

    /// The copy that was received is not wanted.
    pub(super) fn state_refused(&mut self, id: u64, state: &StateMeta) {
        let discarded =
            ferrod_mvcc::backend::Backend::discard(&*self.hosts[&id].backend, state.index.0);
        discarded.expect("the memory always forgets");
    }
}

fn meta(export: &Export) -> StateMeta {
    let head = export.head();
    let row = head
        .small_rows
        .iter()
        .find(|(bucket, key, _)| *bucket == Bucket::Meta && &key[..] == b"confState");
    let conf: ferrod_store::ConfState = row.map_or_else(Default::default, |(_, _, value)| {
        serde_json::from_slice(value).expect("the store wrote it")
    });
    let ids = |members: Vec<u64>| members.into_iter().map(MemberId).collect();
    StateMeta {
        index: LogIndex(head.applied_index),
        term: Term(head.applied_term),
        conf: ConfState::new(ids(conf.voters), ids(conf.learners)),
    }
}
