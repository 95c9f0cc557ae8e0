//! A loss of power in the middle of the write that ends a commit to the backend.
//!
//! LMDB relies on that write being done wholly or not at all; it goes to the place of the commit before the one before. A killed
//! process leaves it whole, so the test mixes what was there before with what is there now, in the ways that look soundest: each
//! tree that is named is a whole one, but they are of different commits, and room that one of them uses is free for the other.
//! The member is alone, so nobody can help it but its own log.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_mvcc::backend::Lmdb;
use ferrod_proto::etcdserverpb::PutRequest;
use rustix::process::Signal;

use super::ward::block_on;
use crate::clock::poll;
use crate::member::{Member, Setup};
use crate::members::load::{Endpoints, Load, Written};
use crate::wire::Wire;

/// How long a flush may take to come; far more than it needs.
const PATIENCE: Duration = Duration::from_secs(60);
const PAGE_BYTES: usize = 4096;
/// What a meta page says, behind two headers of 40 bytes: the tree of free pages, the tree of all buckets, the last page, and
/// the number of the transaction.
const FREE_PAGES: Range<usize> = 40..88;
const BUCKETS: Range<usize> = 88..136;
const TRANSACTION: Range<usize> = 144..152;
/// Commits after the torn one, each of which uses pages that are free.
const MORE_COMMITS: u32 = 4;

/// covers: L-11, P-KV-03, P-KV-04
pub(super) fn commit(binary: &Path, folder: &Path) -> Result<()> {
    for (name, old) in [("free-pages", FREE_PAGES), ("buckets", BUCKETS)] {
        let setup = Setup::new(binary, &folder.join(name))?;
        block_on(tear(&setup, old)).with_context(|| format!("{name} of an old commit"))?;
    }
    Ok(())
}

async fn tear(setup: &Setup, old: Range<usize>) -> Result<()> {
    let (member, mut metas) = (setup.start()?, Metas::of(setup));
    let endpoints: Endpoints = Arc::new(Mutex::new(vec![setup.endpoint()]));
    let load = Load::start(endpoints, 4);
    let first = metas.look()?;
    let flushed = poll(PATIENCE, async || {
        metas
            .look()
            .is_ok_and(|newest| newest > first)
            .then_some(())
    });
    flushed.await.context("nothing was flushed")?;
    let before = load.acknowledged();
    let more = poll(PATIENCE, async || {
        (load.acknowledged() > before + 100).then_some(())
    });
    more.await.context("writes do not go on")?;
    member.kill()?;
    let written = load.finish().await?;
    metas.tear(old)?;

    let mut member = setup.start()?;
    verify(setup, &written).await?;
    for number in 0..MORE_COMMITS {
        put(setup, number).await?;
        stop(member).await?;
        member = setup.start()?;
    }
    verify(setup, &written).await?;
    stop(member).await?;
    Lmdb::check(&setup.data_dir().join("member/db")).context("what the member has made of it")?;
    let log = std::fs::read_to_string(setup.log_path())?;
    ensure!(
        log.contains("the last commit to the backend was cut off"),
        "it does not say what it found"
    );
    Ok(())
}

/// A stop in good order flushes. It waits for connections, which must be let go meanwhile.
async fn stop(member: Member) -> Result<()> {
    member.ask_to_stop()?;
    let status = tokio::task::spawn_blocking(|| member.end()).await??;
    ensure!(
        status.signal() == Some(Signal::TERM.as_raw()),
        "it ended with {status}"
    );
    Ok(())
}

async fn verify(setup: &Setup, written: &Written) -> Result<()> {
    written
        .verify(&Wire::connect(&setup.endpoint()).await?)
        .await
}

async fn put(setup: &Setup, number: u32) -> Result<()> {
    let wire = Wire::connect(&setup.endpoint()).await?;
    for n in 0..50 {
        let request = PutRequest {
            key: format!("after/{number}/{n}").into(),
            value: vec![b'x'; 500].into(),
            ..PutRequest::default()
        };
        wire.kv().put(request).await?;
    }
    Ok(())
}

/// The meta pages that were seen in a backend's file.
struct Metas {
    data: PathBuf,
    seen: BTreeMap<u64, Vec<u8>>,
}

impl Metas {
    fn of(setup: &Setup) -> Metas {
        Metas {
            data: setup.data_dir().join("member/db/1/data.mdb"),
            seen: BTreeMap::new(),
        }
    }

    /// Reads both; returns the number of the newest transaction.
    fn look(&mut self) -> Result<u64> {
        let file = std::fs::File::open(&self.data)?;
        for page in 0..2 {
            let mut bytes = vec![0; PAGE_BYTES];
            file.read_exact_at(&mut bytes, page * PAGE_BYTES as u64)?;
            let number = bytes[TRANSACTION].try_into()?;
            self.seen.insert(u64::from_ne_bytes(number), bytes);
        }
        let newest = self.seen.last_key_value();
        Ok(*newest.context("two were read")?.0)
    }

    /// Puts back a part of what the newest commit of a member that was killed has written over.
    fn tear(&mut self, old: Range<usize>) -> Result<()> {
        let newest = self.look()?;
        let before = newest.checked_sub(2).and_then(|n| self.seen.get(&n));
        let before = before.context("a commit went by without being seen")?;
        let page = newest % 2 * PAGE_BYTES as u64;
        let file = std::fs::OpenOptions::new().write(true).open(&self.data)?;
        file.write_all_at(&before[old.clone()], page + old.start as u64)?;
        Ok(())
    }
}
