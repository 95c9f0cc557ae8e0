//! The few values that the LMDB backend is opened with.

/// How to open an [`Lmdb`](super::Lmdb).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LmdbOptions {
    /// Address space reserved for the map, rounded up to whole MiB. It is address space only, not disk and not memory.
    ///
    /// Never changed while the store is open: LMDB would unmap under live readers. A full map fails the commit, so
    /// reserve far more than the store may grow to.
    pub map_bytes: u64,
    /// Snapshots that may exist at the same time.
    pub readers_max: u32,
    /// Whether the kernel reads ahead of page faults: on where memory holds the file (a scan of a cold
    /// file is five times faster), off where it is far larger and read at random.
    pub read_ahead: bool,
    /// Whether the store may be on a file system of another machine. LMDB promises nothing there.
    pub remote_allowed: bool,
}

const GIB: u64 = 1 << 30;
const MAP_BYTES_MIN: u64 = 64 * GIB;

impl LmdbOptions {
    /// Options for a store that may hold `quota_bytes`.
    ///
    /// Copy-on-write needs free pages even to delete, hence the factor.
    pub fn for_quota(quota_bytes: u64) -> Self {
        let map_bytes = quota_bytes.saturating_mul(4).max(MAP_BYTES_MIN);
        Self {
            map_bytes,
            readers_max: 4096,
            read_ahead: true,
            remote_allowed: false,
        }
    }
}

impl Default for LmdbOptions {
    fn default() -> Self {
        Self::for_quota(8 * GIB)
    }
}
