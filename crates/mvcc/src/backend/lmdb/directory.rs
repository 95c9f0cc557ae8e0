//! The directory of generations: `DIR/N/`, each a whole store; the highest `N` is the one in use.
//!
//! A generation is built as `DIR/N.tmp`, and renamed when everything in it is durable, so a directory with a plain
//! number is always complete. `DIR/N/FORMAT` is a line of text that names the version of the layout; it is read before
//! LMDB sees the directory, so a version that is too new is refused without a byte written. For what comes from elsewhere
//! see [`received`].

mod received;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::pages::{self, Age};
use crate::Error;

/// The file in a generation that says how the rest is to be read.
const FORMAT_FILE: &str = "FORMAT";
/// The whole content of [`FORMAT_FILE`]: ten LMDB databases named as the buckets, rows as in `row.rs`.
const FORMAT: &str = "ferrod-mvcc generation, format 1\n";
/// LMDB's own name of its data file.
const DATA_FILE: &str = "data.mdb";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Counts the rewrites of a store, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GenerationNumber(u64);

impl GenerationNumber {
    pub(super) const FIRST: Self = Self(1);

    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Only the one spelling that `Display` of a number gives.
    fn parse(name: &str) -> Option<Self> {
        let number = name.parse().ok()?;
        (format!("{number}") == name).then_some(Self(number))
    }
}

