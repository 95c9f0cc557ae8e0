//! Work on segment files that the log does not wait for: making the next one, disposing of purged
//! ones, closing the one that was left.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrod_env::{Disk, DiskFile, OpenMode};

use crate::error::io_error;
use crate::format::{DATA_OFFSET, MARKER_BYTES};
use crate::segment::Prepared;
use crate::{Error, Options, SegmentSeq};

const FILL_STEP_BYTES: u64 = 4 << 20;
const FREE_SUFFIX: &str = ".free";
const TMP_SUFFIX: &str = ".tmp";

/// One piece of work. They are done in the order of asking.
pub(crate) enum Chore {
    /// Have this segment ready before it is needed.
    Prepare(SegmentSeq),
    /// Note in a left segment, durably, that the next one is in use.
    Succeed {
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        marker: [u8; MARKER_BYTES],
        offset: u64,
    },
    /// Recycle or remove these segments, lowest first.
    Dispose(Vec<SegmentSeq>),
}

/// How a piece of work ended.
pub(crate) enum Done {
    Prepared(Prepared),
    /// The disk is full; what was begun is removed.
    NoSpace,
    Nothing,
    Failed(Error),
}

/// Makes and disposes of segment files. The only owner of `*.free` and `*.tmp` files.
pub(crate) struct Workshop {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_len: u64,
    recycled_max: usize,
    no_fsync: bool,
    /// Files ready to be reused. Their content is remains.
    free: Vec<PathBuf>,
}

