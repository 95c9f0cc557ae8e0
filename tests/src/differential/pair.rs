//! The two servers and what is known about them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ferrod_proto::etcdserverpb::{StatusRequest, WatchCreateRequest};
use ferrod_proto::mvccpb::Event;

use super::answer::Answer;
use super::compare;
use super::differences::{self, Context as Known};
use super::op::Op;
use super::side::{Item, Side};
use super::watchers::{WITNESS_STREAM, Watcher, events, without_prev};
use crate::clock::poll;

/// Watch streams on each server, the witness's included.
pub(crate) const STREAMS: usize = 4;
/// For messages.
const NAMES: [&str; 2] = ["the reference", "the subject"];
/// How long the streams may take to deliver everything.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);

/// The server that is right is gone, which says nothing about the other one.
///
/// 3.5.1 sends old events to watchers out of a memory map that it has unlocked already; a write that makes the file grow
/// at that moment takes the map away.
#[derive(Debug)]
pub(crate) struct ReferenceDied(String);

impl std::error::Error for ReferenceDied {}

impl std::fmt::Display for ReferenceDied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the reference has died; its log ends with\n{}", self.0)
    }
}

/// Both servers, driven in step.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The real etcd, then the server under test.
    sides: [Side; 2],
    /// Whether the server under test claims to be a later version, so that known differences apply.
    pub(crate) known: Known,
    pub(crate) watchers: Vec<Watcher>,
    witness: Watcher,
    /// Create requests on each stream of the reference and of the subject.
    creations: [[usize; 2]; STREAMS],
    /// A watcher of the past was made since the last pause.
    fresh_history: bool,
    /// All events so far, as the witnesses were told.
    history: Vec<Event>,
}

impl Pair {
    /// Starts both on fresh data.
    pub(crate) async fn start(reference: Option<&Path>, subject: Option<&Path>) -> Result<Self> {
        let reference = match reference {
            Some(path) => path.to_owned(),
            None => crate::binaries::etcd("etcd")?,
        };
        let subject = match subject {
            Some(path) => path.to_owned(),
            None => crate::binaries::ferrod()?,
        };
        let sides = [
            Side::start(&reference, STREAMS).await?,
            Side::start(&subject, STREAMS).await?,
        ];
        let mut versions = Vec::new();
        for side in &sides {
            let status = side.wire().maintenance().status(StatusRequest {}).await?;
            versions.push(status.into_inner().version);
        }
        let mut pair = Self {
            sides,
            known: Known::new(&versions[0], &versions[1]),
            watchers: Vec::new(),
            witness: witness(1, 0),
            creations: [[0; 2]; STREAMS],
            fresh_history: false,
            history: Vec::new(),
        };
        pair.open_witness().await?;
        Ok(pair)
    }

    async fn open_witness(&mut self) -> Result<()> {
        let create = self.witness.create.clone();
        for side in &mut self.sides {
            let op = Op::Watch {
                stream: WITNESS_STREAM,
                create: create.clone(),
            };
            let answer = side.ask(&op).await;
            ensure!(
                matches!(&answer, Answer::Watch(r) if r.created),
                "no witness: {answer:?}"
            );
        }
        Ok(())
    }

    /// Asks both and compares; the answer is the subject's.
    pub(crate) async fn step(&mut self, op: &Op) -> Result<Answer> {
        if matches!(
            op,
            Op::Compact(_) | Op::Unwatch { .. } | Op::Progress { .. } | Op::Restart { .. }
        ) {
            self.settle().await?;
            self.let_watchers_catch_up().await;
        }
        match op {
            Op::Progress { stream } => return self.progress(*stream).await,
            Op::Restart { kill } => return self.restart(*kill).await,
            _ => {}
        }
        let [reference, subject] = &mut self.sides;
        let only_subject = differences::only_subject(op, &self.known);
        let both = only_subject.is_none();
        let (wanted, got) = match only_subject {
            // Two of the old version: neither can be asked.
            Some(Answer::Nothing) => return Ok(Answer::Nothing),
            Some(wanted) => (wanted, subject.ask(op).await),
            None => {
                let asked = differences::as_reference(op);
                tokio::join!(reference.ask(asked.as_ref().unwrap_or(op)), subject.ask(op))
            }
        };
        if !self.sides[0].is_running() {
            return Err(ReferenceDied(self.sides[0].log_tail()).into());
        }
        if !self.sides[1].is_running() {
            bail!(
                "the subject has died; its log ends with\n{}",
                self.sides[1].log_tail()
            );
        }
        let wanted = differences::expected(op, wanted, &self.known);
        let excused = differences::excuses(op, &wanted, &got, &self.known);
        if !excused && !compare::same(op, &wanted, &got) {
            bail!(
                "wanted {wanted:?}\n   got {got:?}\nthe subject's log ends with\n{}",
                self.sides[1].log_tail()
            );
        }
        self.learn(op, &got, both);
        Ok(got)
    }

