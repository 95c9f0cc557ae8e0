//! The log in a data directory: begun if there is none, and read.

use std::path::Path;
use std::sync::Arc;

use ferrod_env::{Disk, RealDisk};
use ferrod_node::{ConfChange, ConfChangeKind, DurableLog, OpenedLog};
use ferrod_store::Member;
use ferrod_wal::Identity;

use crate::config::Config;
use crate::member::data_dir::DataDir;
use crate::member::heal::{OpenError, of_node};
use crate::member::join::NewMember;
use crate::member::{Error, newcomer};

pub(super) fn open_log(
    config: &Config,
    dir: &DataDir,
    new: Option<&NewMember>,
) -> Result<(DurableLog, OpenedLog), OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = log_options(config);
    if !dir.initialized {
        let new = new.ok_or_else(|| Error::Start("the log has gone while starting".to_owned()))?;
        // Who is alone has nobody to ask.
        if new.first.len() > 1 {
            let noted = newcomer::note(&config.member_dir());
            noted.map_err(|source| Error::system("note that the log is new", source))?;
        }
        create_log(new, &disk, &dir.wal, options)?;
    }
    let (log, opened) = DurableLog::open(disk, &dir.wal, options, None)
        .map_err(|source| of_node("read the log", source))?;
    if let Some(torn) = &opened.torn {
        tracing::warn!(tail = ?torn, "cut off the end of the log, which a crash had left incomplete");
    }
    let log = log
        .with_helper_thread()
        .map_err(|source| Error::system("start a thread", source))?;
    Ok((log, opened))
}

pub(in super::super) fn log_options(config: &Config) -> ferrod_wal::Options {
    ferrod_wal::Options {
        no_fsync: config.storage.no_fsync,
        ..ferrod_wal::Options::default()
    }
}

/// Every initial member writes the same first entries, so all logs of the cluster begin alike; one that joins begins with
/// none.
fn create_log(
    new: &NewMember,
    disk: &Arc<dyn Disk>,
    dir: &Path,
    options: ferrod_wal::Options,
) -> Result<(), Error> {
    let identity = Identity {
        cluster: new.cluster.0,
        member: new.local.0,
    };
    let mut changes = Vec::new();
    for member in &new.first {
        let context = Member {
            id: member.id.0,
            peer_urls: member
                .peer_urls
                .iter()
                .map(|url| url.as_str().to_owned())
                .collect(),
            ..Member::default()
        };
        let context = serde_json::to_vec(&context)
            .map_err(|source| Error::system("describe a member", source))?;
        changes.push(ConfChange {
            id: 0,
            kind: ConfChangeKind::AddVoter,
            member: member.id,
            context: context.into(),
        });
    }
    let created = DurableLog::create(disk.clone(), dir, options, identity, &changes);
    created
        .map(drop)
        .map_err(|source| Error::system("create the log", source))
}
