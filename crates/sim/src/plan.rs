//! What one seed is: the size of the ensemble, its settings, and the faults with their times.

mod aimed;
mod apart;
mod changes;
mod sweep;

use oxherd_proto::ServerId;
use oxherd_zab::EnsembleConfig;

pub use self::aimed::Moment;
pub use self::changes::{Change, PlannedChange, Strike};

use self::apart::Apart;
use crate::bug::World;
use crate::dice::Dice;

/// How many different kinds of faults one seed has at most.
const FAULT_KINDS_MAX: u64 = 6;

/// Longest run that is recorded as a trace, in ms.
const TRACE_MS_MAX: u64 = 16_000;

/// Something that goes wrong, or a change of the weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The machine dies, now.
    PowerLoss,
    /// The machine dies at the disk call so many from now.
    PowerLossAtCall(u64),
    /// The machine dies after so many more outputs of the replica.
    PowerLossAtOutput(u64),
    /// The process dies; what was written can be read again.
    ProcessDies,
    /// The machine dies and its disk comes back empty.
    DiskLost,
    /// All machines die at once.
    AllDie,
    /// The read so many from now fails.
    ReadFails(u64),
    /// The write so many from now fails.
    WriteFails(u64),
    /// The sync so many from now fails.
    SyncFails(u64),
    /// The disk has room for so many more bytes, for a while.
    DiskFull(u64),
    /// The machine dies, and a bit of its files has turned when it comes back.
    BitFlip,
    /// Nothing passes from this server to another one, for so many ms.
    OneWayCut(u64),
    /// Nothing passes between this server and all others, for so many ms.
    Isolated(u64),
    /// Links between servers break; some of what was on its way is lost.
    LinksBreak,
    /// The server does nothing for so many ms, and then goes on.
    Stall(u64),
    /// The wall clock jumps by so many ms.
    ClockJump(i64),
    /// A notification of earlier comes again.
    StaleNotification,
    /// The links of clients of this server break.
    ClientsCutOff,
    /// Nothing passes between whoever leads and all others, for so many ms.
    LeaderCutOff(u64),
    /// The machine dies so many outputs after the next such moment.
    PowerLossAfter(Moment, u64),
}

/// A fault, when, and of which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Time from the start, in ms.
    pub at_ms: u64,
    /// Which server, counted from 0.
    pub server: usize,
    /// What happens.
    pub fault: Fault,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where all chance of the run comes from.
    pub seed: u64,
    /// A server alone, without an ensemble.
    pub alone: bool,
    /// Servers that vote.
    pub voters: usize,
    /// Servers that do not.
    pub observers: usize,
    /// Whether voters are in groups with weights.
    pub weighted: bool,
    /// Unit of all limits, in ms.
    pub tick_ms: u64,
    /// Txns between snapshots.
    pub snap_count: u64,
    /// Delivered txns kept for learners.
    pub commit_log: usize,
    /// Last counter of an epoch.
    pub counter_max: u32,
    /// Clients.
    pub clients: usize,
    /// Longest pause of a client between two requests, in ms.
    pub think_ms: u64,
    /// Longest way of a message, in µs.
    pub latency_us: u64,
    /// Longest turn of the log thread, in µs.
    pub sync_us: u64,
    /// Time with faults, in ms; healing comes after.
    pub duration_ms: u64,
    /// A loss of power may leave files at their length, with zeroes where bytes are missing.
    pub zeroed_tails: bool,
    /// In order of time.
    pub faults: Vec<Planned>,
    /// Servers that do not belong to the ensemble at first; with some, the ensemble changes.
    pub spares: usize,
    /// In order of time.
    pub changes: Vec<PlannedChange>,
}

