//! An open file of the simulated disk.

use std::io;
use std::sync::Arc;

use super::{SimDisk, State, Verdict, death};
use crate::sim::Op;
use crate::sim::file_image::FileImage;
use crate::sim::names::FileId;
use crate::{DiskFile, OpenMode};

/// An open file. Void after a restart.
pub(super) struct Handle {
    disk: Arc<SimDisk>,
    id: FileId,
    life: u64,
    mode: OpenMode,
}

impl Handle {
    pub(super) fn new(disk: Arc<SimDisk>, id: FileId, life: u64, mode: OpenMode) -> Self {
        Self {
            disk,
            id,
            life,
            mode,
        }
    }

    /// Counts a call and gives `act` the state and the script's verdict on it.
    fn call<T>(
        &self,
        op: Op,
        act: impl FnOnce(&mut State, Verdict) -> io::Result<T>,
    ) -> io::Result<T> {
        let state = &mut *self.disk.state();
        if state.life != self.life {
            return Err(death());
        }
        let verdict = state.admit(op);
        act(state, verdict)
    }

    fn sync(&self, op: Op) -> io::Result<()> {
        self.call(op, |state, verdict| {
            let file = state.files.get_mut(&self.id).ok_or_else(death)?;
            match verdict {
                Verdict::Go | Verdict::Short => {
                    file.sync();
                    Ok(())
                }
                Verdict::Fail(error) if state.dead => Err(error),
                Verdict::Fail(error) => {
                    file.sync_badly(&mut state.rng);
                    Err(error)
                }
                // What it covered is still unsynced, so the restart decides.
                Verdict::Die => Err(death()),
            }
        })
    }

    fn change_length_or_bytes(
        &self,
        op: Op,
        end: u64,
        act: impl FnOnce(&mut FileImage, bool, u64) -> usize,
    ) -> io::Result<usize> {
        if self.mode == OpenMode::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.call(op, |state, verdict| {
            let short = match verdict {
                Verdict::Fail(error) => return Err(error),
                Verdict::Short => true,
                Verdict::Go | Verdict::Die => false,
            };
            let room = state.room();
            let dead = state.dead;
            let file = state.files.get_mut(&self.id).ok_or_else(death)?;
            let end_max = (file.bytes.len() as u64).saturating_add(room).min(end);
            let done = act(file, short, end_max);
            match (dead, end_max < end && done == 0) {
                (true, _) => Err(death()),
                (false, true) => Err(io::ErrorKind::StorageFull.into()),
                (false, false) => Ok(done),
            }
        })
    }
}

impl DiskFile for Handle {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call(Op::Read, |state, verdict| {
            let bytes = &state.files.get(&self.id).ok_or_else(death)?.bytes;
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let whole = rest.len().min(buf.len());
            let count = match verdict {
                Verdict::Go => whole,
                Verdict::Short => whole.div_ceil(2),
                Verdict::Fail(error) => return Err(error),
                Verdict::Die => return Err(death()),
            };
            buf[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let end = offset.saturating_add(buf.len() as u64);
        self.change_length_or_bytes(Op::Write, end, |file, short, end_max| {
            let room = end_max.saturating_sub(offset) as usize;
            let whole = buf.len().min(room);
            let count = if short { whole.div_ceil(2) } else { whole };
            file.write(&buf[..count], offset as usize);
            count
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.call(Op::Len, |state, verdict| match verdict {
            Verdict::Go | Verdict::Short => {
                Ok(state.files.get(&self.id).ok_or_else(death)?.bytes.len() as u64)
            }
            Verdict::Fail(error) => Err(error),
            Verdict::Die => Err(death()),
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let complete = |file: &mut FileImage, _, end_max: u64| {
            file.extend(end_max as usize);
            usize::from(end_max == len)
        };
        self.change_length_or_bytes(Op::Allocate, len, complete)
            .map(|_| ())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(Op::SyncData)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(Op::SyncAll)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.call(Op::DropCache, |state, verdict| match verdict {
            Verdict::Go | Verdict::Short => {
                state
                    .files
                    .get_mut(&self.id)
                    .ok_or_else(death)?
                    .drop_cache();
                Ok(())
            }
            Verdict::Fail(error) => Err(error),
            Verdict::Die => Err(death()),
        })
    }
}
