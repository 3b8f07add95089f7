//! Lives and deaths of servers, and the turns of their threads.

use std::path::Path;
use std::time::Duration;

use oxherd_proto::{ServerId, Zxid};
use oxherd_replica::{
    AuthOptions, ClientOptions, Clock, ContainerOptions, Input, LimitOptions, LocalSessionOptions,
    PrepareOptions, Recovered, Replica, ReplicaOptions, SnapshotOptions,
};
use oxherd_storage::{CrashOutcome, Layout, SimDisk, StorageError, log_files, snapshots};
use oxherd_zab::{PeerConfig, Role, StorageCommand, StorageEvent};

use super::{Event, Machine, World};
use crate::bug::Bug;
use crate::dice::mix;
use crate::host::{Effect, Host};
use crate::invariants::{acknowledged_writes, needless_stop};
use crate::lying::{Lies, LyingDisk};
use crate::membership::{self, DATA_DIR, MembershipFiles};
use crate::plan::Moment;
use crate::restore::restore;
use crate::store::{Done, LogCommand, Store};
use crate::verdict::{Breach, Check};

/// Pause before a dead server is started again, in ticks.
const DOWN_TICKS: u64 = 8;
/// Pause between two looks at a full disk, in µs.
const FULL_DISK_PAUSE_US: u64 = 200_000;
/// Timeouts come this much after their time at least, as a clock's grain has it, in µs.
const TIMER_GRAIN_US: u64 = 500;

impl Machine {
    pub(super) fn new(on: bool) -> Self {
        Self {
            disk: SimDisk::new(),
            host: None,
            on,
            life: 0,
            stalled_until_us: 0,
            wall_offset_ms: 0,
            log_busy: false,
            timer_us: u64::MAX,
            outputs_left: None,
            outcome: CrashOutcome::Lost,
            flip: None,
            flipped: None,
            is_dark: false,
            aimed: None,
            excused: false,
        }
    }

    pub(super) fn role_text(&self) -> String {
        self.host
            .as_ref()
            .map_or_else(|| "dead".to_owned(), |host| format!("{:?} at {}", host.role, host.tree.last_zxid()))
    }
}

fn layout() -> Layout {
    Layout::new(Path::new(DATA_DIR), None)
}

impl World {
    // ---- life and death

    pub(super) fn start(&mut self, id: ServerId) -> Check {
        if self.machine(id).host.is_some() || !self.machine(id).on {
            return Ok(());
        }
        self.turn_bit(id);
        let disk = LyingDisk::new(self.machine(id).disk.clone(), Lies::of(self.bug));
        match self.open(id, &disk) {
            Ok(host) => {
                let machine = self.machine(id);
                machine.host = Some(host);
                machine.is_dark = false;
                machine.life += 1;
                machine.log_busy = false;
                machine.timer_us = u64::MAX;
                self.story.tell(self.now_us, || format!("s{id} starts"));
                self.turn(id, vec![Input::Timeout])
            }
            Err(Unfit::Files(error)) => self.refused(id, &error),
            Err(Unfit::Breach(breach)) => Err(breach),
        }
    }

    fn open(&mut self, id: ServerId, disk: &LyingDisk) -> Result<Host, Unfit> {
        let member = (!self.plan.alone).then_some(self.plan.commit_log);
        let restored = restore(disk, &layout(), member)?;
        let snapshot = restored.recovery.snapshot.as_ref().map_or(Zxid::ZERO, |file| file.zxid);
        let epochs = (restored.durable.accepted_epoch, restored.durable.current_epoch);
        self.story.tell(self.now_us, || {
            let (last, txns) = (restored.recovery.last_zxid, restored.txns.len());
            format!(
                "s{id} reads snapshot {snapshot} and {txns} txns, last {last}, epochs {} {}",
                epochs.0, epochs.1
            )
        });
        let mut store = Store::open(disk.clone(), layout(), self.bug)?;
        self.recorder.started(id, restored.recovery.last_zxid, epochs.0, epochs.1);
        self.judge.recovered(id, snapshot, &restored.txns, epochs)?;
        let now = self.now_of(id);
        let recovered = Recovered {
            sessions: restored.sessions,
            last_zxid: restored.recovery.last_zxid,
            txns_since_snapshot: restored.recovery.txns,
        };
        let options = self.replica_options(id);
        let replica = if self.plan.alone {
            Replica::standalone(options, &recovered, now)
        } else {
            let mut config = self.peer_config(id);
            if self.plan.reconfigures() {
                let kept = membership::read(disk)?;
                store.membership = Some(MembershipFiles::new(disk.clone(), id, &kept, self.bug));
                (config.ensemble, config.ensemble_seen, config.reconfig) = (kept.active, kept.seen, true);
            }
            Replica::member(options, config, restored.durable, &recovered, now)
        };
        Ok(Host::new(
            replica,
            restored.tree,
            store,
            disk.clone(),
            layout(),
            (self.client_options(), Clock::new(now.instant)),
        ))
    }

