//! Filling a received state with the rows of an [`Export`](crate::Export).

use bytes::Bytes;

use crate::backend::{Backend, Batch, Bucket, Incoming, Op};
use crate::meta::{CONSISTENT_INDEX, TERM, number_row};
use crate::row::KeyValue;
use crate::{Error, RecordKey};

/// Bytes of rows that are written together.
const BATCH_BYTES: usize = 8 << 20;

/// A copy of another member's state, on its way in. Dropped unfinished, nothing is left of it.
#[derive(Debug)]
pub struct Import {
    incoming: Box<dyn Incoming>,
    applied_index: u64,
    applied_term: u64,
    batch: Batch,
    batch_bytes: usize,
    /// What the rows of [`Bucket::Meta`] say, as far as they have come.
    index_seen: bool,
    term_seen: bool,
}

impl Import {
    /// Begins to receive the state at this index, which names it from now on.
    ///
    /// # Errors
    /// Those of [`Backend::receive`].
    pub fn begin(
        backend: &dyn Backend,
        applied_index: u64,
        applied_term: u64,
    ) -> Result<Import, Error> {
        Ok(Import {
            incoming: backend.receive(applied_index)?,
            applied_index,
            applied_term,
            batch: Batch::default(),
            batch_bytes: 0,
            index_seen: false,
            term_seen: false,
        })
    }

    /// Adds a row, above all rows of its bucket.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the row cannot be what its place says; those of [`Incoming::write`]. Drop the import then.
    pub fn add(&mut self, bucket: Bucket, key: Bytes, value: Bytes) -> Result<(), Error> {
        match bucket {
            Bucket::Key => check_row(&key, &value)?,
            Bucket::Meta => self.hear(&key, &value),
            _ => {}
        }
        self.batch_bytes += key.len() + value.len();
        self.batch.ops.push(Op::Append {
            bucket,
            key: key.to_vec(),
            value,
        });
        if self.batch_bytes >= BATCH_BYTES {
            self.write()?;
        }
        Ok(())
    }

    /// Verifies what was written and makes it durable: from now on a restart finds it among [`Backend::received`].
    ///
    /// # Errors
    /// [`Error::Backend`] if the rows are not those of a state at the index and term that were announced; those of
    /// [`Incoming::finish`]. Nothing is left of the state then.
    pub fn finish(mut self) -> Result<(), Error> {
        if !self.index_seen || !self.term_seen {
            return Err(Error::backend(
                "finish import",
                "the state is not that of the announced index and term",
            ));
        }
        self.write()?;
        self.incoming.finish()
    }

    fn hear(&mut self, key: &[u8], value: &[u8]) {
        if key == CONSISTENT_INDEX {
            self.index_seen = value == number_row(self.applied_index);
        } else if key == TERM {
            self.term_seen = value == number_row(self.applied_term);
        }
    }

    fn write(&mut self) -> Result<(), Error> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.incoming.write(&batch)
    }
}

fn check_row(key: &[u8], value: &[u8]) -> Result<(), Error> {
    RecordKey::decode(key)?;
    match KeyValue::decode(value) {
        Some(_) => Ok(()),
        None => Err(Error::Corrupt {
            bucket: Bucket::Key.name(),
            key: key.to_vec(),
            reason: "row is not a key-value",
        }),
    }
}
