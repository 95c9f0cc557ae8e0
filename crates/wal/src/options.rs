//! The knobs of a log.

use crate::format::DATA_OFFSET;

/// The knobs of a log. They may differ from one opening to the next.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Length of a segment file. A batch that does not fit one gets a longer file of its own.
    /// A value too small for the header and a little data is raised to that.
    pub segment_bytes: u64,
    /// How many purged segments are kept as files to reuse, which saves allocating their blocks.
    pub recycled_max: usize,
    /// Skip every sync. Only the operating system's grace then stands between a crash and lost
    /// data; for throw-away stores.
    pub no_fsync: bool,
}

impl Options {
    pub(crate) fn segment_len(&self) -> u64 {
        const SEGMENT_BYTES_MIN: u64 = DATA_OFFSET + 1024;
        self.segment_bytes.max(SEGMENT_BYTES_MIN)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            recycled_max: 2,
            no_fsync: false,
        }
    }
}