    /// A server refuses to start: with reason, or not.
    fn refused(&mut self, id: ServerId, error: &StorageError) -> Check {
        self.story.tell(self.now_us, || format!("s{id} does not start: {error}"));
        if self.machine(id).disk.is_crashed() {
            self.crash_at_call(id);
            return Ok(());
        }
        let damaged = self.judge.of(id).damaged;
        let passing = matches!(error, StorageError::Io { .. });
        if passing {
            needless_stop::check(id, self.machine(id).excused, &error.to_string())?;
        } else if damaged && !self.plan.alone {
            // The operator empties the directories; the server learns everything again.
            self.wipe(id);
        } else if damaged {
            return self.put_back(id, error);
        } else {
            return Err(acknowledged_writes::unreadable(id, &error.to_string()));
        }
        self.start_later(id);
        Ok(())
    }

    /// A server alone was right to refuse; the operator puts the turned bit back.
    fn put_back(&mut self, id: ServerId, error: &StorageError) -> Check {
        if self.turn_back(id) {
            self.start_later(id);
            return Ok(());
        }
        Err(acknowledged_writes::unreadable(id, &error.to_string()))
    }

    fn turn_back(&mut self, id: ServerId) -> bool {
        let Some((path, offset, bit)) = self.machine(id).flipped.take() else { return false };
        self.story.tell(self.now_us, || format!("the bit at {offset} of {} turns back", path.display()));
        self.machine(id).disk.flip_bit(&path, offset, bit).unwrap_or(());
        self.machine(id).flip = None;
        self.judge.of(id).damaged = false;
        true
    }

    fn turn_bit(&mut self, id: ServerId) {
        // Since the fault was planned, an ensemble may have come that cannot do without this disk.
        if self.judge.of(id).damaged || !self.may_lose_disk(id) {
            return;
        }
        if let Some(roll) = self.machine(id).flip.take() {
            self.flip_bit(id, roll);
            self.judge.of(id).damaged = true;
        }
    }

    fn flip_bit(&mut self, id: ServerId, roll: u64) {
        let disk = self.machine(id).disk.clone();
        // Looked for in a copy: the machine may be about to die at a storage call, and this is none of its own.
        let copy = disk.after_crash(CrashOutcome::ProcessDied);
        let mut paths = Vec::new();
        let dir = layout().log_dir;
        paths.extend(log_files(&copy, &dir).unwrap_or_default().into_iter().map(|file| file.path));
        paths.extend(snapshots(&copy, &dir).unwrap_or_default().into_iter().map(|file| file.path));
        let Some(path) = paths.get(usize::try_from(roll % paths.len().max(1) as u64).unwrap_or(0)) else {
            return;
        };
        let bytes = disk.read_file(path).unwrap_or_default();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
        let offset = usize::try_from(mix(roll) % (used + 1)).unwrap_or(0);
        let bit = u8::try_from(roll % 8).unwrap_or(0);
        self.story.tell(self.now_us, || format!("a bit turns at {offset} of {}", path.display()));
        disk.flip_bit(path, offset, bit).unwrap_or(());
        self.machine(id).flipped = Some((path.clone(), offset, bit));
    }

    pub(super) fn crash(&mut self, id: ServerId, outcome: CrashOutcome) {
        self.story.tell(self.now_us, || format!("s{id} dies, {outcome:?}"));
        if outcome != CrashOutcome::ProcessDied {
            self.goes_dark(id);
        }
        if self.machine(id).host.is_some() {
            self.recorder.crashed(id);
        }
        self.judge.reigns(id, None).unwrap_or(());
        let machine = self.machine(id);
        let store = machine.host.take().map(|host| host.store);
        let rewriting = store.as_ref().is_some_and(Store::rewrites);
        machine.disk = machine.disk.after_crash(outcome);
        machine.outputs_left = None;
        self.judge.of(id).rewriting |= rewriting;
        if let Some(zxid) = store.and_then(|store| store.cuts_behind()) {
            self.judge.died_in_cut(id, zxid);
        }
        self.network.abandon(id);
        self.part_from_all(id);
        self.part_from_clients(id);
        self.start_later(id);
    }

