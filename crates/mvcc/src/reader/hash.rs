//! Hashes over the rows: what members compare to find out whether they hold the same.

use std::ops::ControlFlow;

use crate::backend::{Bucket, Snapshot};
use crate::compaction_hashes::Span;
use crate::meta;
use crate::revision::encode_revision;
use crate::row::KeyValue;
use crate::{Error, Reader, RecordKey, Revision, View};

/// Rows that are read with one snapshot.
const STEP_ROWS: usize = 10_000;

/// A hash of the key space at a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashKv {
    /// CRC-32C.
    pub hash: u32,
    /// The latest compaction that the hash knows of, -1 if there was none. Hashes compare only if this is equal too.
    pub compact_revision: i64,
    /// The main revision hashed at.
    pub hash_revision: i64,
}

/// Which rows of bucket `key` count.
#[derive(Clone, Copy)]
struct Rule<'v> {
    view: &'v View,
    revision: i64,
    /// The compaction that the hash knows of: the view's, or the one before it.
    compacted: i64,
    /// Rows up to the compaction count only if a read at this revision sees them.
    seen_at: i64,
    /// Whether nobody waits for the hash when the key space is gone.
    is_idle_work: bool,
}

/// A running CRC-32C.
#[derive(Clone, Copy)]
struct Digest(u32);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        self.0 = crc32c::crc32c_append(self.0, bytes);
    }
}

impl<'v> Rule<'v> {
    fn new(view: &'v View, revision: i64) -> Self {
        // Where nothing is alive, etcd's rule has no set to compare with and counts what the compaction has kept.
        let empty = view.index.count(crate::KeyRange::ALL, revision) == 0;
        let seen_at = if empty { view.compacted } else { revision };
        Self {
            view,
            revision,
            compacted: view.compacted,
            seen_at,
            is_idle_work: false,
        }
    }

    /// Of what a compaction leaves, in the first view that has it.
    ///
    /// etcd's exception for an empty store has no part in this: a compaction keeps the change at its own revision.
    fn of_span(view: &'v View, span: Span) -> Self {
        Self {
            view,
            revision: span.revision,
            compacted: span.previous,
            seen_at: span.revision,
            is_idle_work: true,
        }
    }

    /// Whether a row counts, as if all superseded ones had been deleted already.
    fn counts(&self, record: RecordKey, row: &[u8]) -> Result<bool, Error> {
        let main = record.revision.main;
        if main > self.compacted {
            return Ok(main <= self.revision);
        }
        if record.tombstone {
            return Ok(false);
        }
        let row = KeyValue::decode(row)
            .ok_or_else(|| crate::evaluate::corrupt(record.revision, "row is not a key-value"))?;
        let seen = self.view.index.get(row.key, self.seen_at);
        Ok(seen.is_some_and(|seen| seen.revision() == record.revision))
    }
}

impl Reader {
    /// The hash of all keys and their history at a main revision, 0 for the current one; equal to etcd's.
    ///
    /// Where a compaction's hash is kept, that is the answer, with the compaction before it: see
    /// [`Views::compaction_hash`](crate::Views::compaction_hash). Otherwise as [`Reader::hash_anew`].
    ///
    /// Source: etcd's `HashKV`.
    ///
    /// # Errors
    /// As [`Reader::hash_anew`].
    pub fn hash_kv(&mut self, view: &View, revision: i64) -> Result<HashKv, Error> {
        // A compaction at 0 is possible, and no other revision is called 0.
        let known = self.views.compaction_hash(revision);
        match known.filter(|_| revision != 0) {
            Some(known) => Ok(known),
            None => self.hash_anew(view, revision),
        }
    }

    /// The hash of all keys and their history at a main revision, 0 for the current one, from the rows.
    ///
    /// A function of the history, of `revision` and of the latest compaction, which the result tells: it does not depend on
    /// how far superseded rows are deleted. Reads the whole store, in steps with a snapshot each: a task for a thread of
    /// its own. A negative revision hashes nothing, as in etcd.
    ///
    /// # Errors
    /// [`Error::Future`]; [`Error::Compacted`], also when the revision is compacted meanwhile; errors of the backend.
    pub fn hash_anew(&mut self, view: &View, revision: i64) -> Result<HashKv, Error> {
        let mut newer = None;
        loop {
            let view = newer.as_deref().unwrap_or(view);
            if revision < 0 {
                let mut digest = Digest(0);
                digest.add(Bucket::Key.name().as_bytes());
                return Ok(view.hashed(digest, revision));
            }
            let at = view.resolve(revision)?;
            let mut digest = Digest(0);
            if self.add_keys(Rule::new(view, at), &mut digest)? {
                return Ok(view.hashed(digest, at));
            }
            newer = Some(self.newer_view());
        }
    }

