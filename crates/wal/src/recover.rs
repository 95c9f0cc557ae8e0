//! Reading a log back, and telling what is torn from what is damaged.
//!
//! Reads only. The rules are in [`format`](crate::format); everything here either accepts bytes, calls
//! them a tail that was never synced, or reports damage with file and offset.

mod image;

use std::io;
use std::path::Path;

use bytes::Bytes;
use ferrod_env::Disk;

use crate::chain::Chain;
use crate::error::io_error;
use crate::format::{
    DATA_OFFSET, HeaderFault, Marker, RECORD_HEADER_BYTES, SegmentHeader, VERSION, u32_at,
};
use crate::{Error, Identity, Record, SegmentSeq, TornTail};
pub(crate) use image::Image;

/// What a log holds and where it ends.
pub(crate) struct Scan {
    pub(crate) identity: Identity,
    /// Segments that hold batches, ascending; consecutive.
    pub(crate) used: Vec<SegmentSeq>,
    /// Segments behind those: prepared, or begun and never synced.
    pub(crate) unused: Vec<SegmentSeq>,
    pub(crate) records: Vec<Record>,
    pub(crate) torn: Option<TornTail>,
    pub(crate) end: End,
}

/// Where a log ends: the place for the next batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) offset: u64,
    /// Sequence of the last good batch.
    pub(crate) batch: u64,
    pub(crate) chain: Chain,
    /// The current segment's header.
    pub(crate) header: SegmentHeader,
    pub(crate) marker: Option<(Marker, usize)>,
    /// Length of the file now; shorter than the header says if it was cut.
    pub(crate) file_len: u64,
    /// Where the last byte that is not zero ends.
    pub(crate) data_end: u64,
}

/// Returns the numbers of the segment files in a directory, ascending.
pub(crate) fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<SegmentSeq>, Error> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(io_error("list", dir))?,
    };
    let seqs = names
        .iter()
        .filter_map(|name| SegmentSeq::of_file_name(name));
    let mut seqs: Vec<_> = seqs.collect();
    seqs.sort_unstable();
    Ok(seqs)
}

impl Scan {
    /// Reads the log in a directory.
    pub(crate) fn of_dir(
        disk: &dyn Disk,
        dir: &Path,
        expected: Option<Identity>,
    ) -> Result<Self, Error> {
        let mut reader = Reader::new(disk, dir, expected);
        reader.read()?;
        reader.finish()
    }
}

