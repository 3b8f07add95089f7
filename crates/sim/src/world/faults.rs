//! What the plan lets go wrong.

use std::path::Path;

use oxherd_proto::{ServerId, Zxid};
use oxherd_storage::{CrashOutcome, Disk as _, Fault as DiskFault, SimDisk};

use super::{Event, World};
use crate::judge::Known;
use crate::plan::{Fault, Planned};
use crate::verdict::Check;

/// More than any run writes.
const DISK_BYTES: usize = 1 << 40;

/// The name of a fault, for reports.
pub(super) fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::PowerLoss => "power lost",
        Fault::PowerLossAtCall(_) => "power lost at a storage call",
        Fault::PowerLossAtOutput(_) => "power lost at an output",
        Fault::ProcessDies => "process killed",
        Fault::DiskLost => "disk lost",
        Fault::AllDie => "power lost everywhere",
        Fault::ReadFails(_) => "read fails",
        Fault::WriteFails(_) => "write fails",
        Fault::SyncFails(_) => "sync fails",
        Fault::DiskFull(_) => "disk full",
        Fault::BitFlip => "bit flipped",
        Fault::OneWayCut(_) => "one-way cut",
        Fault::Isolated(_) => "server cut off",
        Fault::LinksBreak => "links broken",
        Fault::Stall(_) => "server stalled",
        Fault::ClockJump(_) => "wall clock jumps",
        Fault::StaleNotification => "stale notification",
        Fault::ClientsCutOff => "clients cut off",
        Fault::LeaderCutOff(_) => "leader cut off",
        Fault::PowerLossAfter(..) => "power to be lost after a cut or an epoch",
    }
}

fn loses_data(fault: Fault) -> bool {
    matches!(fault, Fault::DiskLost | Fault::BitFlip)
}

impl World {
    /// Whether the others have what this disk has. A plan knows how many servers vote, but not how far they are.
    pub(super) fn may_lose_disk(&self, id: ServerId) -> bool {
        if self.plan.reconfigures() {
            self.can_do_without(id)
        } else {
            self.plan.alone || self.others_know(id)
        }
    }

    /// Whether a quorum of the others has learned something, once there is something to learn: one that was about to
    /// learn from this very server cannot tell its own disk from a lost one.
    fn others_know(&self, id: ServerId) -> bool {
        let last = |each: &ServerId| self.judge.known.get(each).map_or(Zxid::ZERO, Known::last);
        let all = self.ids();
        let anything = all.iter().any(|each| last(each) != Zxid::ZERO);
        let others = all.into_iter().filter(|each| *each != id && (!anything || last(each) != Zxid::ZERO));
        self.judge.ensembles.last().is_quorum(&others.collect())
    }

