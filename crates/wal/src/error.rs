//! Why the log could not be opened, read or extended.

use std::io;
use std::path::PathBuf;

use ferrod_env::is_out_of_space;

use crate::{Identity, SegmentSeq};

/// Why the log could not be opened, read or extended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused. A log that was open answers [`Error::Poisoned`] from now on; open it again
    /// to recover.
    #[error("{operation} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// There is no room for the segment that this batch needs. Nothing was written and the log is
    /// whole: refuse writes, and try again after [`Wal::retry_space`](crate::Wal::retry_space).
    #[error("no space left on the disk for segment {segment}")]
    NoSpace {
        /// The segment that does not fit.
        segment: SegmentSeq,
    },
    /// Something that was durable no longer matches its checksum, or is gone. Nothing was changed.
    #[error("corrupt data in segment {segment} at byte {offset}")]
    Corrupt {
        /// The damaged file.
        segment: SegmentSeq,
        /// Where the first thing that does not check out begins.
        offset: u64,
    },
    /// A segment belongs to the log of another cluster or member.
    #[error("segment {segment} belongs to {found}, not to {expected}")]
    Foreign {
        /// The file that is not ours.
        segment: SegmentSeq,
        /// Whose it is.
        found: Identity,
        /// Whose the log is.
        expected: Identity,
    },
    /// A segment is missing between, or after, others that prove that it was there.
    #[error("segment {segment} is missing")]
    Missing {
        /// The file that should be there.
        segment: SegmentSeq,
    },
    /// A file holds another segment than its name says: a copy, or two files exchanged.
    #[error("file {segment} holds segment {found}")]
    Misplaced {
        /// What the name says.
        segment: SegmentSeq,
        /// What the header says.
        found: SegmentSeq,
    },
    /// A segment does not continue the one before it: it comes from another history of this log.
    #[error("segment {segment} does not continue the one before it")]
    BrokenChain {
        /// The later of the two.
        segment: SegmentSeq,
    },
    /// A segment was written by a version that this one cannot read. Nothing was changed.
    #[error("segment {segment} has format version {found}, this program reads version {supported}")]
    Version {
        /// The file.
        segment: SegmentSeq,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// There is no log in the directory: it was never created, or not to the end.
    #[error("no log in {}", dir.display())]
    NotFound {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// There is a log in the directory already.
    #[error("there is a log in {} already", dir.display())]
    Exists {
        /// Where it is.
        dir: PathBuf,
    },
    /// A batch is longer than its length field can say.
    #[error("batch of {bytes} bytes is longer than {bytes_max}")]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// An earlier write or sync failed, so nothing is known about the tail.
    #[error("log is poisoned by an earlier error")]
    Poisoned,
}

impl Error {
    /// Calls a full disk by its name.
    pub(crate) fn or_no_space(self, segment: SegmentSeq) -> Self {
        match self {
            Self::Io { source, .. } if is_out_of_space(&source) => Self::NoSpace { segment },
            other => other,
        }
    }
}

/// Makes an [`Error::Io`] of what the disk answered; used as `.map_err(io_error("sync", &path))`.
pub(crate) fn io_error(
    operation: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io {
        operation,
        path,
        source,
    }
}
