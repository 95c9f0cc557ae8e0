//! A disk in memory that fails as told.

mod handle;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fastrand::Rng;

use super::file_image::FileImage;
use super::names::{FileId, Names, Node};
use super::{Effect, Fault, Loss, Op, When};
use crate::{Disk, DiskFile, OpenMode};
use handle::Handle;

/// A disk in memory with two images: what readers see, and what survives a loss of power.
///
/// Every call is counted, so that a script can make any one of them fail, or kill the machine in the
/// middle of it; [`SimDisk::restart`] then decides from the seed what is left.
///
/// ```
/// use ferrod_env::sim::{Loss, SimDisk};
/// use ferrod_env::{Disk, OpenMode};
/// use std::path::Path;
/// # fn main() -> std::io::Result<()> {
/// let disk = SimDisk::new(7);
/// disk.open(Path::new("/a"), OpenMode::CreateNew)?;
/// disk.sync_dir(Path::new("/"))?;
/// disk.open(Path::new("/b"), OpenMode::CreateNew)?;
/// disk.restart(Loss::Drop);
/// assert_eq!(disk.list(Path::new("/"))?, ["a"]);
/// # Ok(())
/// # }
/// ```
pub struct SimDisk {
    state: Mutex<State>,
    /// Handles keep the disk alive.
    this: Weak<SimDisk>,
}

#[derive(Clone)]
struct State {
    names: Names,
    files: BTreeMap<FileId, FileImage>,
    next_file: FileId,
    rng: Rng,
    script: Vec<Fault>,
    calls: u64,
    /// Calls by kind, in the order of first use.
    calls_by_op: Vec<(Op, u64)>,
    capacity: Option<u64>,
    dead: bool,
    /// Handles of an earlier life are void.
    life: u64,
}

/// What the script leaves of a call.
enum Verdict {
    Go,
    Short,
    Fail(io::Error),
    Die,
}

impl SimDisk {
    /// Returns an empty disk without limits whose random choices follow from `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        Self::with_state(State {
            names: Names::default(),
            files: BTreeMap::new(),
            next_file: 0,
            rng: Rng::with_seed(seed),
            script: Vec::new(),
            calls: 0,
            calls_by_op: Vec::new(),
            capacity: None,
            dead: false,
            life: 0,
        })
    }

    /// Returns a copy that goes its own way. Open handles stay with the original.
    pub fn fork(&self) -> Arc<Self> {
        Self::with_state(self.state().clone())
    }

    /// Makes the random choices from here on follow from another seed.
    pub fn reseed(&self, seed: u64) {
        self.state().rng = Rng::with_seed(seed);
    }

    /// Adds a fault to the script.
    pub fn script(&self, when: When, effect: Effect) {
        self.state().script.push(Fault { when, effect });
    }

    /// Returns how many calls there have been.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Returns how many calls of a kind there have been.
    pub fn calls_of(&self, op: Op) -> u64 {
        let state = self.state();
        let found = state.calls_by_op.iter().find(|(kind, _)| *kind == op);
        found.map_or(0, |(_, count)| *count)
    }

    /// Whether [`Effect::Death`] has struck and nobody restarted.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Limits the sum of all lengths; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Kills whatever runs, decides what is left of unsynced things, and starts again with an empty
    /// script. Open handles fail from now on.
    pub fn restart(&self, loss: Loss) {
        let state = &mut *self.state();
        state.names.lose(loss, &mut state.rng);
        for file in state.files.values_mut() {
            file.lose(loss, &mut state.rng);
        }
        let linked: Vec<_> = state.names.files().map(|(_, id)| id).collect();
        state.files.retain(|id, _| linked.contains(id));
        state.script.clear();
        state.dead = false;
        state.life += 1;
    }

    /// Returns what readers see of a file, outside the count of calls.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn contents(&self, path: &Path) -> Vec<u8> {
        self.state().image(path).bytes.clone()
    }

    /// Damages one bit of a file, on the platter.
    ///
    /// # Panics
    /// If there is no such file or offset.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) {
        self.state().image(path).flip(offset as usize, bit);
    }

    /// Cuts a file, on the platter.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn truncate(&self, path: &Path, len: u64) {
        self.state().image(path).truncate(len as usize);
    }

    /// Returns the paths of all files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state()
            .names
            .files()
            .map(|(path, _)| path.to_owned())
            .collect()
    }

    fn with_state(state: State) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            state: Mutex::new(state),
            this: this.clone(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call on names and does it as far as the script lets it.
    fn change<T>(&self, op: Op, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let state = &mut *self.state();
        match state.admit(op) {
            Verdict::Go | Verdict::Short => act(state),
            Verdict::Fail(error) => Err(error),
            Verdict::Die => {
                // Not durable, so the restart decides whether it took place. A sync did not.
                if op != Op::SyncDir {
                    act(state)?;
                }
                Err(death())
            }
        }
    }
}

impl State {
    /// Counts a call and asks the script about it.
    fn admit(&mut self, op: Op) -> Verdict {
        if self.dead {
            return Verdict::Fail(death());
        }
        self.calls += 1;
        let calls = self.calls;
        let nth = self.count(op);
        let hit = self.script.iter().position(|fault| match fault.when {
            When::Call(number) => number == calls,
            When::Nth(kind, number) => kind == op && number == nth,
        });
        match hit.map(|at| self.script.remove(at).effect) {
            None => Verdict::Go,
            Some(Effect::Short) => Verdict::Short,
            Some(Effect::Error(kind)) => Verdict::Fail(kind.into()),
            Some(Effect::Death) => {
                self.dead = true;
                Verdict::Die
            }
        }
    }

    fn count(&mut self, op: Op) -> u64 {
        match self.calls_by_op.iter_mut().find(|(kind, _)| *kind == op) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.calls_by_op.push((op, 1));
                1
            }
        }
    }

    fn image(&mut self, path: &Path) -> &mut FileImage {
        match self.names.get(path) {
            Some(Node::File(id)) => self.files.get_mut(&id).expect("each name has its file"),
            other => panic!("{} is {other:?}, not a file", path.display()),
        }
    }

    fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<FileId> {
        match (mode, self.names.get(path)) {
            (OpenMode::CreateNew, _) => {
                let id = self.next_file;
                self.names.create(path, Node::File(id))?;
                self.next_file += 1;
                self.files.insert(id, FileImage::default());
                Ok(id)
            }
            (_, Some(Node::File(id))) => Ok(id),
            (_, Some(Node::Dir)) => Err(io::ErrorKind::IsADirectory.into()),
            (_, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Bytes that all named files may still grow by.
    fn room(&self) -> u64 {
        let sizes = self
            .names
            .files()
            .map(|(_, id)| self.files[&id].bytes.len() as u64);
        self.capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(sizes.sum()))
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let (id, life) =
            self.change(Op::Open, |state| Ok((state.open(path, mode)?, state.life)))?;
        let disk = self.this.upgrade().expect("called through an Arc");
        Ok(Arc::new(Handle::new(disk, id, life, mode)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.change(Op::List, |state| state.names.list(dir))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.change(Op::CreateDir, |state| state.names.create_dir_all(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(Op::SyncDir, |state| state.names.sync_dir(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Op::Rename, |state| state.names.rename(from, to))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.change(Op::Unlink, |state| state.names.unlink(path))
    }
}

fn death() -> io::Error {
    io::Error::other("the simulated machine is down")
}
