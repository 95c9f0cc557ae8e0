//! From one segment to the next.

use super::{Wal, check_len};
use crate::format::{DATA_OFFSET, SegmentHeader};
use crate::segment::{Prepared, Segment};
use crate::workshop::Chore;
use crate::{Batch, Error};

impl Wal {
    /// Continues in the next segment, with room for its preamble and `bytes`.
    pub(super) fn roll(
        &mut self,
        bytes: u64,
        preamble: impl FnOnce(&mut Batch),
    ) -> Result<(), Error> {
        // A segment that has a successor is complete: recovery relies on it.
        self.sync()?;
        fail::fail_point!("walBeforeRoll");
        self.preamble.clear();
        preamble(&mut self.preamble);
        check_len(&self.preamble)?;
        let need = DATA_OFFSET + self.preamble.bytes() as u64 + bytes;
        let taken = match self.spare.take(self.current.seq.next(), need) {
            no_space @ Err(Error::NoSpace { .. }) => no_space,
            other => self.poison(other),
        };
        let started = self.start_segment(taken?);
        self.poison(started)?;
        fail::fail_point!("walAfterRoll");
        self.write_preamble()
    }

    fn start_segment(&mut self, next: Prepared) -> Result<(), Error> {
        let header = SegmentHeader {
            reused: next.reused,
            identity: self.identity,
            seq: next.seq,
            first_batch: self.tail.batch + 1,
            file_len: next.len,
            prev: self.tail.chain,
        };
        let mut next = Segment::start(next, &header)?;
        std::mem::swap(&mut self.current, &mut next);
        self.segments.push_back(self.current.seq);
        let mut left = next;
        let marker = left.marker(self.tail.batch, self.tail.chain, true);
        self.left = Some(Chore::Succeed {
            marker: marker.encode(self.identity, left.seq),
            offset: left.next_slot(),
            file: left.file,
            path: left.path,
        });
        self.tail.marker_pending = false;
        Ok(())
    }

    pub(super) fn write_preamble(&mut self) -> Result<(), Error> {
        let mut preamble = std::mem::take(&mut self.preamble);
        let written = if preamble.is_empty() {
            Ok(())
        } else {
            self.write(&mut preamble)
        };
        self.preamble = preamble;
        written
    }
}