/// Reads segments in order. What was read before an error stays in `records`.
pub(crate) struct Reader<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    /// Whose log it must be; the first segment decides if nobody else did.
    identity: Option<Identity>,
    used: Vec<SegmentSeq>,
    unused: Vec<SegmentSeq>,
    pub(crate) records: Vec<Record>,
    torn: Option<TornTail>,
    /// The end of the last used segment, and its bytes.
    last: Option<(End, Image)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, dir: &'a Path, expected: Option<Identity>) -> Self {
        Self {
            disk,
            dir,
            identity: expected,
            used: Vec::new(),
            unused: Vec::new(),
            records: Vec::new(),
            torn: None,
            last: None,
        }
    }

    /// Reads and judges everything.
    pub(crate) fn read(&mut self) -> Result<(), Error> {
        let mut before: Option<SegmentSeq> = None;
        for seq in segments(self.disk, self.dir)? {
            match before.map(SegmentSeq::next) {
                Some(missing) if missing != seq => return Err(Error::Missing { segment: missing }),
                _ => before = Some(seq),
            }
            self.read_image(seq, Image::read(self.disk, self.dir, seq)?)?;
        }
        self.judge_tail()
    }

    /// Returns what was read without an error.
    pub(crate) fn finish(self) -> Result<Scan, Error> {
        let not_found = || Error::NotFound {
            dir: self.dir.to_owned(),
        };
        let (end, _) = self.last.ok_or_else(not_found)?;
        Ok(Scan {
            identity: end.header.identity,
            used: self.used,
            unused: self.unused,
            records: self.records,
            torn: self.torn,
            end,
        })
    }

    /// Whose log it is and what a crash left, as far as that is known.
    pub(crate) fn findings(&self) -> (Option<Identity>, Option<TornTail>) {
        (self.identity, self.torn)
    }

    /// Reads one segment of a log that this process writes, as far as it is good.
    pub(crate) fn peek(&mut self, seq: SegmentSeq) -> Result<(), Error> {
        self.read_image(seq, Image::peek(self.disk, self.dir, seq)?)
    }

    fn read_image(&mut self, seq: SegmentSeq, image: Image) -> Result<(), Error> {
        match SegmentHeader::decode(&image.bytes) {
            Ok(header) => {
                self.check_header(&header, seq)?;
                self.read_batches(header, image)
            }
            Err(HeaderFault::Invalid) => self.pass_over(&image, false),
            Err(HeaderFault::Version(found)) => Err(Error::Version {
                segment: seq,
                found,
                supported: VERSION,
            }),
        }
    }

    /// Accepts a segment without a header, or with nothing good behind it, if it can be one that was
    /// never synced.
    fn pass_over(&mut self, image: &Image, has_header: bool) -> Result<(), Error> {
        let offset = if has_header { DATA_OFFSET } else { 0 };
        let Some((end, _)) = &self.last else {
            return Err(corrupt(image.seq, offset));
        };
        let is_next = self.unused.is_empty();
        let behind = image.behind(0, end.chain, end.batch + 1);
        let succeeded = end.marker.is_some_and(|(marker, _)| marker.succeeded);
        let proven = image.marker(end.header.identity).is_some();
        if proven || is_next && (succeeded || behind.synced) {
            return Err(corrupt(image.seq, offset));
        }
        if has_header || behind.begun {
            self.torn = Some(TornTail {
                segment: image.seq,
                offset: 0,
                bytes: image.data_end(),
            });
        }
        self.unused.push(image.seq);
        Ok(())
    }

    fn check_header(&mut self, header: &SegmentHeader, seq: SegmentSeq) -> Result<(), Error> {
        let expected = *self.identity.get_or_insert(header.identity);
        if header.identity != expected {
            return Err(Error::Foreign {
                segment: seq,
                found: header.identity,
                expected,
            });
        }
        if header.seq != seq {
            return Err(Error::Misplaced {
                segment: seq,
                found: header.seq,
            });
        }
        // A segment is begun only after the one before it was synced.
        if let Some(&unused) = self.unused.first() {
            return Err(corrupt(unused, 0));
        }
        self.check_chain(header)
    }

    fn check_chain(&self, header: &SegmentHeader) -> Result<(), Error> {
        let (batch, chain) = match &self.last {
            Some((end, _)) if header.first_batch > end.batch + 1 => {
                return Err(corrupt(end.header.seq, end.offset));
            }
            Some((end, _)) => (end.batch, end.chain),
            None if header.seq == SegmentSeq::FIRST => (0, SegmentHeader::origin(header.identity)),
            // What came before was purged.
            None => return Ok(()),
        };
        if header.first_batch != batch + 1 || header.prev != chain {
            return Err(Error::BrokenChain {
                segment: header.seq,
            });
        }
        Ok(())
    }

    fn read_batches(&mut self, header: SegmentHeader, image: Image) -> Result<(), Error> {
        let mut end = End {
            offset: DATA_OFFSET,
            batch: header.first_batch - 1,
            chain: header.prev,
            header,
            marker: image.marker(header.identity),
            file_len: image.bytes.len() as u64,
            data_end: image.data_end(),
        };
        while let Some(batch) = image.batch(&end) {
            let stop = end.offset + batch.batch_len();
            let body = image.body(end.offset, stop);
            if !push_records(&mut self.records, header.seq, &body, batch.records) {
                return Err(corrupt(header.seq, end.offset));
            }
            let proof = end.marker.filter(|(marker, _)| marker.batch == batch.batch);
            if proof.is_some_and(|(marker, _)| (marker.end, marker.chain) != (stop, batch.chain)) {
                return Err(corrupt(header.seq, end.offset));
            }
            (end.offset, end.batch, end.chain) = (stop, batch.batch, batch.chain);
        }
        // Only a new log may be empty. Any other segment starts with what the caller wants there.
        if end.offset == DATA_OFFSET && header.seq != SegmentSeq::FIRST {
            return self.pass_over(&image, true);
        }
        self.used.push(header.seq);
        self.last = Some((end, image));
        Ok(())
    }

    /// Decides whether what follows the last good batch is torn or damaged.
    fn judge_tail(&mut self) -> Result<(), Error> {
        let Some((end, image)) = &self.last else {
            return Ok(());
        };
        let seq = end.header.seq;
        let behind = image.behind(end.offset as usize, end.header.prev, end.batch + 1);
        let marked = end
            .marker
            .is_some_and(|(marker, _)| marker.batch > end.batch);
        if marked || behind.synced {
            return Err(corrupt(seq, end.offset));
        }
        if end.marker.is_some_and(|(marker, _)| marker.succeeded) && self.unused.is_empty() {
            return Err(Error::Missing {
                segment: seq.next(),
            });
        }
        // In a reused file remains of older segments are no news.
        if end.data_end > end.offset && (!end.header.reused || behind.begun) {
            self.torn = Some(TornTail {
                segment: seq,
                offset: end.offset,
                bytes: end.data_end - end.offset,
            });
        }
        Ok(())
    }
}

fn corrupt(segment: SegmentSeq, offset: u64) -> Error {
    Error::Corrupt { segment, offset }
}

/// Takes a batch apart. Returns whether it consists of `count` records and nothing else.
fn push_records(out: &mut Vec<Record>, segment: SegmentSeq, body: &Bytes, count: u32) -> bool {
    let mut at = 0;
    for _ in 0..count {
        let Some(head) = body.get(at..at + RECORD_HEADER_BYTES) else {
            return false;
        };
        let start = at + RECORD_HEADER_BYTES;
        let len = u32_at(head, 0) as usize;
        if body.len() - start < len {
            return false;
        }
        out.push(Record {
            segment,
            kind: head[4],
            payload: body.slice(start..start + len),
        });
        at = start + len;
    }
    at == body.len()
}