    /// Behind a mark that goes with the power, damage cannot be told from a torn end (`storage`, `durable.rs`), and a
    /// server alone has nobody to learn from. So it does not meet both.
    fn goes_dark(&mut self, id: ServerId) {
        self.machine(id).is_dark = true;
        if !self.judge.of(id).damaged {
            self.machine(id).flip = None;
        } else if self.plan.alone {
            self.turn_back(id);
        }
    }

    fn start_later(&mut self, id: ServerId) {
        let pause = self.plan.tick_ms * 1000 * self.dice.between(1, DOWN_TICKS * 10) / 10;
        self.at(self.now_us + pause, Event::Start(id));
    }

    fn crash_at_call(&mut self, id: ServerId) {
        let outcome = self.machine(id).outcome;
        self.crash(id, outcome);
    }

    // ---- turns

    /// One turn of a server's replica with these inputs, and what comes of it.
    pub(super) fn turn(&mut self, id: ServerId, inputs: Vec<Input>) -> Check {
        let now = self.now_of(id);
        let mut effects = Vec::new();
        if let Some(host) = &mut self.machine(id).host {
            host.turn(now, inputs, &mut effects);
        }
        self.carry_out(id, effects)
    }

    pub(super) fn carry_out(&mut self, id: ServerId, effects: Vec<Effect>) -> Check {
        self.look_at_tree(id)?;
        for effect in effects {
            if self.machine(id).host.is_none() {
                return Ok(());
            }
            self.count_output(id);
            if let Some(left) = self.machine(id).outputs_left {
                if left == 0 {
                    self.power_loss(id);
                    return Ok(());
                }
                self.machine(id).outputs_left = Some(left - 1);
            }
            self.effect(id, effect)?;
        }
        self.set_timer(id);
        Ok(())
    }

    fn look_at_tree(&mut self, id: ServerId) -> Check {
        let Some(host) = &self.machine(id).host else { return Ok(()) };
        let (zxid, digest, serves) = (host.tree.last_zxid(), host.tree.digest(), host.is_serving());
        if serves {
            self.recorder.shows(id, zxid);
        }
        self.judge.tree(id, zxid, digest, serves)
    }

    fn effect(&mut self, id: ServerId, effect: Effect) -> Check {
        match effect {
            Effect::Storage(command) => self.command(id, command),
            Effect::Peer(output) => self.peer_output(id, output),
            Effect::Body(link, body) => {
                self.network.fill_tree(link, body);
                Ok(())
            }
            Effect::Role(role) => self.role(id, role),
            Effect::Snapshot => self.begin_snapshot(id),
            Effect::Halt(reason) => self.halt(id, &reason),
            Effect::ToClient(client, bytes) => {
                self.send_to_client(client, bytes);
                Ok(())
            }
            Effect::CloseClient(client) => {
                self.close_client(client);
                Ok(())
            }
        }
    }

    fn command(&mut self, id: ServerId, command: StorageCommand) -> Check {
        self.story.tell(self.now_us, || match &command {
            StorageCommand::Append { zxid, .. } => format!("s{id} disk append {zxid}"),
            other => format!("s{id} disk {other:?}"),
        });
        self.recorder.commanded(id, &command);
        if let StorageCommand::Append { zxid, payload } = &command {
            self.judge.appended(id, *zxid, payload, self.now_us)?;
        }
        if let StorageCommand::StoreCurrentEpoch(_) = &command {
            self.judge.storing_epoch(id);
        }
        if let Some(host) = &mut self.machine(id).host {
            host.store.queue.push_back(LogCommand::Storage(command));
        }
        self.wake_log(id);
        Ok(())
    }

    fn role(&mut self, id: ServerId, role: Role) -> Check {
        self.story.tell(self.now_us, || format!("s{id} is {role:?}"));
        self.recorder.role(id, role);
        self.judge.role(id, role)?;
        self.look_at_reign(id)?;
        let mut done = Vec::new();
        if let Role::Looking = role
            && let Some(host) = &mut self.machine(id).host
        {
            host.store.role_changed(&mut done);
        }
        self.digest(id, done)?;
        if let Role::Stopped { failed } = role {
            return self.halt(id, &format!("stopped, failed: {failed}"));
        }
        Ok(())
    }

    fn halt(&mut self, id: ServerId, reason: &str) -> Check {
        self.story.tell(self.now_us, || format!("s{id} halts: {reason}"));
        if self.plan.alone && reason.contains("zxid counter") {
            return Ok(());
        }
        // A start does not read files that its snapshot makes needless, a cut may have to.
        let meets_damage =
            self.judge.of(id).damaged && !self.plan.alone && reason.contains("is damaged at byte");
        needless_stop::check(id, meets_damage || self.machine(id).excused, reason)?;
        // A disk that failed is not trusted with what it says it wrote: the machine is switched off.
        self.power_loss(id);
        if meets_damage {
            self.wipe(id);
        }
        Ok(())
    }

