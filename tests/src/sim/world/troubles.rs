//! Troubles, and how they end.

use std::time::Duration;

use ferrod_env::sim::{Effect, Loss, Op, When};
use ferrod_mvcc::backend::BrokenCommit;
use ferrod_node::{MemberId, Role};

use super::{Event, Judged, World};
use crate::sim::plan::{Trouble, bad_links};

/// The end of a trouble.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cure {
    /// Every member reaches every other one.
    Network,
}

impl World {
    pub(super) fn trouble(&mut self) -> Judged {
        if !self.troubled {
            return Ok(());
        }
        let kinds = &self.plan.troubles;
        let trouble = kinds[self.rng.usize(0..kinds.len())];
        let id = self.any_host();
        self.counts.troubles += 1;
        self.trace.note(self.now, [14, trouble as u64, id], || {
            format!("trouble: {trouble:?}, {id}")
        });
        self.cause(trouble, id);
        let next = self.draw_around(self.plan.trouble_every);
        self.plan_at(next, Event::Trouble);
        Ok(())
    }

    fn any_host(&mut self) -> u64 {
        let ids: Vec<u64> = self.hosts.keys().copied().collect();
        ids[self.rng.usize(0..ids.len())]
    }

    fn any_loss(&mut self) -> Loss {
        [Loss::Drop, Loss::Keep, Loss::Subset, Loss::Torn][self.rng.usize(0..4)]
    }

    fn cause(&mut self, trouble: Trouble, id: u64) {
        let loss = self.any_loss();
        match trouble {
            Trouble::Kill => self.kill(id, Loss::Process),
            Trouble::PowerLoss => self.kill(id, loss),
            Trouble::PowerLossInCall => self.doom(id, loss),
            Trouble::PowerLossOfAll => {
                for id in self.hosts.keys().copied().collect::<Vec<_>>() {
                    let loss = self.any_loss();
                    self.kill(id, loss);
                }
            }
            Trouble::Pause => {
                let longest = if self.rng.u8(0..4) == 0 { 8_000 } else { 1_500 };
                let until = self.draw(20, longest).min(self.plan.troubles_last);
                if let Some(host) = self.hosts.get_mut(&id) {
                    host.paused_until = host.paused_until.max(until);
                }
            }
            Trouble::Partition => self.partition(),
            Trouble::OneWay => self.one_way(id),
            Trouble::BrokenLink => {
                let other = self.any_host();
                self.network.cut(id, other);
                self.network.cut(other, id);
                self.cure_network();
            }
            Trouble::Clog => {
                let other = self.any_host();
                let until = self.draw(100, 5_000);
                self.network.clog(id, other, until);
                self.cure_network();
            }
            Trouble::BadNetwork => {
                let links = bad_links(&mut self.rng, &self.plan.links);
                self.network.set_usual(links);
                self.cure_network();
            }
            Trouble::DiskStall => self.stall(id),
            Trouble::DiskError => self.break_disk(id),
            Trouble::CommitError => self.break_commit(id),
            Trouble::Drift => self.drift(),
            Trouble::Transfer => self.transfer(id),
            Trouble::Damage => {
                self.damage(id, loss);
                // Disks of one make fail at about the same time.
                if self.rng.u8(0..4) > 0 {
                    let (other, loss) = (self.any_host(), self.any_loss());
                    self.damage(other, loss);
                }
            }
        }
    }

    pub(super) fn kill(&mut self, id: u64, loss: Loss) {
        if self.hosts[&id].is_up() {
            self.stop(id, loss);
        }
    }

    /// Power is lost in the middle of a call on the disk that is yet to come.
    fn doom(&mut self, id: u64, loss: Loss) {
        let ahead = self.rng.u64(1..20);
        if let Some(host) = self.hosts.get_mut(&id).filter(|host| host.is_up()) {
            let call = host.disk.calls() + ahead;
            host.disk.script(When::Call(call), Effect::Death);
            host.doom = Some(loss);
        }
    }

    fn partition(&mut self) {
        let ids: Vec<u64> = self.hosts.keys().copied().collect();
        let sides: Vec<bool> = ids.iter().map(|_| self.rng.bool()).collect();
        for (a, side) in ids.iter().zip(&sides) {
            for (b, other) in ids.iter().zip(&sides) {
                if side != other {
                    self.network.cut(*a, *b);
                }
            }
        }
        self.cure_network();
    }