    pub(super) fn strike(&mut self, planned: Planned) -> Check {
        let ids = self.ids();
        let id = ids[planned.server % ids.len()];
        let fault = planned.fault;
        if !self.machine(id).on || (loses_data(fault) && !self.may_lose_disk(id)) {
            return Ok(());
        }
        self.count(fault);
        self.story.tell(self.now_us, || format!("FAULT s{id} {fault:?}"));
        match fault {
            Fault::PowerLoss => self.power_loss(id),
            Fault::PowerLossAtCall(calls) => {
                let outcome = self.outcome();
                let machine = self.machine(id);
                machine.outcome = outcome;
                machine.disk.crash_at(machine.disk.calls() + calls);
            }
            Fault::PowerLossAtOutput(outputs) => self.machine(id).outputs_left = Some(outputs),
            Fault::PowerLossAfter(moment, outputs) => self.machine(id).aimed = Some((moment, outputs)),
            Fault::ProcessDies => self.crash(id, CrashOutcome::ProcessDied),
            Fault::DiskLost => self.lose_disk(id),
            Fault::AllDie => {
                ids.into_iter()
                    .filter(|id| self.machines[id].on)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|id| self.power_loss(id));
            }
            Fault::ReadFails(calls) => self.disk_fault(id, DiskFault::Read(calls)),
            Fault::WriteFails(calls) => self.disk_fault(id, DiskFault::Write(calls)),
            Fault::SyncFails(calls) => self.disk_fault(id, DiskFault::Sync(calls)),
            Fault::DiskFull(room) => self.fill_disk(id, room),
            Fault::BitFlip => {
                let roll = self.dice.roll();
                self.crash(id, CrashOutcome::ProcessDied);
                // Behind a mark that was lost with the power, damage cannot be told from a torn end.
                if !self.machine(id).is_dark {
                    self.machine(id).flip = Some(roll);
                }
            }
            other => self.strike_links(id, other),
        }
        Ok(())
    }

    fn cut_off(&mut self, id: ServerId, ms: u64) {
        for other in self.ids().into_iter().filter(|other| *other != id) {
            self.network.cut(id, other, self.now_us + ms * 1000);
            self.network.cut(other, id, self.now_us + ms * 1000);
        }
    }

    fn strike_links(&mut self, id: ServerId, fault: Fault) {
        let others: Vec<ServerId> = self.ids().into_iter().filter(|other| *other != id).collect();
        match fault {
            Fault::OneWayCut(ms) => {
                if let Some(other) = self.dice.pick(&others) {
                    self.network.cut(id, other, self.now_us + ms * 1000);
                }
            }
            Fault::Isolated(ms) => self.cut_off(id, ms),
            Fault::LeaderCutOff(ms) => {
                let id = self.leader().unwrap_or(id);
                self.cut_off(id, ms);
            }
            Fault::LinksBreak => self.break_links(id),
            // A longer stall would let what comes now overtake what waits for the end of the first.
            Fault::Stall(ms) if self.machine(id).stalled_until_us <= self.now_us => {
                self.machine(id).stalled_until_us = self.now_us + ms * 1000;
            }
            Fault::ClockJump(ms) => self.machine(id).wall_offset_ms += ms,
            Fault::StaleNotification => self.repeat_notification(),
            Fault::ClientsCutOff => self.cut_clients_off(id),
            _ => {}
        }
    }

    fn outcome(&mut self) -> CrashOutcome {
        match self.dice.below(5) {
            0 => CrashOutcome::Lost,
            1 => CrashOutcome::Kept,
            _ if self.plan.zeroed_tails => CrashOutcome::Zeroed(self.dice.roll()),
            _ => CrashOutcome::Seeded(self.dice.roll()),
        }
    }

    pub(super) fn power_loss(&mut self, id: ServerId) {
        let outcome = self.outcome();
        self.crash(id, outcome);
    }

    fn lose_disk(&mut self, id: ServerId) {
        self.crash(id, CrashOutcome::Lost);
        self.wipe(id);
    }

    pub(super) fn wipe(&mut self, id: ServerId) {
        self.story.tell(self.now_us, || format!("s{id} gets an empty disk"));
        self.machine(id).disk = SimDisk::new();
        self.judge.wiped(id);
        if self.plan.reconfigures() {
            self.write_config(id, &self.joiners_config(id));
        }
    }

    fn disk_fault(&mut self, id: ServerId, fault: DiskFault) {
        let machine = self.machine(id);
        machine.disk.fail(fault);
        machine.excused = true;
    }

    fn fill_disk(&mut self, id: ServerId, room: u64) {
        let for_us = self.plan.tick_ms * 1000 * self.dice.between(2, 20);
        let machine = self.machine(id);
        machine.excused = true;
        machine.disk.limit_bytes(Some(DISK_BYTES));
        let free = machine.disk.free_bytes(Path::new("")).unwrap_or(0);
        let used = DISK_BYTES.saturating_sub(usize::try_from(free).unwrap_or(0));
        machine.disk.limit_bytes(Some(used + usize::try_from(room).unwrap_or(0)));
        self.at(self.now_us + for_us, Event::RoomAgain(id));
    }

    fn break_links(&mut self, id: ServerId) {
        for (pipe, lens) in self.network.pipes_of(id) {
            if self.dice.chance(60) {
                let kept = lens.map(|len| usize::try_from(self.dice.below(len as u64 + 1)).unwrap_or(0));
                let at_us = self.latency_us();
                for (link, at_us) in self.network.break_link(pipe, kept, at_us) {
                    self.at(at_us, Event::Arrival(link));
                }
            }
        }
    }
}
