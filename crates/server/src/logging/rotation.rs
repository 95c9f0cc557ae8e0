//! A log file that is set aside when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};
use serde::Deserialize;

use super::output::open_append;
use super::timestamp::file_timestamp;

/// When a log file is set aside, and which of those are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Rotation {
    /// Size in MB at which a file is full; 0 means 100.
    pub maxsize: u32,
    /// Days for which a file is kept; 0 keeps it for ever.
    pub maxage: u32,
    /// How many files are kept; 0 keeps all.
    pub maxbackups: u32,
    /// Whether names carry local time instead of UTC.
    pub localtime: bool,
    /// Whether files that were set aside are compressed.
    pub compress: bool,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation {
            maxsize: 100,
            maxage: 0,
            maxbackups: 0,
            localtime: false,
            compress: false,
        }
    }
}

impl Rotation {
    fn bytes_max(&self) -> u64 {
        let megabytes = if self.maxsize == 0 { 100 } else { self.maxsize };
        u64::from(megabytes) << 20
    }
}

/// A file under rotation.
#[derive(Debug)]
pub(crate) struct RotatedFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    len: u64,
}

impl RotatedFile {
    pub(crate) fn open(path: &Path, rotation: Rotation) -> io::Result<RotatedFile> {
        let file = open_append(path)?;
        let len = file.metadata()?.len();
        Ok(RotatedFile {
            path: path.to_owned(),
            rotation,
            file,
            len,
        })
    }

    /// Appends a line. `now` names the old file if this one has to be set aside first.
    pub(crate) fn write(&mut self, line: &[u8], now: &Zoned) -> io::Result<()> {
        let line_len = line.len() as u64;
        if self.len > 0 && self.len + line_len > self.rotation.bytes_max() {
            self.rotate(now)?;
        }
        self.file.write_all(line)?;
        self.len += line_len;
        Ok(())
    }

    fn rotate(&mut self, now: &Zoned) -> io::Result<()> {
        let aside = aside_path(&self.path, &self.rotation, now);
        fs::rename(&self.path, aside)?;
        self.file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        self.len = 0;
        let (path, rotation, now) = (self.path.clone(), self.rotation, now.clone());
        // Compressing a hundred megabytes takes seconds, for which lines must not wait.
        std::thread::Builder::new()
            .name("log-archive".to_owned())
            .spawn(move || tidy(&path, &rotation, &now))?;
        Ok(())
    }
}

/// `name-TIME.ext` beside `name.ext`.
fn aside_path(path: &Path, rotation: &Rotation, now: &Zoned) -> PathBuf {
    let time = if rotation.localtime {
        file_timestamp(now)
    } else {
        file_timestamp(&now.with_time_zone(TimeZone::UTC))
    };
    let (stem, extension) = name_parts(path);
    path.with_file_name(format!("{stem}-{time}{extension}"))
}

/// The name without its extension, and the extension with its dot.
fn name_parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let extension = match path.extension() {
        Some(extension) => format!(".{}", extension.to_string_lossy()),
        None => String::new(),
    };
    (text(path.file_stem()), extension)
}

/// Removes what is too old or too many, and compresses the rest. Problems are left for next time:
/// there is no log to tell them to.
fn tidy(path: &Path, rotation: &Rotation, now: &Zoned) {
    let Ok(mut files) = files_aside(path) else {
        return;
    };
    // Names carry the time, so the newest is the last.
    files.sort();
    files.reverse();
    let kept = if rotation.maxbackups == 0 {
        files.len()
    } else {
        files.len().min(rotation.maxbackups as usize)
    };
    for file in files.drain(kept..) {
        let _ = fs::remove_file(file);
    }
    for file in files {
        if is_too_old(&file, rotation, now) {
            let _ = fs::remove_file(file);
        } else if rotation.compress && file.extension().is_none_or(|ext| ext != "gz") {
            let _ = compress(&file);
        }
    }
}

fn files_aside(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (stem, extension) = name_parts(path);
    let prefix = format!("{stem}-");
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        let time = plain
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(&extension));
        if time.is_some_and(is_file_timestamp) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Whether a text has the shape of [`file_timestamp`]; anything else is somebody else's file.
fn is_file_timestamp(text: &str) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd-dd-dd.ddd";
    text.len() == SHAPE.len()
        && text.bytes().zip(SHAPE).all(|(byte, &shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

fn is_too_old(file: &Path, rotation: &Rotation, now: &Zoned) -> bool {
    if rotation.maxage == 0 {
        return false;
    }
    let age_max = SignedDuration::from_hours(24 * i64::from(rotation.maxage));
    let Some(oldest) = now.checked_sub(age_max).ok() else {
        return false;
    };
    let modified = fs::metadata(file).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| time < std::time::SystemTime::from(oldest.timestamp()))
}

fn compress(file: &Path) -> io::Result<()> {
    let mut target = file.as_os_str().to_owned();
    target.push(".gz");
    let mut encoder = GzEncoder::new(File::create(&target)?, Compression::default());
    io::copy(&mut File::open(file)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::remove_file(file)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Zoned {
        Timestamp::from_second(1_700_000_000 + second)
            .unwrap()
            .to_zoned(TimeZone::UTC)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_is_set_aside_under_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ferrod.log");
        let rotation = Rotation {
            maxsize: 1,
            ..Rotation::default()
        };
        let mut file = RotatedFile::open(&path, rotation).unwrap();
        let line = vec![b'x'; 600 << 10];
        file.write(&line, &at(0)).unwrap();
        file.write(&line, &at(1)).unwrap();
        file.write(b"y\n", &at(2)).unwrap();
        assert_eq!(
            names(folder.path()),
            ["ferrod-2023-11-14T22-13-21.000.log", "ferrod.log"]
        );
        assert_eq!(fs::metadata(&path).unwrap().len(), (600 << 10) + 2);
        drop(file);
        let again = RotatedFile::open(&path, rotation).unwrap();
        assert_eq!(again.len, (600 << 10) + 2);
    }

    #[test]
    fn tidying_keeps_the_newest_and_leaves_foreign_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        for name in ["a.log", "a-x.log", "a-2023-11-14T22-13-21.000.log.bak"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        for second in 0..4 {
            let aside = aside_path(&path, &Rotation::default(), &at(second));
            fs::write(aside, "old\n").unwrap();
        }
        let rotation = Rotation {
            maxbackups: 2,
            compress: true,
            ..Rotation::default()
        };
        tidy(&path, &rotation, &at(9));
        assert_eq!(
            names(folder.path()),
            [
                "a-2023-11-14T22-13-21.000.log.bak",
                "a-2023-11-14T22-13-22.000.log.gz",
                "a-2023-11-14T22-13-23.000.log.gz",
                "a-x.log",
                "a.log",
            ]
        );
        let age = Rotation {
            maxage: 1,
            ..Rotation::default()
        };
        let far = Zoned::now()
            .checked_add(SignedDuration::from_hours(48))
            .unwrap();
        tidy(&path, &age, &far);
        assert_eq!(names(folder.path()).len(), 3);
    }
}