    fn one_way(&mut self, id: u64) {
        let deaf = self.rng.bool();
        for other in self.hosts.keys().copied().filter(|other| *other != id) {
            if deaf {
                self.network.cut(other, id);
            } else {
                self.network.cut(id, other);
            }
        }
        self.cure_network();
    }

    fn cure_network(&mut self) {
        self.cures.push(Cure::Network);
        let at = self.draw(100, 6_000);
        self.plan_at(at, Event::Cure(self.cures.len() - 1));
    }

    pub(super) fn cure(&mut self, number: usize) -> Judged {
        let cure = self.cures[number];
        self.trace.note(self.now, [15, number as u64, 0], || {
            format!("cure: {cure:?}")
        });
        match cure {
            Cure::Network => {
                self.network.heal();
                self.network.set_usual(self.plan.links.clone());
            }
        }
        Ok(())
    }

    fn stall(&mut self, id: u64) {
        let longest = if self.rng.u8(0..4) == 0 {
            10_000
        } else {
            2_000
        };
        let (from, until) = (self.now, self.draw(50, longest));
        if let Some(host) = self.hosts.get_mut(&id) {
            host.pace.stall(from, until);
        }
    }

    fn break_disk(&mut self, id: u64) {
        let op =
            [Op::Write, Op::SyncData, Op::SyncData, Op::Open, Op::Rename][self.rng.usize(0..5)];
        let effect = if op == Op::Write && self.rng.bool() {
            Effect::Short
        } else {
            Effect::Error(std::io::ErrorKind::Other)
        };
        if let Some(host) = self.hosts.get_mut(&id).filter(|host| host.is_up()) {
            let next = host.disk.calls_of(op) + 1;
            host.disk.script(When::Nth(op, next), effect);
            host.may_fail = true;
        }
    }

    fn break_commit(&mut self, id: u64) {
        let how = if self.rng.bool() {
            BrokenCommit::Lost
        } else {
            BrokenCommit::Kept
        };
        if let Some(host) = self.hosts.get_mut(&id).filter(|host| host.is_up()) {
            host.backend.break_next_commit(how);
            host.may_fail = true;
        }
    }

    fn drift(&mut self) {
        let most = self.plan.drift_ppm_max;
        let wall = self.rng.i64(-100_000_000..100_000_000);
        for host in self.hosts.values_mut() {
            host.clock.set_gain(self.rng.i32(-most..=most));
            host.clock.set_wall_ahead(wall);
        }
    }

    fn transfer(&mut self, target: u64) {
        let leader = self.hosts.values().find(|host| {
            host.running
                .as_ref()
                .is_some_and(|process| process.executor.handle().status().soft.role == Role::Leader)
        });
        let Some(id) = leader.map(|host| host.id) else {
            return;
        };
        if let Some(process) = self.running(id) {
            let handle = process.executor.handle();
            handle.transfer_leader(MemberId(target));
            let now = self.now;
            self.wake_node(id, now);
        }
    }

    /// A write that a stall held up is done as if there were none. The event that it waited for finds nothing to do, or does
    /// a later write before its time, which is as good.
    fn hasten_write(&mut self, id: u64) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        if host
            .running
            .as_ref()
            .is_some_and(|process| process.writer_due)
        {
            let done = host.pace.done_at(now, &mut self.rng);
            self.plan_for(id, done, Event::Writer(id));
        }
    }

    /// Everything is well from now on.
    pub(super) fn end_troubles(&mut self) {
        self.troubled = false;
        self.network.heal();
        self.network.set_usual(self.plan.links.clone());
        let soon = self.now + Duration::from_millis(500);
        for id in self.hosts.keys().copied().collect::<Vec<_>>() {
            if let Some(host) = self.hosts.get_mut(&id) {
                host.pace.recover();
                host.clock.set_gain(0);
            }
            if !self.hosts[&id].is_up() {
                self.plan_for(id, soon, Event::Restart(id));
            }
            self.hasten_write(id);
            // Whatever stood still goes on.
            let now = self.now;
            self.wake_node(id, now);
        }
    }
}