impl Workshop {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path, options: &Options) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            segment_len: options.segment_len(),
            recycled_max: options.recycled_max,
            no_fsync: options.no_fsync,
            free: Vec::new(),
        }
    }

    /// Removes what a crash left half made and finds what can be reused.
    pub(crate) fn tidy(&mut self) -> Result<(), Error> {
        let names = self
            .disk
            .list(&self.dir)
            .map_err(io_error("list", &self.dir))?;
        for name in names {
            let path = self.dir.join(&name);
            if name.ends_with(TMP_SUFFIX) {
                self.unlink(&path)?;
            } else if name.ends_with(FREE_SUFFIX) {
                self.keep_free(path)?;
            }
        }
        Ok(())
    }

    pub(crate) fn carry_out(&mut self, chore: Chore) -> Done {
        let done = match chore {
            Chore::Prepare(seq) => return self.prepare_or_clean_up(seq),
            Chore::Succeed {
                file,
                path,
                marker,
                offset,
            } => self.succeed(&*file, &path, &marker, offset),
            Chore::Dispose(seqs) => self.dispose(&seqs),
        };
        match done {
            Ok(()) => Done::Nothing,
            Err(error) => Done::Failed(error),
        }
    }

    /// Makes a segment file of full length under a temporary name.
    pub(crate) fn build(&mut self, seq: SegmentSeq) -> Result<Prepared, Error> {
        let path = self.tmp_path();
        let file = self.disk.open(&path, OpenMode::CreateNew);
        let file = file.map_err(io_error("create", &path))?;
        self.fill(&*file, &path)?;
        Ok(Prepared {
            seq,
            path,
            file,
            len: self.segment_len,
            reused: false,
        })
    }

    /// Fills a file with zeros, by steps: one long flush would hold up the syncs of batches.
    fn fill(&self, file: &dyn DiskFile, path: &Path) -> Result<(), Error> {
        let mut len = 0;
        while len < self.segment_len {
            len = (len + FILL_STEP_BYTES).min(self.segment_len);
            file.allocate(len).map_err(io_error("allocate", path))?;
            self.sync_all(file, path)?;
        }
        Ok(())
    }

    /// Gives a file its final name, durably. Its content must be durable.
    fn publish(&mut self, from: &Path, seq: SegmentSeq) -> Result<PathBuf, Error> {
        let path = self.dir.join(seq.file_name());
        self.disk
            .rename(from, &path)
            .map_err(io_error("rename", from))?;
        self.sync_dir()?;
        Ok(path)
    }

    /// Removes a segment's name, keeping the file for reuse if there is a use for it.
    ///
    /// Durable before it returns: of several, the lower must never come back without the higher.
    fn dispose_one(&mut self, seq: SegmentSeq) -> Result<(), Error> {
        let path = self.dir.join(seq.file_name());
        if self.free.len() >= self.recycled_max {
            self.unlink(&path)?;
        } else {
            let free = self.dir.join(format!("{:016x}{FREE_SUFFIX}", seq.0));
            self.disk
                .rename(&path, &free)
                .map_err(io_error("rename", &path))?;
            self.free.push(free);
        }
        self.sync_dir()
    }

    /// Removes a segment that was never used, durably.
    pub(crate) fn remove(&mut self, seq: SegmentSeq) -> Result<(), Error> {
        self.unlink(&self.dir.join(seq.file_name()))?;
        self.sync_dir()
    }

    fn dispose(&mut self, seqs: &[SegmentSeq]) -> Result<(), Error> {
        seqs.iter().try_for_each(|&seq| self.dispose_one(seq))
    }

    fn prepare_or_clean_up(&mut self, seq: SegmentSeq) -> Done {
        match self.prepare(seq).map_err(|error| error.or_no_space(seq)) {
            Ok(prepared) => Done::Prepared(prepared),
            Err(Error::NoSpace { .. }) => {
                // May not be there; and `tidy` removes it at the next start at the latest.
                let _ = self.disk.unlink(&self.tmp_path());
                Done::NoSpace
            }
            Err(error) => Done::Failed(error),
        }
    }

    fn prepare(&mut self, seq: SegmentSeq) -> Result<Prepared, Error> {
        let mut prepared = match self.reuse(seq)? {
            Some(prepared) => prepared,
            None => self.build(seq)?,
        };
        prepared.path = self.publish(&prepared.path, seq)?;
        Ok(prepared)
    }

    /// Takes a free file of the right length and clears header and markers, durably: under its new
    /// name they would be those of a segment in the wrong place.
    fn reuse(&mut self, seq: SegmentSeq) -> Result<Option<Prepared>, Error> {
        while let Some(path) = self.free.pop() {
            let file = self.disk.open(&path, OpenMode::ReadWrite);
            let file = file.map_err(io_error("open", &path))?;
            if file.len().map_err(io_error("measure", &path))? != self.segment_len {
                self.unlink(&path)?;
                continue;
            }
            let cleared = file.write_all_at(&[0; DATA_OFFSET as usize], 0);
            cleared.map_err(io_error("write", &path))?;
            self.sync_all(&*file, &path)?;
            return Ok(Some(Prepared {
                seq,
                path,
                file,
                len: self.segment_len,
                reused: true,
            }));
        }
        Ok(None)
    }

    fn succeed(
        &self,
        file: &dyn DiskFile,
        path: &Path,
        marker: &[u8],
        offset: u64,
    ) -> Result<(), Error> {
        file.write_all_at(marker, offset)
            .map_err(io_error("write", path))?;
        if self.no_fsync {
            return Ok(());
        }
        file.sync_data().map_err(io_error("sync", path))
    }

    fn keep_free(&mut self, path: PathBuf) -> Result<(), Error> {
        if self.free.len() >= self.recycled_max {
            return self.unlink(&path);
        }
        self.free.push(path);
        Ok(())
    }

    fn unlink(&self, path: &Path) -> Result<(), Error> {
        self.disk.unlink(path).map_err(io_error("remove", path))
    }

    fn sync_all(&self, file: &dyn DiskFile, path: &Path) -> Result<(), Error> {
        if self.no_fsync {
            return Ok(());
        }
        file.sync_all().map_err(io_error("sync", path))
    }

    fn sync_dir(&self) -> Result<(), Error> {
        if self.no_fsync {
            return Ok(());
        }
        self.disk
            .sync_dir(&self.dir)
            .map_err(io_error("sync", &self.dir))
    }

    fn tmp_path(&self) -> PathBuf {
        self.dir.join(format!("next{TMP_SUFFIX}"))
    }
}