/// What went wrong with a path; between the operation and the system's own words.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
struct AtPath {
    path: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Gives an error of `operation` on `path`.
pub(super) fn at<E>(operation: &'static str, path: &Path) -> impl FnOnce(E) -> Error
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |source| {
        Error::backend(
            operation,
            AtPath {
                path: path.to_owned(),
                source: source.into(),
            },
        )
    }
}

/// The place of all generations of one store.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Creates the directory if it is missing.
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        if !root.is_dir() {
            let create = || {
                DirBuilder::new().recursive(true).mode(0o700).create(root)?;
                root.parent()
                    .filter(|parent| !parent.as_os_str().is_empty())
                    .map_or(Ok(()), sync)
            };
            create().map_err(at("create directory", root))?;
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// The directory and its generation in use, if both are there. Creates nothing.
    pub(super) fn find(root: &Path) -> Result<Option<(Self, GenerationNumber)>, Error> {
        if !fs::exists(root).map_err(at("find directory", root))? {
            return Ok(None);
        }
        let directory = Self {
            root: root.to_owned(),
        };
        Ok(directory.latest()?.map(|number| (directory, number)))
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a finished generation lies.
    pub(super) fn path(&self, number: GenerationNumber) -> PathBuf {
        self.root.join(number.0.to_string())
    }

    /// Where a generation is built.
    pub(super) fn temporary_path(&self, number: GenerationNumber) -> PathBuf {
        self.root.join(format!("{}{TEMPORARY_SUFFIX}", number.0))
    }

    /// The generation in use.
    pub(super) fn latest(&self) -> Result<Option<GenerationNumber>, Error> {
        let names = self.names()?;
        Ok(names
            .iter()
            .filter_map(|name| GenerationNumber::parse(name))
            .max())
    }

    /// Refuses a generation that is open, that this version cannot read, or that lacks files or their ends. Writes nothing.
    pub(super) fn check(&self, number: GenerationNumber) -> Result<(), Error> {
        check(&self.path(number))
    }

    /// Refuses a generation that is open or that this version cannot read, whatever its data are.
    pub(super) fn check_format(&self, number: GenerationNumber) -> Result<(), Error> {
        check_format(&self.path(number))
    }

    /// LMDB's data file of a finished generation.
    pub(super) fn data_file(&self, number: GenerationNumber) -> PathBuf {
        self.path(number).join(DATA_FILE)
    }

    /// Creates the directory in which a generation is built, empty but for its format.
    pub(super) fn create_temporary(&self, number: GenerationNumber) -> Result<PathBuf, Error> {
        let path = self.temporary_path(number);
        create(&path, &self.path(number)).map_err(at("create generation", &path))?;
        Ok(path)
    }

    /// Removes what a failed build left.
    pub(super) fn remove_temporary(&self, number: GenerationNumber) -> Result<(), Error> {
        let path = self.temporary_path(number);
        remove(&path).map_err(at("remove unfinished generation", &path))
    }

    /// Makes the names in a built generation durable: the last step before [`Directory::install`].
    pub(super) fn sync_temporary(&self, number: GenerationNumber) -> Result<(), Error> {
        let path = self.temporary_path(number);
        sync(&path).map_err(at("sync generation", &path))
    }

    /// Makes the built generation the one that the next start finds. Nothing in it may be open.
    ///
    /// After an error nobody knows which one a start would find.
    pub(super) fn install(&self, number: GenerationNumber) -> Result<(), Error> {
        let path = self.path(number);
        fs::rename(self.temporary_path(number), &path)
            .and_then(|()| sync(&self.root))
            .map_err(at("install generation", &path))
    }

    /// Removes unfinished generations, and those before `latest`. Files of other names stay.
    pub(super) fn remove_leftovers(&self, latest: GenerationNumber) -> Result<(), Error> {
        for name in self.names()? {
            let unfinished = name
                .strip_suffix(TEMPORARY_SUFFIX)
                .and_then(GenerationNumber::parse)
                .is_some();
            let unfinished = unfinished || received::is_unfinished(&name);
            let superseded = GenerationNumber::parse(&name).is_some_and(|number| number < latest);
            if unfinished || superseded {
                let path = self.root.join(name);
                remove(&path).map_err(at("remove old generation", &path))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let list = || {
            let entries = fs::read_dir(&self.root)?;
            let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
            // A name that is no text is not ours.
            Ok::<_, io::Error>(
                names
                    .collect::<io::Result<Vec<_>>>()?
                    .into_iter()
                    .flatten()
                    .collect(),
            )
        };
        list().map_err(at("list generations", &self.root))
    }
}

/// Creates a directory, empty but for its format, that is to become `last` when it is full.
fn create(path: &Path, last: &Path) -> io::Result<()> {
    // Found out after the copy, it could not be told from a rename that half happened.
    if fs::exists(last)? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    remove(path)?;
    DirBuilder::new().mode(0o700).create(path)?;
    let mut file = File::create_new(path.join(FORMAT_FILE))?;
    file.write_all(FORMAT.as_bytes())?;
    file.sync_all()
}

/// Refuses a generation that is open, that this version cannot read, or that lacks files or their ends. Writes nothing.
fn check(path: &Path) -> Result<(), Error> {
    check_format(path)?;
    // LMDB would create a missing file, and an empty store must not pass for the lost one.
    let data = path.join(DATA_FILE);
    if !pages::is_full_length(&data)? {
        // The missing pages may be free ones. If not, LMDB would find out by a signal.
        pages::check(&data, Age::Newest)?;
    }
    Ok(())
}

fn check_format(path: &Path) -> Result<(), Error> {
    let canonical = path.canonicalize().map_err(at("open generation", path))?;
    // Before any file is opened: closing a second handle of a file may drop LMDB's locks on it.
    if heed::env_closing_event(&canonical).is_some() {
        return Err(at("open generation", path)("store is already open"));
    }
    let file = path.join(FORMAT_FILE);
    let format = fs::read(&file).map_err(at("read format of generation", &file))?;
    if format != FORMAT.as_bytes() {
        let found = String::from_utf8_lossy(&format[..format.len().min(80)]).into_owned();
        let reason = format!("unknown format {found:?}, this version reads {FORMAT:?}");
        return Err(at("read format of generation", &file)(reason));
    }
    Ok(())
}

/// Removes a generation's directory, or whatever has its name; one that is already gone is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        result => result,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
