//! How a log begins: created, or opened again.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use ferrod_env::Disk;

use super::{Tail, Wal};
use crate::format::SegmentHeader;
use crate::helper::Helper;
use crate::recover::{Scan, segments};
use crate::segment::Segment;
use crate::spare::Spare;
use crate::workshop::Workshop;
use crate::{Batch, Error, Identity, Options, Recovery, SegmentSeq, create, repair};

impl Wal {
    /// Creates a log whose first segment starts with what `preamble` adds, all durable on return.
    ///
    /// A crash or error leaves either no log or a whole one.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is one; [`Error::NoSpace`]; [`Error::Io`].
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        identity: Identity,
        preamble: impl FnOnce(&mut Batch),
    ) -> Result<Self, Error> {
        create::create_dir(&*disk, dir, options.no_fsync)?;
        if !segments(&*disk, dir)?.is_empty() {
            return Err(Error::Exists { dir: dir.into() });
        }
        let mut workshop = Workshop::new(disk.clone(), dir, &options);
        workshop.tidy()?;
        let built = workshop.build(SegmentSeq::FIRST);
        let first = built.map_err(|error| error.or_no_space(SegmentSeq::FIRST))?;
        let header = SegmentHeader {
            reused: false,
            identity,
            seq: SegmentSeq::FIRST,
            first_batch: 1,
            file_len: options.segment_len(),
            prev: SegmentHeader::origin(identity),
        };
        let current = Segment::start(first, &header)?;
        let tail = Tail {
            batch: 0,
            chain: header.prev,
            synced: 0,
            marker_pending: false,
            unmarked: 0,
        };
        let mut wal = Self::assemble(dir, options, identity, current, tail, workshop);
        preamble(&mut wal.preamble);
        wal.write_preamble()?;
        wal.prove()?;
        wal.current.path = create::publish(&*disk, dir, &wal.current.path, options.no_fsync)?;
        Ok(wal)
    }

    /// Opens a log, cuts off a torn tail, and returns what it holds. On return all of it is durable,
    /// and provable: later damage to it will be reported.
    ///
    /// Nothing is written unless the whole log checks out. Doing this again, also after a crash in
    /// the middle of it, gives the same result.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no log: create one. [`Error::Foreign`] if it is not
    /// `identity`'s; `None` accepts anyone's. [`Error::Corrupt`], [`Error::Missing`],
    /// [`Error::Misplaced`], [`Error::BrokenChain`] and [`Error::Version`] as they say;
    /// [`Error::Io`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        identity: Option<Identity>,
    ) -> Result<(Self, Recovery), Error> {
        let scan = Scan::of_dir(&*disk, dir, identity)?;
        let mut workshop = Workshop::new(disk.clone(), dir, &options);
        let current = repair::repair(&*disk, dir, &scan, &mut workshop, options.no_fsync)?;
        let tail = Tail {
            batch: scan.end.batch,
            chain: scan.end.chain,
            synced: scan.end.batch,
            marker_pending: false,
            unmarked: 0,
        };
        let mut wal = Self::assemble(dir, options, scan.identity, current, tail, workshop);
        wal.segments = scan.used.into();
        let recovery = Recovery {
            identity: scan.identity,
            records: scan.records,
            torn: scan.torn,
        };
        Ok((wal, recovery))
    }

    fn assemble(
        dir: &Path,
        options: Options,
        identity: Identity,
        current: Segment,
        tail: Tail,
        workshop: Workshop,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            identity,
            no_fsync: options.no_fsync,
            segments: VecDeque::from([current.seq]),
            current,
            tail,
            spare: Spare::new(Helper::inline(workshop), options.no_fsync),
            left: None,
            preamble: Batch::new(),
            poisoned: false,
        }
    }

    /// Makes everything durable, the marker too.
    fn prove(&mut self) -> Result<(), Error> {
        self.sync_current()?;
        self.tail.synced = self.tail.batch;
        self.mark()?;
        self.sync_current()
    }
}
