//! Machines, links and clients in virtual time. One agenda, one source of chance, no clock.

mod clients;
mod faults;
mod machines;
mod operator;
mod peers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxherd_proto::{ServerId, Zxid};
use oxherd_replica::Now;
use oxherd_storage::{CrashOutcome, SimDisk};
use oxherd_tree::ClientId;
use oxherd_zab::LinkId;

use crate::bug::Bug;
use crate::client::Client;
use crate::dice::Dice;
use crate::host::Host;
use crate::invariants::convergence;
use crate::judge::Judge;
use crate::network::Network;
use crate::plan::{Fault, Moment, Plan};
use crate::story::Story;
use crate::trace::Recorder;
use crate::verdict::Check;
use crate::world::operator::Operator;

/// Ticks within which healed servers must agree and serve.
const HEALING_TICKS: u64 = 600;
/// Most events of a run; more, and something runs hot.
const EVENTS_MAX: u64 = 3_000_000;
/// Wall clock at the start of every run, ms since 1970.
const START_UNIX_MS: i64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Event {
    /// Something may have arrived at this end of a link.
    Arrival(LinkId),
    /// The log thread's turn, in this life of the server.
    LogTurn(ServerId, u64),
    /// The snapshot thread's turn.
    SnapshotTurn(ServerId, u64),
    /// A timeout of the replica.
    Timer(ServerId, u64),
    /// A dead server starts.
    Start(ServerId),
    /// A dial has failed.
    DialFailed(ServerId, u64, oxherd_zab::LinkKind),
    /// A planned fault, by place in the plan.
    Fault(usize),
    /// A planned change of the ensemble, by place in the plan.
    Change(usize),
    /// Power is lost everywhere.
    AllDie,
    /// A server that left is switched off.
    SwitchOff(ServerId),
    /// The disk has room again.
    RoomAgain(ServerId),
    /// A client thinks of something.
    Think(usize),
    /// Bytes arrive at a server.
    ToServer(ClientId, Bytes),
    /// Bytes arrive at a client.
    ToClient(ClientId, Bytes),
    /// The server sees the end of a client's link.
    GoneAtServer(ClientId),
    /// The client sees the end of its link.
    GoneAtClient(ClientId),
    /// A server forgets a link that it closed.
    Forget(ServerId, ClientId),
}

/// A computer with a disk; a server lives on it or does not.
struct Machine {
    disk: SimDisk,
    host: Option<Host>,
    /// Whether it may run: spares do not before they join.
    on: bool,
    /// Lives so far.
    life: u64,
    stalled_until_us: u64,
    wall_offset_ms: i64,
    log_busy: bool,
    timer_us: u64,
    /// Outputs until it dies.
    outputs_left: Option<u64>,
    /// After which moment it is to die, and how many outputs later.
    aimed: Option<(Moment, u64)>,
    /// What a power loss at a planned call leaves.
    outcome: CrashOutcome,
    /// A bit is to turn before the next start.
    flip: Option<u64>,
    /// The bit that turned: where, and which.
    flipped: Option<(PathBuf, usize, u8)>,
    /// The power was lost since it last ran.
    is_dark: bool,
    /// Its disk was made to fail; it may end.
    excused: bool,
}

/// The link of a client.
struct ClientLink {
    client: usize,
    server: ServerId,
    to_server_us: u64,
    to_client_us: u64,
    open: bool,
}

/// What a run did, for reports.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Virtual time, in µs.
    pub virtual_us: u64,
    /// Events.
    pub events: u64,
    /// Txns committed.
    pub committed: u64,
    /// Writes acknowledged to clients.
    pub acknowledged: u64,
    /// Outputs of the replicas, a server each.
    pub outputs: Vec<u64>,
    /// Faults that took place, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// A number that changes with anything that happened.
    pub fingerprint: u64,
}

/// One run.
pub struct World {
    plan: Plan,
    bug: Option<Bug>,
    dice: Dice,
    now_us: u64,
    base: Instant,
    agenda: BTreeMap<(u64, u64), Event>,
    order: u64,
    machines: BTreeMap<ServerId, Machine>,
    network: Network,
    clients: Vec<Client>,
    links: BTreeMap<u32, ClientLink>,
    judge: Judge,
    operator: Operator,
    healing: bool,
    quiet: bool,
    last_notes: BTreeMap<(ServerId, ServerId), Bytes>,
    held_ack: BTreeMap<LinkId, oxherd_proto::QuorumPacket>,
    dropped: BTreeMap<LinkId, Zxid>,
    /// What happened.
    pub story: Story,
    /// The same, as the specification reads it; of three voters only.
    pub recorder: Recorder,
    /// What it amounted to.
    pub tally: Tally,
}

