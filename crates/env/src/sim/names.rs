//! Names as readers see them, and as they are on the platter.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::Loss;

/// The number of a file, which keeps it apart from its names.
pub(super) type FileId = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(FileId),
}

/// All names, and what was done to them since their directories were synced. Each change is atomic,
/// and changes of one directory may reach the disk in any order.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    seen: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Create(PathBuf, Node),
    /// Which file it is was settled when the call was made, whatever becomes of earlier changes.
    Rename(PathBuf, PathBuf, Node),
    Unlink(PathBuf),
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        if is_root(path) {
            return Some(Node::Dir);
        }
        self.seen.get(path).copied()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, FileId)> {
        self.seen.iter().filter_map(|(path, node)| match node {
            Node::File(id) => Some((path.as_path(), *id)),
            Node::Dir => None,
        })
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.expect_dir(dir)?;
        let inside = self.seen.keys().filter(|path| parent(path) == dir);
        let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
        Ok(inside.filter_map(name).collect())
    }

    pub(super) fn create(&mut self, path: &Path, node: Node) -> io::Result<()> {
        self.expect_dir(parent(path))?;
        if self.get(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(Change::Create(path.into(), node));
        Ok(())
    }

    pub(super) fn create_dir_all(&mut self, dir: &Path) -> io::Result<()> {
        if self.get(dir) == Some(Node::Dir) {
            return Ok(());
        }
        self.create_dir_all(parent(dir))?;
        self.create(dir, Node::Dir)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if parent(from) != parent(to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let node = self.expect_file(from)?;
        self.change(Change::Rename(from.into(), to.into(), node));
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        self.expect_file(path)?;
        self.change(Change::Unlink(path.into()));
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.expect_dir(dir)?;
        let (here, elsewhere) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|change: &Change| parent(change.path()) == dir);
        self.changes = elsewhere;
        here.iter()
            .for_each(|change| change.apply(&mut self.durable));
        Ok(())
    }

    /// Power is lost.
    pub(super) fn lose(&mut self, loss: Loss, rng: &mut Rng) {
        if loss == Loss::Process {
            return;
        }
        for change in std::mem::take(&mut self.changes) {
            let kept = match loss {
                Loss::Process | Loss::Keep => true,
                Loss::Drop => false,
                Loss::Subset | Loss::Torn => rng.bool(),
            };
            if kept {
                change.apply(&mut self.durable);
            }
        }
        self.drop_orphans();
        self.seen.clone_from(&self.durable);
    }

    /// A directory that was never made durable takes its content along.
    fn drop_orphans(&mut self) {
        let all = self.durable.clone();
        let has_parents = |path: &PathBuf| {
            let mut above = path.ancestors().skip(1);
            above.all(|dir| is_root(dir) || all.get(dir) == Some(&Node::Dir))
        };
        self.durable.retain(|path, _| has_parents(path));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.changes.push(change);
    }

    fn expect_dir(&self, dir: &Path) -> io::Result<()> {
        match self.get(dir) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn expect_file(&self, path: &Path) -> io::Result<Node> {
        match self.get(path) {
            Some(node @ Node::File(_)) => Ok(node),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Self::Create(path, _) | Self::Rename(path, ..) | Self::Unlink(path) => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Create(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Rename(from, to, node) => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn is_root(path: &Path) -> bool {
    path.parent().is_none() || path == Path::new(".")
}
