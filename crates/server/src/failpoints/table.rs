//! What is set at which failpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{NAMES, terms};

/// The terms of every failpoint as they were given. Cheap to clone; clones share.
#[derive(Clone)]
pub(super) struct Table(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Table {
    pub(super) fn new() -> Table {
        Table(Arc::default())
    }

    /// One line `name=terms` for each failpoint that exists.
    pub(super) fn list(&self) -> String {
        let set = self.0.lock();
        let line = |name: &&str| format!("{name}={}\n", set.get(name).map_or("", String::as_str));
        NAMES.iter().map(line).collect()
    }

    pub(super) fn get(&self, name: &str) -> Result<String, String> {
        let name = find(name)?;
        self.0.lock().get(name).cloned().ok_or(DISABLED.to_owned())
    }

    pub(super) fn set(&self, name: &str, given: &str) -> Result<(), String> {
        let name = find(name)?;
        let given = given.trim();
        fail::cfg(name, &terms::translate(given)?)?;
        self.0.lock().insert(name, given.to_owned());
        Ok(())
    }

    /// Several at once: `name=terms;name=terms`.
    pub(super) fn set_list(&self, list: &str) -> Result<(), String> {
        for part in list.split(';').filter(|part| !part.trim().is_empty()) {
            let (name, given) = part
                .split_once('=')
                .ok_or_else(|| format!("`{part}` is not of the form name=terms"))?;
            self.set(name.trim(), given)?;
        }
        Ok(())
    }

    pub(super) fn clear(&self, name: &str) -> Result<(), String> {
        let name = find(name)?;
        fail::remove(name);
        self.0
            .lock()
            .remove(name)
            .map(drop)
            .ok_or(DISABLED.to_owned())
    }
}

const DISABLED: &str = "failpoint: failpoint is disabled";

fn find(name: &str) -> Result<&'static str, String> {
    NAMES
        .iter()
        .find(|known| **known == name)
        .copied()
        .ok_or_else(|| "failpoint: failpoint does not exist".to_owned())
}
