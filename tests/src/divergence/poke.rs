//! A value that no log entry wrote.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result};
use ferrod_mvcc::backend::{Backend, Batch, Lmdb, LmdbOptions, Op};
use ferrod_mvcc::{Bucket, KeyValue};

/// Changes the value that a stopped member stores for `key`. The row is whole: its checksum is right, and nothing but the
/// value is another.
///
/// # Errors
/// If the member has no row of the key.
pub(super) fn poke(data_dir: &Path, key: &[u8], value: &[u8]) -> Result<()> {
    let store = data_dir.join("member").join("db");
    let lmdb = Lmdb::open(&store, LmdbOptions::default())?;
    let mut newest = None;
    lmdb.snapshot()?
        .scan(Bucket::Key, &[], None, &mut |place, row| {
            if let Some(row) = KeyValue::decode(row)
                && row.key == key
                && row.version > 0
            {
                let mut poked = Vec::new();
                KeyValue { value, ..row }.encode(&mut poked);
                newest = Some((place.to_vec(), poked));
            }
            ControlFlow::Continue(())
        })?;
    let (place, poked) = newest.context("the key is not there")?;
    let put = Op::Put {
        bucket: Bucket::Key,
        key: place,
        value: poked.into(),
    };
    Ok(lmdb.commit(&Batch { ops: vec![put] })?)
}