    /// Gives watchers of the past the time to become watchers of the present.
    ///
    /// A server looks through history every 100 ms, and cancels who has not been served when a compaction takes his
    /// first revision away, although there may have been nothing to deliver; no answer tells when that is over.
    async fn let_watchers_catch_up(&mut self) {
        if std::mem::take(&mut self.fresh_history) {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }

    fn learn(&mut self, op: &Op, answer: &Answer, both: bool) {
        self.known.learn(op, answer);
        match (op, answer) {
            (Op::Watch { stream, create }, Answer::Watch(response)) => {
                let instance = self.creations[*stream];
                self.creations[*stream][0] += usize::from(both);
                self.creations[*stream][1] += 1;
                if response.canceled {
                    return;
                }
                let current = response.header.map_or(0, |h| h.revision);
                let start = create.start_revision;
                self.fresh_history |= start != 0 && start <= current;
                self.watchers.push(Watcher {
                    stream: *stream,
                    instance,
                    id: response.watch_id,
                    create: create.clone(),
                    from: if start == 0 { current + 1 } else { start },
                    compacted: self.known.compacted,
                    verified: [0, 0],
                    settled: 0,
                    doomed: start != 0 && start < self.known.compacted,
                    ended: false,
                });
            }
            (Op::Unwatch { stream, id }, Answer::Watch(_)) => {
                let cancelled = |w: &&mut Watcher| !w.ended && w.stream == *stream && w.id == *id;
                if let Some(watcher) = self.watchers.iter_mut().find(cancelled) {
                    watcher.ended = true;
                }
            }
            _ => {}
        }
    }

    async fn restart(&mut self, kill: bool) -> Result<Answer> {
        // The reference is never killed: 3.5.1 applies entries again, or loses them, when that happens.
        self.sides[0].restart(false).await?;
        self.sides[1].restart(kill && self.known.differ).await?;
        self.watchers.clear();
        self.creations = [[0; 2]; STREAMS];
        self.witness = witness(self.known.revision + 1, self.known.revision);
        self.open_witness().await?;
        Ok(Answer::Nothing)
    }

    async fn progress(&mut self, stream: usize) -> Result<Answer> {
        let current = self.known.revision;
        let mut watchers = self
            .watchers
            .iter()
            .filter(|w| !w.ended && w.stream == stream)
            .peekable();
        let answered =
            watchers.peek().is_some() && watchers.all(|w| !w.doomed && !w.is_ahead(current));
        let tries = if answered { 50 } else { 2 };
        for side in &mut self.sides {
            let answer = side.progress(stream, tries).await;
            // Old versions answer although a watcher lags; the answer is at least not from the future.
            let good = match answer {
                Answer::Progress(Some(revision)) => revision == current,
                _ => !answered,
            };
            ensure!(
                good,
                "{answer:?} at revision {current}, answer due: {answered}"
            );
        }
        Ok(Answer::Nothing)
    }

    /// Waits until every watcher on both servers has got what it should, and compares it.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        let current = self.known.revision;
        let complete = async || match self.missing(current) {
            Ok(None) => Some(Ok(())),
            Ok(Some(_)) => None,
            Err(fault) => Some(Err(fault)),
        };
        match poll(SETTLE_LIMIT, complete).await {
            Some(checked) => checked?,
            None => bail!(
                "the watch streams are not complete at revision {current}: {}",
                self.missing(current)?.unwrap_or_default()
            ),
        }
        let told = self.told(current)?;
        for at in 0..self.watchers.len() {
            let watcher = self.watchers[at].clone();
            if !watcher.ended {
                self.watchers[at].verified = self.verify(&watcher, &told)?;
                self.watchers[at].settled = current;
            }
        }
        self.witness.verified = self.witness.verified.map(|n| n + told.len());
        self.history.extend(told);
        self.witness.settled = current;
        Ok(())
    }