impl World {
    /// A run that has not begun.
    pub fn new(plan: Plan, bug: Option<Bug>, story: Story) -> Self {
        let ensemble = plan.ensemble();
        let all = (1..=plan.servers() + plan.spares).map(|number| ServerId(number as i64));
        let machines = all.map(|id| (id, Machine::new(ensemble.members.contains_key(&id)))).collect();
        let clients = (0..plan.clients + usize::from(plan.reconfigures())).map(Client::new).collect();
        Self {
            judge: Judge::new(ensemble, plan.alone),
            dice: Dice::new(plan.seed ^ 0x0005_eed0_f1fe),
            bug,
            now_us: 0,
            base: Instant::now(),
            agenda: BTreeMap::new(),
            order: 0,
            machines,
            network: Network::default(),
            clients,
            links: BTreeMap::new(),
            operator: Operator::default(),
            healing: false,
            quiet: false,
            last_notes: BTreeMap::new(),
            held_ack: BTreeMap::new(),
            dropped: BTreeMap::new(),
            story,
            recorder: Recorder::default(),
            tally: Tally { outputs: vec![0; plan.servers() + plan.spares], ..Tally::default() },
            plan,
        }
    }

    /// Runs to the end; the first invariant that does not hold ends it.
    pub fn run(&mut self) -> Check {
        let result = self.run_all();
        self.tally.virtual_us = self.now_us;
        self.tally.committed = self.judge.history.len() as u64;
        self.tally.acknowledged = self.clients.iter().map(|client| client.acknowledged).sum();
        let digest = self
            .judge
            .history
            .iter()
            .fold(self.tally.events, |sum, (_, print)| crate::dice::mix(sum ^ print));
        self.tally.fingerprint = digest ^ self.now_us;
        result
    }

    fn run_all(&mut self) -> Check {
        for id in self.plan.ensemble().members.into_keys() {
            if self.plan.reconfigures() {
                self.write_config(id, &self.plan.ensemble());
            }
            self.start(id)?;
        }
        for client in 0..self.clients.len() {
            self.at(1000 * (1 + client as u64), Event::Think(client));
        }
        for (at, planned) in self.plan.faults.clone().iter().enumerate() {
            self.at(planned.at_ms * 1000, Event::Fault(at));
        }
        for (at, planned) in self.plan.changes.clone().iter().enumerate() {
            self.at(planned.at_ms * 1000, Event::Change(at));
        }
        self.run_until(self.plan.duration_ms * 1000)?;
        self.heal()?;
        self.converge()?;
        self.fall_silent()
    }

    fn run_until(&mut self, until_us: u64) -> Check {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= until_us) {
            let ((at_us, _), event) = entry.remove_entry();
            self.now_us = self.now_us.max(at_us);
            self.tally.events += 1;
            if self.tally.events > EVENTS_MAX {
                return Err(convergence::runs_hot(self.tally.events));
            }
            self.happen(event)?;
        }
        self.now_us = until_us;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Check {
        if let Some(until_us) = self.stalled(&event) {
            self.at(until_us, event);
            return Ok(());
        }
        match event {
            Event::Arrival(link) => self.arrival(link),
            Event::LogTurn(id, life) if self.is_alive(id, life) => self.log_turn(id),
            Event::SnapshotTurn(id, life) if self.is_alive(id, life) => self.snapshot_turn(id),
            Event::Timer(id, life) if self.is_alive(id, life) => self.timer(id),
            Event::DialFailed(id, life, kind) if self.is_alive(id, life) => self.dial_failed(id, kind),
            Event::Start(id) => self.start(id),
            Event::Fault(at) => {
                let planned = self.plan.faults[at];
                self.strike(planned)
            }
            Event::Change(at) => {
                let planned = self.plan.changes[at];
                self.want(planned)
            }
            Event::AllDie => {
                let on: Vec<ServerId> = self.ids().into_iter().filter(|id| self.machine(*id).on).collect();
                on.into_iter().for_each(|id| self.power_loss(id));
                Ok(())
            }
            Event::SwitchOff(id) => {
                self.switch_off(id);
                Ok(())
            }
            Event::RoomAgain(id) => {
                self.machine(id).disk.limit_bytes(None);
                Ok(())
            }
            Event::Think(client) => self.think(client),
            Event::ToServer(link, bytes) => self.client_bytes(link, &bytes),
            Event::ToClient(link, bytes) => self.answer(link, &bytes),
            Event::GoneAtServer(link) => self.gone_at_server(link),
            Event::GoneAtClient(link) => {
                self.gone_at_client(link);
                Ok(())
            }
            Event::Forget(id, link) => self.forget_link(id, link),
            Event::LogTurn(..) | Event::SnapshotTurn(..) | Event::Timer(..) | Event::DialFailed(..) => Ok(()),
        }
    }

    /// When a stalled server will see this, if it is for one.
    fn stalled(&self, event: &Event) -> Option<u64> {
        let id = match event {
            Event::LogTurn(id, _)
            | Event::SnapshotTurn(id, _)
            | Event::Timer(id, _)
            | Event::DialFailed(id, ..) => *id,
            Event::Arrival(link) => self.network.owner(*link)?,
            Event::ToServer(link, _) | Event::GoneAtServer(link) => self.links.get(&link.0)?.server,
            _ => return None,
        };
        let until_us = self.machines.get(&id)?.stalled_until_us;
        (until_us > self.now_us).then_some(until_us)
    }