    // ---- the log thread

    pub(super) fn wake_log(&mut self, id: ServerId) {
        let machine = self.machine(id);
        let Some(host) = machine.host.as_ref().filter(|host| host.store.can_work()) else { return };
        if machine.log_busy {
            return;
        }
        let full = host.store.is_full();
        let life = machine.life;
        machine.log_busy = true;
        let pause_us = if full { FULL_DISK_PAUSE_US } else { 20 + self.dice.below(self.plan.sync_us) };
        self.at(self.now_us + pause_us, Event::LogTurn(id, life));
    }

    pub(super) fn log_turn(&mut self, id: ServerId) -> Check {
        let mut done = Vec::new();
        let machine = self.machine(id);
        machine.log_busy = false;
        let Some(host) = &mut machine.host else { return Ok(()) };
        let result = host.store.turn(&mut done);
        if machine.disk.is_crashed() {
            // What is durable is so, whether anybody heard of it or not.
            self.note_durable(id, &done)?;
            self.crash_at_call(id);
            return Ok(());
        }
        self.digest(id, done)?;
        if let Err(error) = result {
            self.story.tell(self.now_us, || format!("s{id} disk failed: {error}"));
            self.turn(id, vec![Input::Storage(StorageEvent::Failed(error.to_string()))])?;
        }
        self.wake_log(id);
        Ok(())
    }

    fn note_durable(&mut self, id: ServerId, done: &[Done]) -> Check {
        for each in done {
            match each {
                Done::Durable(txns) => self.judge.synced(id, txns),
                Done::Event(event) => self.note_event(id, event)?,
                Done::Tree(..) | Done::Room(_) => {}
            }
        }
        Ok(())
    }

    fn note_event(&mut self, id: ServerId, event: &StorageEvent) -> Check {
        match event {
            StorageEvent::AcceptedEpochStored(epoch) => self.judge.of(id).accepted = *epoch,
            StorageEvent::CurrentEpochStored(epoch) => self.judge.epoch_stored(id, *epoch)?,
            StorageEvent::Truncated(zxid) => self.judge.cut(id, *zxid)?,
            StorageEvent::SnapshotInstalled(zxid) => self.judge.installed(id, *zxid),
            _ => {}
        }
        self.aim(id, event);
        Ok(())
    }

    /// Power is lost some outputs later when this was the moment aimed at.
    fn aim(&mut self, id: ServerId, event: &StorageEvent) {
        let moment = match event {
            StorageEvent::Truncated(_) => Moment::Cut,
            StorageEvent::CurrentEpochStored(_) => Moment::Epoch,
            _ => return,
        };
        let machine = self.machine(id);
        if let Some((_, outputs)) = machine.aimed.take_if(|(aimed, _)| *aimed == moment) {
            machine.outputs_left = Some(outputs);
        }
    }

    /// Tells the replica what storage has done.
    fn digest(&mut self, id: ServerId, done: Vec<Done>) -> Check {
        for each in done {
            match each {
                Done::Durable(txns) => self.judge.synced(id, &txns),
                Done::Room(room) => self.turn(id, vec![Input::Room(room)])?,
                Done::Tree(tree, sessions) => {
                    let now = self.now_of(id);
                    let zxid = tree.last_zxid();
                    if let Some(host) = &mut self.machine(id).host {
                        host.replace_tree(*tree, &sessions, now);
                    }
                    self.judge.rebuilt(id, zxid);
                }
                Done::Event(event) => {
                    self.story.tell(self.now_us, || match &event {
                        StorageEvent::LogRead { txns, .. } => {
                            format!("s{id} disk has read {:?} txns", txns.as_ref().map(Vec::len))
                        }
                        other => format!("s{id} disk has {other:?}"),
                    });
                    self.recorder.stored(id, &event);
                    self.note_event(id, &event)?;
                    self.turn(id, vec![Input::Storage(event)])?;
                }
            }
        }
        Ok(())
    }

    // ---- snapshots

    fn begin_snapshot(&mut self, id: ServerId) -> Check {
        let machine = self.machine(id);
        let life = machine.life;
        let Some(host) = &mut machine.host else { return Ok(()) };
        if host.begin_snapshot() {
            host.store.queue.push_back(LogCommand::Roll);
            self.at(self.now_us + 100, Event::SnapshotTurn(id, life));
        }
        if self.machine(id).disk.is_crashed() {
            self.crash_at_call(id);
            return Ok(());
        }
        self.wake_log(id);
        self.turn(id, vec![Input::SnapshotBegun])
    }