    /// The first watcher that has not got all that is due at revision `current`.
    fn missing(&self, current: i64) -> Result<Option<String>> {
        for (side, name) in NAMES.iter().enumerate() {
            let new = self
                .new_items(&self.witness, side)
                .context("the witness of everything")?;
            let last = events(&new).last().and_then(|e| e.kv.as_ref());
            let reached = last.map_or(self.witness.settled, |kv| kv.mod_revision);
            if reached < current {
                return Ok(Some(format!("the witness on {name} is at {reached}")));
            }
            let told: Vec<Event> = events(&new).cloned().collect();
            for watcher in self.watchers.iter().filter(|w| !w.ended) {
                let got = self.certain_items(watcher, side)?;
                let due = match (watcher.doomed, watcher.settled) {
                    (true, settled) => usize::from(settled == 0),
                    _ => self.due(watcher, &told).count(),
                };
                if got.len() < due {
                    let last = got.last();
                    return Ok(Some(format!(
                        "on {name} {} of {due} items came, the last {last:?}; {watcher:?}",
                        got.len()
                    )));
                }
            }
        }
        Ok(None)
    }

    /// Events that a watcher must still get, given the news that the witness was told.
    fn due<'a>(
        &'a self,
        watcher: &'a Watcher,
        told: &'a [Event],
    ) -> impl Iterator<Item = &'a Event> {
        let history = if watcher.settled == 0 {
            &self.history[..]
        } else {
            &[]
        };
        let wanted = |e: &&Event| watcher.wants(e) && !watcher.is_uncertain(e);
        history.iter().chain(told).filter(wanted)
    }

    fn new_items(&self, watcher: &Watcher, side: usize) -> Result<Vec<Item>> {
        let skip = watcher.verified[side];
        let items = self.sides[side].items(watcher.stream, watcher.instance[side], skip);
        items.with_context(|| format!("on {}: {watcher:?}", NAMES[side]))
    }

    fn certain_items(&self, watcher: &Watcher, side: usize) -> Result<Vec<Item>> {
        let mut items = self.new_items(watcher, side)?;
        items.retain(|item| match item {
            Item::Event(event) => !watcher.is_uncertain(event),
            Item::Cancelled { .. } => true,
        });
        Ok(items)
    }

    /// What the witnesses saw since the last time, the same on both servers.
    fn told(&self, current: i64) -> Result<Vec<Event>> {
        let wanted = self.new_items(&self.witness, 0)?;
        let got = self.new_items(&self.witness, 1)?;
        for (wanted, got) in wanted.iter().zip(&got) {
            ensure!(
                wanted == got,
                "the witness of everything: wanted {wanted:?}\n   got {got:?}"
            );
        }
        ensure!(
            wanted.len() == got.len(),
            "the witness of everything at revision {current}: wanted {} events, got {}",
            wanted.len(),
            got.len()
        );
        Ok(events(&got).cloned().collect())
    }

    /// Compares the new items of a watcher between the servers and with the witness.
    fn verify(&self, watcher: &Watcher, told: &[Event]) -> Result<[usize; 2]> {
        let wanted = self.certain_items(watcher, 0)?;
        let got = self.certain_items(watcher, 1)?;
        ensure!(
            wanted == got,
            "{watcher:?}\nwanted {wanted:?}\n   got {got:?}"
        );
        if !watcher.doomed {
            let due: Vec<_> = self.due(watcher, told).map(without_prev).collect();
            let seen: Vec<_> = events(&got).map(without_prev).collect();
            ensure!(
                due == seen,
                "{watcher:?}\nby the witness {due:?}\n   got {seen:?}"
            );
        }
        let mut verified = watcher.verified;
        for (side, count) in verified.iter_mut().enumerate() {
            *count += self.new_items(watcher, side)?.len();
        }
        Ok(verified)
    }

    /// What was compared.
    pub(crate) fn summary(&self) -> String {
        format!(
            "revision {}, {} events compared, {} watchers, {}",
            self.known.revision,
            self.history.len(),
            self.watchers.len(),
            self.known.summary(),
        )
    }
}

/// The watcher of everything, from revision `from` on.
fn witness(from: i64, settled: i64) -> Watcher {
    Watcher {
        stream: WITNESS_STREAM,
        instance: [0, 0],
        id: 0,
        create: WatchCreateRequest {
            range_end: "\0".into(),
            start_revision: from,
            prev_kv: true,
            ..Default::default()
        },
        from,
        compacted: -1,
        verified: [0, 0],
        settled,
        doomed: false,
        ended: false,
    }
}