    // ---- the end

    fn heal(&mut self) -> Check {
        self.healing = true;
        self.story.tell(self.now_us, || "everything heals".to_owned());
        self.network.heal();
        self.agenda.retain(|_, event| {
            !matches!(event, Event::Fault(_) | Event::Change(_) | Event::SwitchOff(_) | Event::AllDie)
        });
        self.operator = Operator::default();
        for id in self.ids() {
            let machine = self.machine(id);
            machine.outputs_left = None;
            machine.disk.limit_bytes(None);
            machine.disk.crash_at(u64::MAX);
            if machine.host.is_none() && machine.on {
                self.start(id)?;
            }
        }
        Ok(())
    }

    fn converge(&mut self) -> Check {
        let step_us = self.plan.tick_ms * 1000;
        let acknowledged: Vec<u64> = self.clients.iter().map(|client| client.acknowledged).collect();
        for _ in 0..HEALING_TICKS {
            self.run_until(self.now_us + step_us)?;
            let served =
                self.clients.iter().zip(&acknowledged).all(|(client, before)| client.acknowledged > *before);
            if served && self.all_serve() {
                return Ok(());
            }
        }
        let roles: Vec<(ServerId, String)> =
            self.machines.iter().map(|(id, machine)| (*id, machine.role_text())).collect();
        Err(convergence::never_served(&roles))
    }

    fn all_serve(&self) -> bool {
        let hosts: Vec<Option<&Host>> = self.members().map(|id| self.machines[&id].host.as_ref()).collect();
        hosts.iter().all(|host| host.is_some_and(Host::is_serving)) && self.know_the_ensemble()
    }

    /// Who belongs to the ensemble that was agreed on last.
    fn members(&self) -> impl Iterator<Item = ServerId> {
        self.judge.ensembles.last().members.keys().copied()
    }

    /// Clients say nothing any more: all sessions end, and all servers end with the same tree.
    fn fall_silent(&mut self) -> Check {
        self.quiet = true;
        let ticks = HEALING_TICKS / 2;
        for _ in 0..ticks {
            self.run_until(self.now_us + self.plan.tick_ms * 1000)?;
            if self.judge.model.living.is_empty() && convergence::same_end(&self.ends()).is_ok() {
                return self.check_owners();
            }
        }
        crate::invariants::ephemerals::are_over(&self.judge.model.sessions())?;
        convergence::same_end(&self.ends())?;
        self.check_owners()
    }

    fn ends(&self) -> Vec<Option<(Zxid, u64)>> {
        let end = |id| {
            let host = self.machines[&id].host.as_ref()?;
            Some((host.tree.last_zxid(), host.tree.digest()))
        };
        self.members().map(end).collect()
    }

    fn check_owners(&self) -> Check {
        let living = self.judge.model.sessions();
        for id in self.members() {
            let Some(host) = &self.machines[&id].host else { continue };
            let owners = host.tree.sessions_with_ephemerals().collect();
            crate::invariants::ephemerals::have_owners(id, &owners, &living)?;
        }
        Ok(())
    }

    // ---- small things

    fn at(&mut self, at_us: u64, event: Event) {
        self.order += 1;
        self.agenda.insert((at_us.max(self.now_us), self.order), event);
    }

    fn ids(&self) -> Vec<ServerId> {
        self.machines.keys().copied().collect()
    }

    fn machine(&mut self, id: ServerId) -> &mut Machine {
        self.machines.get_mut(&id).expect("every server has a machine")
    }

    fn is_alive(&self, id: ServerId, life: u64) -> bool {
        self.machines.get(&id).is_some_and(|machine| machine.host.is_some() && machine.life == life)
    }

    fn now_of(&self, id: ServerId) -> Now {
        let offset_ms = self.machines.get(&id).map_or(0, |machine| machine.wall_offset_ms);
        let passed_ms = i64::try_from(self.now_us / 1000).unwrap_or(i64::MAX);
        let mut instant = self.base + Duration::from_micros(self.now_us);
        if self.bug == Some(Bug::WallClockExpiry) {
            instant += Duration::from_millis(u64::try_from(offset_ms).unwrap_or(0));
        }
        Now { instant, unix_ms: START_UNIX_MS + passed_ms + offset_ms }
    }

    fn latency_us(&mut self) -> u64 {
        self.now_us + 50 + self.dice.below(self.plan.latency_us)
    }

    fn count_output(&mut self, id: ServerId) {
        let at = usize::try_from(id.0 - 1).unwrap_or(usize::MAX);
        if let Some(count) = self.tally.outputs.get_mut(at) {
            *count += 1;
        }
    }

    fn count(&mut self, fault: Fault) {
        *self.tally.faults.entry(faults::name(fault)).or_default() += 1;
    }
}
