//! Reads the configuration file.

use std::path::PathBuf;

use serde_norway::Value;

use super::flags::{FLAGS, Field, FileKey, Flag, ValueError, shape};
use super::sources::{Settings, Source};

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("open {}: {}", path.display(), plain(source))]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("error converting YAML to JSON: yaml: {0}")]
    Syntax(#[from] serde_norway::Error),
    #[error("the configuration file must be a list of keys with values")]
    NoMapping,
    #[error("{key}: {source}")]
    Value { key: String, source: ValueError },
    /// A URL that is none. Printed as it stands, without a log line around it.
    #[error("unexpected error setting up {key}: {source}")]
    Url { key: String, source: ValueError },
    #[error("unexpected clusterState {0:?}")]
    ClusterState(String),
}

/// The system's words as Go shows them: in lower case and without a number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    words.to_lowercase()
}

/// Reads the text of a file into `settings`. Keys that no flag has are passed over.
pub(crate) fn read(text: &str, settings: &mut Settings) -> Result<(), Error> {
    let root: Value = serde_norway::from_str(text)?;
    if root.is_null() {
        return Ok(());
    }
    if !root.is_mapping() {
        return Err(Error::NoMapping);
    }
    for flag in FLAGS {
        let own_name = [flag.name];
        let path: &[&str] = match flag.file_key {
            FileKey::SameName => &own_name,
            FileKey::Path(path) => path,
            FileKey::None => continue,
        };
        let Some(node) = lookup(&root, path)? else {
            continue;
        };
        flag.field
            .set_from_file(&mut settings.options, node)
            .map_err(|source| refuse(flag, path, node, source))?;
        settings.given.insert(flag.name, Source::File);
    }
    Ok(())
}

/// The node at the end of a path, which has all but its last part in sections.
fn lookup<'v>(root: &'v Value, path: &[&str]) -> Result<Option<&'v Value>, Error> {
    let mut node = root;
    for (depth, key) in path.iter().enumerate() {
        if node.is_null() {
            return Ok(None);
        }
        let Some(section) = node.as_mapping() else {
            return Err(Error::Value {
                key: path[..depth].join("."),
                source: shape("a section", node),
            });
        };
        // A key in another case counts where the exact one is missing, as in Go's decoder.
        let found = section.get(*key).or_else(|| {
            section.iter().find_map(|(name, value)| {
                name.as_str()
                    .is_some_and(|name| name.eq_ignore_ascii_case(key))
                    .then_some(value)
            })
        });
        match found {
            Some(value) => node = value,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

fn refuse(flag: &Flag, path: &[&str], node: &Value, source: ValueError) -> Error {
    let key = path.join(".");
    match (flag.field, &source) {
        (Field::Word(..), ValueError::Word) => {
            Error::ClusterState(node.as_str().unwrap_or_default().to_owned())
        }
        (Field::Urls(_) | Field::Origins(_), ValueError::Url(_)) => Error::Url { key, source },
        _ => Error::Value { key, source },
    }
}

#[cfg(test)]
mod tests;
