//! A whole other state: filled beside the store in use, and put in its place.
//!
//! Rows come in batches and are appended to an environment of their own, so the store in use notices nothing. Nobody looks
//! for it after a power cut before it has its final name, so it is synced by a thread of its own while more rows are written.
//! The state is complete when every row was read back and file and names are durable. Installing it is one rename, which is the moment at
//! which a restart changes sides, and then one change of a pointer, which is when readers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::directory::Directory;
use super::generation::{Appends, Generation, Syncs};
use super::pages::Age;
use super::snapshot::LmdbSnapshot;
use super::verify::verify;
use super::{Lmdb, Writer};
use crate::Error;
use crate::backend::{Batch, Incoming, Prepare};

/// Who is busy with states from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Reception {
    /// Set while a state is being received.
    receiving: Arc<AtomicBool>,
    /// Installs that wait for a rewrite to give up.
    installs: AtomicUsize,
}

impl Reception {
    /// Refuses to go on with a rewrite when an install waits for it: of what is about to go nothing need be kept.
    pub(super) fn give_way(&self) -> Result<(), Error> {
        if self.installs.load(Ordering::Relaxed) > 0 {
            return Err(Error::backend(
                "defragment",
                "a received state is being installed",
            ));
        }
        Ok(())
    }

    fn begin(&self) -> Result<Slot, Error> {
        if self.receiving.swap(true, Ordering::AcqRel) {
            return Err(Error::backend("receive state", "another is being received"));
        }
        Ok(Slot(Arc::clone(&self.receiving)))
    }
}

/// The right to receive; given back when dropped.
#[derive(Debug)]
struct Slot(Arc<AtomicBool>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A state that is being received.
#[derive(Debug)]
struct Receiving {
    directory: Directory,
    number: u64,
    /// `None` once it is closed.
    target: Option<Arc<Generation>>,
    syncer: Syncer,
    scratch: Vec<u8>,
    _slot: Slot,
}

pub(super) fn begin(lmdb: &Lmdb, number: u64) -> Result<Box<dyn Incoming>, Error> {
    let slot = lmdb.reception.begin()?;
    let directory = lmdb.directory.clone();
    let path = directory.create_receiving(number)?;
    let target = Arc::new(Generation::create(&path, &lmdb.options, Syncs::OnRequest)?);
    Ok(Box::new(Receiving {
        directory,
        number,
        syncer: Syncer::start(Arc::clone(&target))?,
        target: Some(target),
        scratch: Vec::new(),
        _slot: slot,
    }))
}

impl Incoming for Receiving {
    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let Some(target) = &self.target else {
            return Err(Error::Poisoned);
        };
        let mut txn = target.write()?;
        for op in &batch.ops {
            target.apply(&mut txn, op, Appends::Strict, &mut self.scratch)?;
        }
        target.commit(txn)?;
        self.syncer.written()
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        let target = self.target.take().ok_or(Error::Poisoned)?;
        // Reading back goes on while the disk works.
        self.syncer.written()?;
        verify(&target)?;
        self.syncer.stop()?;
        target.sync()?;
        let target = Arc::into_inner(target).expect("the snapshots of the verification are gone");
        // heed knows an environment by its path, so it is closed before that changes.
        target.close()?;
        self.directory.complete_received(self.number)
    }
}

/// Syncs a state while it is being filled, so that the disk has little left to do at the end. It lags by two batches at
/// most: more would only fill the page cache.
#[derive(Debug)]
struct Syncer {
    /// `None` once it is to stop.
    requests: Option<SyncSender<()>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Syncer {
    fn start(target: Arc<Generation>) -> Result<Syncer, Error> {
        let (requests, asked) = sync_channel(1);
        let work = move || asked.iter().try_for_each(|()| target.sync());
        let thread = std::thread::Builder::new()
            .name("state-sync".to_owned())
            .spawn(work)
            .map_err(|error| Error::backend("start a thread", error))?;
        Ok(Syncer {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// More is there to be synced.
    fn written(&mut self) -> Result<(), Error> {
        let asked = self.requests.as_ref().map(|requests| requests.send(()));
        match asked {
            Some(Ok(())) => Ok(()),
            // The thread has ended before its time: by an error, which says why.
            Some(Err(_)) | None => self.stop().and(Err(Error::Poisoned)),
        }
    }

    /// Waits for what was asked for.
    fn stop(&mut self) -> Result<(), Error> {
        self.requests = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(synced)) => synced,
            Some(Err(_)) => Err(Error::backend("sync", "the thread has panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.target = None;
        // Before its directory goes. Of what is thrown away nobody need hear.
        let _ = self.syncer.stop();
        // Of a finished one nothing is left under this name. What cannot be removed goes at the next start.
        let _ = self.directory.remove_receiving(self.number);
    }
}

/// Puts a received state in the place of the one in use.
pub(super) fn install(lmdb: &Lmdb, received: u64, prepare: &mut Prepare<'_>) -> Result<(), Error> {
    lmdb.reception.installs.fetch_add(1, Ordering::Relaxed);
    let mut number = lmdb.number.lock();
    lmdb.reception.installs.fetch_sub(1, Ordering::Relaxed);
    let next = number.next();
    let mut writer = lmdb.writer.lock();
    if writer.poisoned {
        return Err(Error::Poisoned);
    }
    lmdb.directory.check_received(received)?;
    // A restart may find the new state from here on, so after an error the old one must not take another commit.
    writer.poisoned = true;
    fail::fail_point!("stateBeforeRename");
    lmdb.directory.install_received(received, next)?;
    fail::fail_point!("stateAfterRename");
    let path = lmdb.directory.path(next);
    let generation = Arc::new(Generation::open(&path, &lmdb.options, Age::Newest)?);
    let sizes = generation.sizes()?;
    prepare(&LmdbSnapshot::new(Arc::clone(&generation))?)?;
    fail::fail_point!("stateBeforePublish");
    lmdb.put_in_use(generation, sizes);
    *number = next;
    *writer = Writer::default();
    Ok(())
}
