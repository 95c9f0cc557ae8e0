//! What a damaged member can find out about its cluster without any help.

use std::path::Path;

use ferrod_env::RealDisk;
use ferrod_mvcc::backend::{Lmdb, LmdbOptions};
use ferrod_node::{ConfChangeKind, Dump, HEALING_VOTERS_MIN, Term};
use ferrod_store::Member;
use ferrod_wal::Identity;

use crate::config::{Config, MemberUrl};
use crate::member::data_dir::DataDir;

/// Whether there are so many voters, as far as anything on this disk or in the flags tells, that a quorum can do without
/// this one.
pub(super) fn has_peers(config: &Config, dir: &DataDir, backend_is_whole: bool) -> bool {
    let known = Known::gather(config, dir, backend_is_whole);
    known
        .voters
        .is_some_and(|voters| voters >= HEALING_VOTERS_MIN)
}

/// What this member can find out about its cluster without any help.
pub(super) struct Known {
    /// Whose log it is, if that can be told.
    pub(super) identity: Option<Identity>,
    pub(super) voters: Option<usize>,
    /// The highest term in what can be read of the log.
    pub(super) term: Term,
    /// Where other members may be reached.
    pub(super) urls: Vec<MemberUrl>,
}

impl Known {
    pub(super) fn gather(config: &Config, dir: &DataDir, backend_is_whole: bool) -> Known {
        let dump = ferrod_node::dump(&RealDisk, &dir.wal);
        let identity = ferrod_wal::identify(&RealDisk, &dir.wal).ok().flatten();
        let mut members = Vec::new();
        let mut voters = None;
        // LMDB believes what its file says, so the file is judged as a whole before.
        if backend_is_whole && dir.backend.exists() && Lmdb::check(&dir.backend).is_ok() {
            members = stored_members(&dir.backend);
            voters = Some(members.iter().filter(|m| !m.is_learner).count());
        }
        let initial = config.initial_cluster().ok();
        let voters = voters
            .filter(|voters| *voters > 0)
            .or_else(|| dump.configuration().map(|conf| conf.voters.len()))
            .or_else(|| initial.as_ref().map(|initial| initial.members.len()));
        members.extend(logged_members(&dump));
        let local = identity.map(|identity| identity.member);
        let others = members.iter().filter(|member| Some(member.id) != local);
        let urls = others.flat_map(|member| &member.peer_urls);
        let mut urls: Vec<_> = urls.filter_map(|url| MemberUrl::parse(url).ok()).collect();
        for member in initial.iter().flat_map(|initial| &initial.members) {
            if initial.as_ref().is_some_and(|i| i.local != member.id) {
                urls.extend(member.peer_urls.iter().cloned());
            }
        }
        urls.sort();
        urls.dedup();
        let hard_state = dump.log.hard_state();
        let last = dump.log.entries().last().map(|entry| entry.term);
        Known {
            identity,
            voters,
            term: hard_state.term.max(last.unwrap_or_default()),
            urls,
        }
    }
}

/// The members in a backend whose file is sound.
fn stored_members(path: &Path) -> Vec<Member> {
    let stored = Lmdb::open(path, LmdbOptions::for_quota(0))
        .map_err(ferrod_store::Error::Storage)
        .and_then(|lmdb| ferrod_store::stored_members(&lmdb));
    stored
        .map(|members| members.present.into_values().collect())
        .unwrap_or_default()
}

/// The members that the changes in the log name.
fn logged_members(dump: &Dump) -> Vec<Member> {
    let changes = dump.log.entries().iter().filter_map(|entry| entry.change());
    let told = changes.filter(|change| change.kind != ConfChangeKind::Remove);
    told.filter_map(|change| serde_json::from_slice(&change.context).ok())
        .collect()
}
