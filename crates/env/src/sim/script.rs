//! What goes wrong, and when.

use std::io;

/// The kinds of call that a disk takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the methods of Disk and DiskFile")]
pub enum Op {
    Open,
    List,
    CreateDir,
    SyncDir,
    Rename,
    Unlink,
    Read,
    Write,
    Len,
    Allocate,
    SyncData,
    SyncAll,
    DropCache,
}

/// Which call a fault hits. Counting starts at 1, with the first call on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The call with this number, whatever it is.
    Call(u64),
    /// The call of this kind with this number among its kind.
    Nth(Op, u64),
}

/// What a fault does to the call it hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The call fails. A sync that fails leaves what it covered half done and, as on Linux,
    /// believed to be clean: the next sync succeeds without doing it.
    Error(io::ErrorKind),
    /// A read or write does about half; other calls are unharmed.
    Short,
    /// The machine or process dies: this call may or may not have taken place, and each one after
    /// it fails until [`SimDisk::restart`](super::SimDisk::restart).
    Death,
}

/// One thing that goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which call.
    pub when: When,
    /// What happens.
    pub effect: Effect,
}

/// What becomes of unsynced bytes and names at a restart. Synced ones always stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The process died, not the machine: all stay, and stay unsynced.
    Process,
    /// Power was lost, and everything unsynced with it.
    Drop,
    /// Power was lost, just after everything was written.
    Keep,
    /// Power was lost, and of each sector one of the states since its last sync is kept, at random;
    /// of names and lengths likewise.
    Subset,
    /// As `Subset`, and sectors may be half new, half old.
    Torn,
}
