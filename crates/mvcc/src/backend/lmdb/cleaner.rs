//! Takes old generations away, off the thread that happened to read from them last.
//!
//! Unmapping and removing a file of some gigabytes takes long enough to be felt by whoever waits for the thread.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use heed::{Env, WithoutTls};
use parking_lot::Mutex;

use super::directory::remove;

/// Closes and removes old generations; waits for that when dropped.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Cleaner {
    /// Closes `env` and then removes its directory `path`, soon.
    pub(super) fn remove(&self, env: Option<Env<WithoutTls>>, path: PathBuf) {
        let clean = move || {
            drop(env);
            // What cannot be removed now is removed at the next start.
            let _ = remove(&path);
        };
        let mut threads = self.threads.lock();
        threads.retain(|thread| !thread.is_finished());
        // Without a thread the closure is dropped, which closes the environment, and the next start removes the rest.
        threads.extend(
            thread::Builder::new()
                .name("mvcc-cleaner".into())
                .spawn(clean),
        );
    }

    /// Returns when everything asked for so far is gone.
    pub(super) fn wait(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A panic there has been reported by its thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        self.wait();
    }
}