impl Plan {
    /// The plan of this seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let alone = dice.chance(25);
        Self::with(seed, alone, dice)
    }

    /// The plan of this seed for a server alone, or for an ensemble.
    pub fn of_world(seed: u64, alone: bool) -> Self {
        Self::with(seed, alone, Dice::new(seed))
    }

    /// The plan of this seed in the world that shows a bug.
    pub fn showing(seed: u64, world: World) -> Self {
        match world {
            World::Alone => Self::of_world(seed, true),
            World::Ensemble => Self::of_world(seed, false),
            World::Changing => Self::of_reconfig(seed),
        }
    }

    /// Three voters, few txns, no disk that loses data: a run that the specification is held against.
    pub fn of_trace(seed: u64) -> Self {
        let mut plan = Self::with(seed, false, Dice::new(seed));
        let shrink = (3, 0, false, plan.think_ms.max(1500), plan.duration_ms.min(TRACE_MS_MAX));
        (plan.voters, plan.observers, plan.weighted, plan.think_ms, plan.duration_ms) = shrink;
        plan.clients = 2;
        let lasts = plan.duration_ms;
        plan.faults
            .retain(|each| !matches!(each.fault, Fault::DiskLost | Fault::BitFlip) && each.at_ms < lasts);
        plan
    }

    fn with(seed: u64, alone: bool, mut dice: Dice) -> Self {
        let voters = if alone { 1 } else { dice.pick(&[3, 3, 3, 3, 5, 5, 2, 4, 1, 7]).unwrap_or(3) };
        let apart = Apart::of(seed);
        let voters = apart.voters(voters);
        let observers = if alone || dice.chance(75) { 0 } else { 1 };
        let tick_ms = dice.pick(&[200, 500, 1000]).unwrap_or(500);
        let mut plan = Self {
            seed,
            alone,
            voters,
            observers,
            weighted: !alone && voters >= 5 && dice.chance(30),
            tick_ms,
            snap_count: dice.pick(&[6, 10, 20, 60]).unwrap_or(10),
            commit_log: dice.pick(&[1, 5, 5, 20]).map_or(5, |count| count),
            counter_max: if alone || dice.chance(70) {
                u32::MAX - 1
            } else {
                dice.pick(&[9, 20, 60]).unwrap_or(20)
            },
            clients: dice.pick(&[2, 3, 4]).unwrap_or(3),
            think_ms: dice.pick(&[20, 100, 400, 1500]).unwrap_or(100),
            latency_us: dice.pick(&[300, 2_000, 20_000]).unwrap_or(2_000),
            sync_us: dice.pick(&[500, 5_000, 50_000]).unwrap_or(5_000),
            duration_ms: tick_ms * dice.between(40, 160),
            zeroed_tails: apart.zeroed_tails,
            faults: Vec::new(),
            spares: 0,
            changes: Vec::new(),
        };
        plan.faults = plan.choose_faults(&mut dice);
        plan.aim();
        plan
    }

    fn choose_faults(&self, dice: &mut Dice) -> Vec<Planned> {
        let count = 1 + dice.below(FAULT_KINDS_MAX);
        let kinds: Vec<u64> = (0..count).map(|_| dice.below(18)).collect();
        let every_ms = self.tick_ms * dice.between(3, 14);
        let mut faults = Vec::new();
        let mut data_lost = false;
        let mut at_ms = dice.below(every_ms * 2);
        while at_ms < self.duration_ms {
            let server = usize::try_from(dice.below(self.servers() as u64)).unwrap_or(0);
            let kind = dice.pick(&kinds).unwrap_or(0);
            let fault = self.fault(kind, dice);
            let loses_data = matches!(fault, Fault::DiskLost | Fault::BitFlip);
            // More than one disk lost before the first is filled again may lose what was acknowledged.
            let may_lose =
                !data_lost && if self.alone { fault != Fault::DiskLost } else { self.can_do_without(server) };
            if !loses_data || may_lose {
                faults.push(Planned { at_ms, server, fault });
                data_lost |= loses_data;
            }
            at_ms += dice.between(every_ms / 4, every_ms * 2);
        }
        faults
    }

    fn fault(&self, kind: u64, dice: &mut Dice) -> Fault {
        let span_ms = self.tick_ms * dice.between(1, 16);
        match kind {
            0 => Fault::PowerLoss,
            1 | 2 => Fault::PowerLossAtCall(1 + dice.below(30)),
            3 => Fault::PowerLossAtOutput(1 + dice.below(20)),
            4 => Fault::ProcessDies,
            5 => Fault::DiskLost,
            6 => Fault::AllDie,
            7 => Fault::ReadFails(1 + dice.below(4)),
            8 => Fault::WriteFails(1 + dice.below(10)),
            9 => Fault::SyncFails(1 + dice.below(10)),
            10 => Fault::DiskFull(dice.below(200_000)),
            11 => Fault::BitFlip,
            12 => Fault::OneWayCut(span_ms),
            13 => Fault::Isolated(span_ms),
            14 => Fault::LinksBreak,
            15 => Fault::Stall(span_ms),
            16 if dice.chance(50) => Fault::ClientsCutOff,
            16 => Fault::StaleNotification,
            _ => Fault::ClockJump(i64::try_from(dice.below(7_200_000)).unwrap_or(0) - 3_600_000),
        }
    }

    /// Whether the others are a quorum; a server with an empty disk has no vote.
    fn can_do_without(&self, server: usize) -> bool {
        let others = (0..self.servers()).filter(|other| *other != server);
        self.ensemble().is_quorum(&others.map(|other| ServerId(other as i64 + 1)).collect())
    }

    /// Servers at first.
    pub fn servers(&self) -> usize {
        self.voters + self.observers
    }

    /// Shortest pause between two writes of a client once all is healed, in µs. Were an epoch's counter used up sooner than a server
    /// can learn from its leader, no observer would ever be done.
    pub fn healing_pause_us(&self) -> u64 {
        let learning_us = 20 * self.latency_us + 10 * self.sync_us;
        2 * learning_us * (self.clients as u64 + 1) / u64::from(self.counter_max)
    }

    /// Whether the ensemble changes.
    pub fn reconfigures(&self) -> bool {
        self.spares > 0
    }

    /// The membership, as a configuration says it.
    pub fn ensemble(&self) -> EnsembleConfig {
        let mut text = String::new();
        for server in 1..=self.servers() {
            let kind = if server > self.voters { "observer" } else { "participant" };
            let client = if self.reconfigures() { ";3" } else { "" };
            text += &format!("server.{server}=h{server}:1:2:{kind}{client}\n");
        }
        if self.weighted {
            let half = self.voters / 2;
            let list =
                |from: usize, to: usize| (from..=to).map(|n| n.to_string()).collect::<Vec<_>>().join(":");
            text +=
                &format!("group.1={}\ngroup.2={}\nweight.1=2\n", list(1, half), list(half + 1, self.voters));
        }
        EnsembleConfig::parse(&text).expect("the text is as the parser wants it")
    }

    /// The plan in a line.
    pub fn summary(&self) -> String {
        let kind =
            if self.alone { "alone".to_owned() } else { format!("{}+{}", self.voters, self.observers) };
        let weighted = if self.weighted { " weighted" } else { "" };
        let changes = match self.changes.len() {
            0 => String::new(),
            count => format!(" +{} spare, {count} changes,", self.spares),
        };
        format!(
            "seed {} servers {kind}{weighted}{changes} tick {} ms snapCount {} commitLog {} counterMax {} clients {} for {} ms, {} faults",
            self.seed,
            self.tick_ms,
            self.snap_count,
            self.commit_log,
            self.counter_max,
            self.clients,
            self.duration_ms,
            self.faults.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_plan_and_seeds_differ() {
        assert_eq!(Plan::of(3).faults, Plan::of(3).faults);
        assert!((0..20).any(|seed| Plan::of(seed).faults != Plan::of(3).faults));
    }

    #[test]
    fn every_size_and_every_kind_of_fault_is_planned_by_some_seed() {
        let plans: Vec<Plan> = (0..2000).map(Plan::of).collect();
        for voters in 1..=7 {
            assert!(plans.iter().any(|plan| !plan.alone && plan.voters == voters), "{voters} voters");
        }
        assert!(plans.iter().any(|plan| plan.weighted));
        assert!(plans.iter().any(|plan| plan.zeroed_tails));
        let mut kinds: Vec<_> = plans
            .iter()
            .flat_map(|plan| &plan.faults)
            .map(|each| std::mem::discriminant(&each.fault))
            .collect();
        kinds.dedup();
        let mut distinct = Vec::new();
        kinds.into_iter().for_each(|kind| {
            if !distinct.contains(&kind) {
                distinct.push(kind)
            }
        });
        assert_eq!(distinct.len(), 20);
    }

    #[test]
    fn at_most_one_disk_loses_data_in_a_run() {
        for plan in (0..500).map(Plan::of) {
            let lost =
                plan.faults.iter().filter(|each| matches!(each.fault, Fault::DiskLost | Fault::BitFlip));
            assert!(lost.count() <= 1, "{}", plan.summary());
        }
    }
}