    /// The hash of what a compaction left, in the first view that has it; `None` if rows may be missing already, or nobody
    /// needs it any more.
    pub(crate) fn hash_span(&mut self, view: &View, span: Span) -> Result<Option<HashKv>, Error> {
        let mut digest = Digest(0);
        let whole = self.add_keys(Rule::of_span(view, span), &mut digest)?;
        Ok(whole.then_some(HashKv {
            hash: digest.0,
            compact_revision: span.previous,
            hash_revision: span.revision,
        }))
    }

    /// A hash of all buckets: etcd's `Hash`, without what may differ between members that hold the same.
    ///
    /// Keys are hashed as by [`Reader::hash_kv`] at the current revision. The small buckets are hashed as they are in
    /// the backend: flush before.
    ///
    /// # Errors
    /// Errors of the backend.
    pub fn digest(&mut self, view: &View) -> Result<u32, Error> {
        let mut newer = None;
        'views: loop {
            let view = newer.as_deref().unwrap_or(view);
            let mut digest = Digest(0);
            for bucket in Bucket::ALL {
                if bucket != Bucket::Key {
                    self.pin(i64::MAX)?;
                    let snapshot = self.snapshot().expect("pinned just now");
                    add_small(snapshot, bucket, &mut digest)?;
                } else if !self.add_keys(Rule::new(view, view.revision), &mut digest)? {
                    newer = Some(self.newer_view());
                    continue 'views;
                }
            }
            return Ok(digest.0);
        }
    }

    /// Adds the rows of bucket `key` that count; returns false if some of them have been compacted away meanwhile.
    fn add_keys(&mut self, rule: Rule<'_>, digest: &mut Digest) -> Result<bool, Error> {
        digest.add(Bucket::Key.name().as_bytes());
        let view = rule.view;
        let mut next = Some(Revision::default());
        while let Some(low) = next {
            self.idle();
            if rule.is_idle_work && self.views.shared.hashes.is_closed() {
                return Ok(false);
            }
            if !self.pin(i64::MAX)? || self.deleting() > rule.compacted {
                return Ok(false);
            }
            let snapshot = self.snapshot().expect("pinned just now");
            next = add_stored(snapshot, rule, low, digest)?;
        }
        self.idle();
        let high = rule.revision.min(view.revision);
        let mut result = Ok(());
        if view.flushed < high {
            view.overlay.visit(view.flushed + 1, high, |key, row| {
                if result.is_ok() {
                    result = add_row(rule, key, &key.encode(), row, digest);
                }
            });
        }
        result.map(|()| true)
    }
}

impl View {
    fn hashed(&self, digest: Digest, hash_revision: i64) -> HashKv {
        HashKv {
            hash: digest.0,
            compact_revision: self.compacted,
            hash_revision,
        }
    }
}

/// Adds one step of rows; returns the revision to go on from.
fn add_stored(
    snapshot: &dyn Snapshot,
    rule: Rule<'_>,
    low: Revision,
    digest: &mut Digest,
) -> Result<Option<Revision>, Error> {
    let high = rule.revision.min(rule.view.flushed) + 1;
    let high = encode_revision(Revision { main: high, sub: 0 });
    let (mut rows, mut next, mut result) = (0, None, Ok(()));
    snapshot.scan(
        Bucket::Key,
        &encode_revision(low),
        Some(&high),
        &mut |key, row| {
            result = RecordKey::decode(key).and_then(|record| {
                if rows == STEP_ROWS {
                    next = Some(record.revision);
                    return Ok(());
                }
                rows += 1;
                add_row(rule, record, key, row, digest)
            });
            if result.is_ok() && next.is_none() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
    )?;
    result.map(|()| next)
}

fn add_row(
    rule: Rule<'_>,
    record: RecordKey,
    key: &[u8],
    row: &[u8],
    digest: &mut Digest,
) -> Result<(), Error> {
    if rule.counts(record, row)? {
        digest.add(key);
        digest.add(row);
    }
    Ok(())
}

fn add_small(snapshot: &dyn Snapshot, bucket: Bucket, digest: &mut Digest) -> Result<(), Error> {
    /// Rows that say how far this member is, not what it holds.
    const OWN: [&[u8]; 5] = [
        meta::CONSISTENT_INDEX,
        meta::TERM,
        meta::STORAGE_VERSION,
        meta::SCHEDULED_COMPACTION,
        meta::FINISHED_COMPACTION,
    ];
    digest.add(bucket.name().as_bytes());
    snapshot.scan(bucket, &[], None, &mut |key, row| {
        if bucket != Bucket::Meta || !OWN.contains(&key) {
            digest.add(key);
            digest.add(row);
        }
        ControlFlow::Continue(())
    })
}
