//! Disks that give back something else than what was written.
//!
//! Only so many members may have forgotten something at once as the others can do without.

use std::path::PathBuf;
use std::sync::Arc;

use ferrod_env::Disk;
use ferrod_env::sim::Loss;
use ferrod_mvcc::backend::Memory;
use ferrod_node::{Dump, HEALING_VOTERS_MIN};

use super::World;
use crate::sim::host::{Damage, Host};
use crate::sim::process;

impl World {
    /// Kills a member, and damages what it has on disk.
    pub(super) fn damage(&mut self, id: u64, loss: Loss) {
        if !self.hosts[&id].is_up() || !self.can_do_without(id) {
            return;
        }
        let damage = match self.rng.u8(0..6) {
            // It reads a row that is not what it wrote, and leaves a mark.
            0 => {
                self.kill(id, Loss::Process);
                Some(Damage::Found)
            }
            1 => {
                self.kill(id, loss);
                self.lose_backend(id)
            }
            _ => {
                self.kill(id, loss);
                self.damage_log(id)
            }
        };
        self.trace.note(self.now, [19, id, 0], || {
            format!("the disk of {id} is damaged: {damage:?}")
        });
        self.counts.damages += u64::from(damage.is_some());
        if let Some(host) = self.hosts.get_mut(&id) {
            host.damage = damage;
            if damage.is_some() {
                host.owes = self.truth.committed();
            }
        }
    }

    /// Whether the others are enough to heal this one and whoever else has forgotten something.
    fn can_do_without(&self, id: u64) -> bool {
        let voters = self.voters_at_least();
        let others = self.hosts.values().filter(|host| host.id != id);
        let doubted = others.filter(|host| host.is_doubted()).count();
        voters >= HEALING_VOTERS_MIN && doubted < (voters - 1) / 2
    }

    /// All that was applied is gone. The log may still have it from the beginning.
    fn lose_backend(&mut self, id: u64) -> Option<Damage> {
        let host = self.hosts.get_mut(&id)?;
        host.backend = Arc::new(Memory::new());
        Some(Damage::Possible)
    }

    /// A bit of the log is flipped, or a segment is cut or gone. What no start could find is undone: a batch that nothing
    /// proves yet counts as torn.
    fn damage_log(&mut self, id: u64) -> Option<Damage> {
        let host = &self.hosts[&id];
        let whole = host.disk.fork();
        let before = dump(host);
        let files = host.disk.files();
        let files: Vec<&PathBuf> = files
            .iter()
            .filter(|file| file.starts_with(&host.wal_dir))
            .collect();
        let file = *files.get(self.rng.usize(0..files.len().max(1)))?;
        let bytes = host.disk.contents(file);
        let used = bytes.iter().rposition(|byte| *byte != 0)? as u64;
        let offset = self.rng.u64(0..=used);
        match self.rng.u8(0..8) {
            0 => host.disk.truncate(file, offset),
            1 => {
                let unlinked = host.disk.unlink(file);
                let synced = unlinked.and_then(|()| host.disk.sync_dir(&host.wal_dir));
                synced.expect("nothing fails on a disk that nobody uses");
            }
            _ => host.disk.flip_bit(file, offset, self.rng.u8(0..8)),
        }
        let after = dump(host);
        let applied = process::applied_on(&host.backend);
        let is_found = after.damage.is_some() || after.log.last().0 < applied;
        // A log that does not even say whose it is cannot be healed by anybody.
        if is_found && is_named(host) {
            return Some(Damage::Certain);
        }
        let is_harmless = !is_found && before.log == after.log;
        if !is_harmless && let Some(host) = self.hosts.get_mut(&id) {
            host.disk = whole;
        }
        None
    }
}

fn is_named(host: &Host) -> bool {
    let identity = ferrod_wal::identify(&*host.disk, &host.wal_dir);
    identity.is_ok_and(|identity| identity.is_some_and(|identity| identity.member == host.id))
}

fn dump(host: &Host) -> Dump {
    ferrod_node::dump(&*host.disk, &host.wal_dir)
}
