//! Checksums that cover what came before.

/// A CRC-32C over everything written up to a point: each batch's checksum starts from the one before
/// it, so a batch that is lost, repeated or taken from elsewhere does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain(pub(crate) u32);

impl Chain {
    /// Continues the chain over some bytes.
    pub(crate) fn over(self, bytes: &[u8]) -> Self {
        Self(crc32c::crc32c_append(self.0, bytes))
    }
}
