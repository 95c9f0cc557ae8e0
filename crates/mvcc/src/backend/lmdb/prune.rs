//! Deleting rows that lie together, so that what is left between them is packed.
//!
//! LMDB joins leaves only when they are nearly empty. A store whose rows are overwritten at random would keep most of its
//! leaves half full, twice the file that it needs. So sorted deletes go through *windows* of neighbouring leaves: where these
//! have become sparse, all their rows are taken out and what stays is put back in order, which fills leaf after leaf. The
//! leaves are changed by the deletes anyway, so this writes fewer pages, not more.
//!
//! heed does not tell on which page a row lies, but rows of a page are less than a page apart in memory.

use std::ops::Bound;

use heed::{PutFlags, RwTxn};

use super::super::{Bucket, Op};
use super::generation::Generation;
use crate::Error;

/// The header of a leaf.
const HEADER_BYTES: usize = 16;
/// What a row takes in a leaf beside its key and its value.
const ROW_OVERHEAD: usize = 8 + 2;
/// Much larger rows lie on pages of their own.
const ROW_BYTES_MAX: usize = 1500;
/// A window ends after so many bytes of rows that stay.
const WINDOW_BYTES_MAX: usize = 256 << 10;
/// A window goes on if the last delete is so few rows behind.
const NEAR_ROWS: usize = 16;

/// Carries out deletes in one bucket, in the order of their keys.
pub(super) fn delete_sorted(
    generation: &Generation,
    txn: &mut RwTxn<'_>,
    bucket: Bucket,
    mut deletes: &[Op],
) -> Result<(), Error> {
    let mut window = Window::new(generation.page_bytes());
    while !deletes.is_empty() {
        let count = window.read(generation, txn, bucket, deletes)?;
        let (of_window, rest) = deletes.split_at(count);
        for delete in of_window {
            generation.delete(txn, bucket, delete.place().1)?;
        }
        if window.is_sparse() {
            window.pack(generation, txn, bucket)?;
        }
        deletes = rest;
    }
    Ok(())
}

/// Neighbouring leaves, and what the deletes leave there.
///
/// The first of them is only looked at from the first delete on, so it is neither counted nor packed.
struct Window {
    page_bytes: usize,
    /// Leaves behind the first.
    leaves: usize,
    /// Lengths of keys and sealed rows in `bytes`.
    rows: Vec<(usize, usize)>,
    bytes: Vec<u8>,
}

impl Window {
    fn new(page_bytes: usize) -> Self {
        Self {
            page_bytes,
            leaves: 0,
            rows: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Reads from the first delete on; returns how many deletes the window covers, which is at least one.
    fn read(
        &mut self,
        generation: &Generation,
        txn: &RwTxn<'_>,
        bucket: Bucket,
        deletes: &[Op],
    ) -> Result<usize, Error> {
        self.leaves = 0;
        self.rows.clear();
        self.bytes.clear();
        let bounds = (Bound::Included(deletes[0].place().1), Bound::Unbounded);
        let read_error = |error| Error::backend("read row", error);
        let mut deletes = deletes.iter().map(|delete| delete.place().1).peekable();
        let all = deletes.len();
        let mut since_delete = 0;
        let mut page = Page::default();
        let rows = generation.database(bucket).range(txn, &bounds);
        for row in rows.map_err(read_error)? {
            let (key, sealed) = row.map_err(read_error)?;
            if key.len() + sealed.len() > ROW_BYTES_MAX {
                break;
            }
            if page.add(sealed, self.page_bytes) {
                if self.leaves > 0 && self.ends(since_delete) {
                    break;
                }
                self.leaves += 1;
            }
            while deletes.next_if(|delete| *delete < key).is_some() {}
            since_delete += 1;
            if deletes.next_if_eq(&key).is_some() {
                since_delete = 0;
            } else if self.leaves > 0 {
                self.rows.push((key.len(), sealed.len()));
                self.bytes.extend_from_slice(key);
                self.bytes.extend_from_slice(sealed);
            }
        }
        // What was to be deleted here and is not there is done too.
        Ok((all - deletes.len()).max(1))
    }

    /// Whether the window should not go on to the next leaf.
    fn ends(&self, since_delete: usize) -> bool {
        let goes_on = since_delete <= NEAR_ROWS || self.is_sparse();
        self.bytes.len() >= WINDOW_BYTES_MAX || !goes_on
    }

    /// Whether three quarters of the leaves would do.
    fn is_sparse(&self) -> bool {
        let bytes = self.bytes.len() + self.rows.len() * ROW_OVERHEAD;
        bytes * 4 <= self.leaves * (self.page_bytes - HEADER_BYTES) * 3
    }

    /// Takes out the rows and puts them back in order: then each leaf is filled before the next begins.
    fn pack(
        &self,
        generation: &Generation,
        txn: &mut RwTxn<'_>,
        bucket: Bucket,
    ) -> Result<(), Error> {
        let rows: Vec<(&[u8], &[u8])> = self.rows().collect();
        let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else {
            return Ok(());
        };
        let bounds = (Bound::Included(*first), Bound::Included(*last));
        generation
            .database(bucket)
            .delete_range(txn, &bounds)
            .map_err(|error| Error::backend("take out rows", error))?;
        for (key, sealed) in rows {
            generation.put(txn, bucket, key, sealed, PutFlags::empty())?;
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.rows.iter().map(move |&(key_len, sealed_len)| {
            let (key, after) = rest.split_at(key_len);
            let (sealed, after) = after.split_at(sealed_len);
            rest = after;
            (key, sealed)
        })
    }
}

/// Where in memory the rows of a page have been found, which is less than a page apart.
#[derive(Default)]
struct Page(Option<(usize, usize)>);

impl Page {
    /// Adds a row; returns whether it lies on another page than those before.
    fn add(&mut self, sealed: &[u8], page_bytes: usize) -> bool {
        let (start, end) = (
            sealed.as_ptr().addr(),
            sealed.as_ptr().addr() + sealed.len(),
        );
        let known = self.0.unwrap_or((start, end));
        let both = (known.0.min(start), known.1.max(end));
        let is_other = both.1 - both.0 > page_bytes;
        self.0 = Some(if is_other { (start, end) } else { both });
        is_other
    }
}