    pub(super) fn snapshot_turn(&mut self, id: ServerId) -> Check {
        let pause_us = 100 + self.dice.below(self.plan.sync_us);
        let machine = self.machine(id);
        let life = machine.life;
        let Some(host) = &mut machine.host else { return Ok(()) };
        let result = host.continue_snapshot();
        let more = host.writes_snapshot();
        if machine.disk.is_crashed() {
            self.crash_at_call(id);
            return Ok(());
        }
        match result {
            Ok(Some(zxid)) => self.story.tell(self.now_us, || format!("s{id} has a snapshot of {zxid}")),
            Ok(None) => {}
            Err(error) => self.story.tell(self.now_us, || format!("s{id} gives up a snapshot: {error}")),
        }
        if more {
            self.at(self.now_us + pause_us, Event::SnapshotTurn(id, life));
        }
        Ok(())
    }

    // ---- time

    fn set_timer(&mut self, id: ServerId) {
        if self.bug == Some(Bug::NoExpiry) {
            return;
        }
        let now = self.now_of(id).instant;
        let now_us = self.now_us;
        let machine = self.machine(id);
        let Some(at) = machine.host.as_ref().and_then(|host| host.replica.poll_timeout()) else { return };
        let wait_us = u64::try_from(at.saturating_duration_since(now).as_micros()).unwrap_or(u64::MAX / 2);
        let at_us = now_us + wait_us + TIMER_GRAIN_US;
        if machine.timer_us <= at_us && machine.timer_us > now_us {
            return;
        }
        machine.timer_us = at_us;
        let life = machine.life;
        self.at(at_us, Event::Timer(id, life));
    }

    pub(super) fn timer(&mut self, id: ServerId) -> Check {
        let now = self.now_of(id).instant;
        let machine = self.machine(id);
        machine.timer_us = u64::MAX;
        let due =
            machine.host.as_ref().and_then(|host| host.replica.poll_timeout()).is_some_and(|at| at <= now);
        if due { self.turn(id, vec![Input::Timeout]) } else { self.carry_out(id, Vec::new()) }
    }

    // ---- settings

    fn replica_options(&self, id: ServerId) -> ReplicaOptions {
        ReplicaOptions {
            server: id,
            tick_ms: self.plan.tick_ms,
            prepare: PrepareOptions {
                skip_acl: self.plan.reconfigures(),
                reconfig: self.plan.reconfigures(),
                standalone_enabled: !self.plan.reconfigures(),
                ..PrepareOptions::default()
            },
            snapshot: SnapshotOptions { txns: self.plan.snap_count, bytes: None },
            local_sessions: LocalSessionOptions::default(),
            containers: ContainerOptions {
                check_interval_ms: 60_000,
                per_minute_max: 10_000,
                never_used_ms_max: 0,
            },
            seed: mix(self.plan.seed ^ id.0.unsigned_abs()),
        }
    }

    pub(super) fn client_options(&self) -> ClientOptions {
        let tick_ms = i32::try_from(self.plan.tick_ms).unwrap_or(i32::MAX);
        ClientOptions {
            frame_len_max: oxherd_proto::MAX_BUFFER_DEFAULT,
            session_timeout_ms_min: tick_ms * 2,
            session_timeout_ms_max: tick_ms * 20,
            outstanding_limit: 1000,
            audit: None,
            limits: LimitOptions::default(),
            skip_acl: self.plan.reconfigures(),
            auth: AuthOptions::default(),
        }
    }

    fn peer_config(&self, id: ServerId) -> PeerConfig {
        let mut config = PeerConfig::new(id, self.plan.ensemble());
        config.tick = Duration::from_millis(self.plan.tick_ms);
        config.commit_log_count = self.plan.commit_log;
        config.counter_max = self.plan.counter_max;
        config.notify_again_max = Duration::from_millis(self.plan.tick_ms * 8);
        config.seed = mix(self.plan.seed ^ id.0.unsigned_abs());
        config
    }
}

/// Why a server does not start.
enum Unfit {
    Files(StorageError),
    Breach(Breach),
}

impl From<StorageError> for Unfit {
    fn from(error: StorageError) -> Self {
        Self::Files(error)
    }
}

impl From<Breach> for Unfit {
    fn from(breach: Breach) -> Self {
        Self::Breach(breach)
    }
}
