//! The operator: changes who belongs to the ensemble, over a client's session, while everything else goes on.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use oxherd_proto::{ErrorCode, Notification, PeerState, ReconfigRequest, ServerId, Str, Zxid};
use oxherd_storage::CrashOutcome;
use oxherd_zab::{EnsembleConfig, Member, Role};

use super::{Event, World};
use crate::client::Client;
use crate::dice::Dice;
use crate::host::Host;
use crate::invariants::known_ensemble;
use crate::invariants::one_active_ensemble::Reign;
use crate::membership::{self, CONFIG_FILE, MembershipChange};
use crate::plan::{Change, PlannedChange, Strike};
use crate::store::LogCommand;
use crate::verdict::Check;

/// Voters of a change at most.
const VOTERS_MAX: usize = 7;

/// What the operator is at.
#[derive(Debug, Default)]
pub(super) struct Operator {
    wanted: Option<ReconfigRequest>,
    /// Members that leave with it.
    leaving: BTreeSet<ServerId>,
    /// What goes wrong once it is proposed.
    strike: Option<Strike>,
}

impl World {
    /// A new intent; one that was not reached yet is given up.
    pub(super) fn want(&mut self, planned: PlannedChange) -> Check {
        let now = self.judge.ensembles.last().clone();
        let mut dice = Dice::new(planned.roll);
        let leader = self.leader();
        let Some(request) = self.request(planned.change, &now, leader, &mut dice) else { return Ok(()) };
        self.story
            .tell(self.now_us, || format!("the operator wants {:?}: {}", planned.change, words(&request)));
        *self.tally.faults.entry("change wanted").or_default() += 1;
        self.operator =
            Operator { leaving: leaving(&request, &now), wanted: Some(request), strike: planned.strike };
        let joiners = self.operator.wanted.as_ref().map(|request| joiners(request, &now)).unwrap_or_default();
        for id in joiners {
            self.switch_on(id, &mut dice)?;
        }
        Ok(())
    }

    pub(super) fn leader(&self) -> Option<ServerId> {
        let leads = |role: Role| matches!(role, Role::Leading { .. });
        let mut hosts = self.machines.iter().filter_map(|(id, machine)| Some((*id, machine.host.as_ref()?)));
        hosts.find(|(_, host)| leads(host.role)).map(|(id, _)| id)
    }

    fn request(
        &self,
        change: Change,
        now: &EnsembleConfig,
        leader: Option<ServerId>,
        dice: &mut Dice,
    ) -> Option<ReconfigRequest> {
        let voters: Vec<ServerId> = now.voters().collect();
        let members: Vec<ServerId> = now.members.keys().copied().collect();
        let outside: Vec<ServerId> = self.ids().into_iter().filter(|id| !members.contains(id)).collect();
        match change {
            Change::Size(size) if size >= voters.len() => {
                let joining: Vec<ServerId> = outside.into_iter().take(size - voters.len()).collect();
                joining_request(&joining, |id| spec(id, true, 1))
            }
            Change::Size(size) => leaving_request(&shuffled(voters, dice)[size..]),
            Change::Join => {
                let voter = dice.chance(75) && voters.len() < VOTERS_MAX;
                joining_request(&[dice.pick(&outside)?], |id| spec(id, voter, 1))
            }
            Change::Leave => leaving_request(&[dice.pick(&members)?]),
            Change::LeaderLeaves => leaving_request(&[leader.filter(|_| voters.len() > 1)?]),
            Change::Role => {
                let id = dice.pick(&members)?;
                let place = now.members.get(&id)?.addresses.first()?.peer_port;
                joining_request(&[id], |id| spec(id, !now.is_voter(id), place))
            }
            Change::Ports | Change::LeaderPorts => {
                let id = if change == Change::Ports { dice.pick(&members)? } else { leader? };
                let place = now.members.get(&id)?.addresses.first()?.peer_port + 10;
                joining_request(&[id], |id| spec(id, now.is_voter(id), place))
            }
            Change::Bulk => Some(self.bulk(dice)),
            Change::Lead => {
                let to = dice.pick(&voters)?;
                Some(ReconfigRequest {
                    new_members: Some(format!("leader={to}").as_str().into()),
                    ..request()
                })
            }
        }
    }

    /// Some of all servers, some of them without a vote.
    fn bulk(&self, dice: &mut Dice) -> ReconfigRequest {
        let ids = shuffled(self.ids(), dice);
        let count = usize::try_from(dice.between(1, ids.len() as u64 + 1)).unwrap_or(1);
        let observers = if count > 2 && dice.chance(30) { 1 } else { 0 };
        let mut lines: Vec<String> = Vec::new();
        for (at, id) in ids[..count].iter().enumerate() {
            lines.push(spec(*id, at >= observers, 1));
        }
        let voters = &ids[observers..count];
        if self.plan.weighted && voters.len() >= 4 {
            let list = |part: &[ServerId]| part.iter().map(ToString::to_string).collect::<Vec<_>>().join(":");
            let (one, other) = voters.split_at(voters.len() / 2);
            lines.push(format!("group.1={}", list(one)));
            lines.push(format!("group.2={}", list(other)));
        }
        ReconfigRequest { new_members: Some(lines.join("\n").as_str().into()), ..request() }
    }

    /// The operator's turn to speak: asks until it is done, or refused for good.
    pub(super) fn operate(&mut self, number: usize) {
        match self.clients[number].reconfigured.take() {
            Some(0) => return self.done(),
            Some(error) if !may_pass(error) => {
                self.story.tell(self.now_us, || format!("the change is refused: {error}"));
                self.operator = Operator::default();
            }
            _ => {}
        }
        let client = &mut self.clients[number];
        let bytes = match &self.operator.wanted {
            Some(request) => client.reconfig(request),
            None => client.ask(&mut self.dice),
        };
        if let (Some(bytes), Some(link)) = (bytes, client.link) {
            let words = client.last_request();
            self.story.tell(self.now_us, || format!("c{number} asks over {} {words}", link.0));
            self.send_to_server(link, bytes);
        }
    }

    /// Whoever has left is switched off, some of them soon.
    fn done(&mut self) {
        self.story.tell(self.now_us, || "the change is done".to_owned());
        *self.tally.faults.entry("change done").or_default() += 1;
        for id in std::mem::take(&mut self.operator).leaving {
            if self.dice.chance(50) {
                let pause_us = self.plan.tick_ms * 1000 * self.dice.below(12);
                self.at(self.now_us + pause_us, Event::SwitchOff(id));
            }
        }
    }

    /// Not before all members say that they know the ensemble: one that does not may know this server alone.
    pub(super) fn switch_off(&mut self, id: ServerId) {
        let named = self.judge.ensembles.in_play().any(|config| config.members.contains_key(&id));
        let joins = self.operator.wanted.as_ref().is_some_and(|wanted| names(wanted).contains(&id));
        if !self.machine(id).on || named || joins || !self.know_the_ensemble() {
            return;
        }
        self.story.tell(self.now_us, || format!("s{id} is switched off"));
        if self.machine(id).host.is_some() {
            self.crash(id, CrashOutcome::ProcessDied);
        }
        self.machine(id).on = false;
    }

    /// A joiner starts with the members that are there and itself, and an empty disk or its former one.
    /// One that was left running when it left, and knows nobody who is there, is told anew.
    fn switch_on(&mut self, id: ServerId, dice: &mut Dice) -> Check {
        let was_on = self.machine(id).on;
        if was_on && !self.is_lonely(id) {
            return Ok(());
        }
        if was_on {
            self.crash(id, CrashOutcome::ProcessDied);
        }
        self.machine(id).on = true;
        if !was_on && dice.chance(70) {
            self.wipe(id);
        } else {
            self.write_config(id, &self.joiners_config(id));
        }
        self.start(id)
    }

    /// Whether a server that runs asks no member of the ensemble for a leader: it asks those that vote in the ensemble
    /// it knows, and in a change that it may have acknowledged, which nobody must take from it.
    fn is_lonely(&self, id: ServerId) -> bool {
        let host = self.machines.get(&id).and_then(|machine| machine.host.as_ref());
        let now = self.judge.ensembles.last();
        host.is_some_and(|host| {
            let held = [host.replica.ensemble(), host.replica.ensemble_seen()];
            let mut asked = held.into_iter().flat_map(EnsembleConfig::voters);
            !asked.any(|other| other != id && now.members.contains_key(&other))
        })
    }

    /// What an operator writes for a server that has no configuration.
    pub(super) fn joiners_config(&self, id: ServerId) -> EnsembleConfig {
        let mut config = self.judge.ensembles.last().clone();
        let text = spec(id, true, 1);
        let own = text.split_once('=').and_then(|(_, place)| Member::parse(place));
        if let Some(own) = own {
            config.members.entry(id).or_insert(own);
        }
        config.groups.clear();
        config.weights.clear();
        config.version = 0;
        config
    }

    pub(super) fn write_config(&mut self, id: ServerId, config: &EnsembleConfig) {
        let disk = &self.machine(id).disk;
        let text: String = config
            .to_string()
            .lines()
            .filter(|line| !line.starts_with("version"))
            .map(|line| line.to_owned() + "\n")
            .collect();
        disk.write_file(Path::new(CONFIG_FILE), text.as_bytes()).expect("a disk takes a file");
        let next = format!("{CONFIG_FILE}.dynamic.next");
        if disk.read_file(Path::new(&next)).is_ok() {
            disk.write_file(Path::new(&next), text.as_bytes()).expect("a disk takes a file");
        }
        // A server says at its start that what it kept with its data goes before `zoo.cfg`.
        let kept = membership::kept_with_data(disk);
        if disk.read_file(&kept).is_ok() {
            disk.write_file(&kept, b"").expect("a disk takes a file");
        }
    }

    /// Whether a quorum without this one runs and knows something: of the ensembles in play, and of those that the
    /// others hold to. A joiner that has learned nothing yet, or a part only, is as good as lost: with one more,
    /// nobody could tell what was agreed on. Nor may the operator be about to ask for an ensemble that needs it.
    pub(super) fn can_do_without(&self, id: ServerId) -> bool {
        if self.clients.get(self.plan.clients).is_some_and(Client::is_waiting) {
            return false;
        }
        let anything = !self.judge.history.is_empty();
        let others: Vec<(ServerId, &Host)> = self
            .machines
            .iter()
            .filter(|(other, _)| **other != id)
            .filter_map(|(other, machine)| Some((*other, machine.host.as_ref()?)))
            .filter(|(other, host)| !anything || self.knows(*other, host))
            .collect();
        let ids: BTreeSet<ServerId> = others.iter().map(|(other, _)| *other).collect();
        let held =
            others.iter().flat_map(|(_, host)| [host.replica.ensemble(), host.replica.ensemble_seen()]);
        self.judge.ensembles.in_play().chain(held).all(|config| config.is_quorum(&ids))
    }

    fn knows(&self, id: ServerId, host: &Host) -> bool {
        let known = self.judge.known.get(&id);
        host.replica.knows_history()
            && known.is_some_and(|known| !known.damaged && known.last() != Zxid::ZERO)
    }

    // ---- what servers say of the ensemble

    /// A server has seen an ensemble, or puts it in force.
    pub(super) fn membership(&mut self, id: ServerId, text: &str, active: bool) -> Check {
        let Ok(config) = EnsembleConfig::parse(text) else { return Ok(()) };
        if active {
            self.judge.activated(id, &config)?;
        }
        self.look_at_reign(id)?;
        let change = if active { MembershipChange::Active(config) } else { MembershipChange::Seen(config) };
        if let Some(host) = &mut self.machine(id).host {
            host.store.queue.push_back(LogCommand::Membership(change));
        }
        self.wake_log(id);
        if !active {
            self.strike_change(id);
        }
        Ok(())
    }

    /// A server hears of a change: now is the time for what was planned to go wrong.
    fn strike_change(&mut self, id: ServerId) {
        let leads = self.leader() == Some(id);
        match self.operator.strike {
            Some(Strike::First(outputs)) if !leads => self.machine(id).outputs_left = Some(outputs),
            Some(Strike::Leader(outputs)) if leads => self.machine(id).outputs_left = Some(outputs),
            Some(Strike::All(us)) => self.at(self.now_us + us, Event::AllDie),
            _ => return,
        }
        *self.tally.faults.entry("power lost in a change").or_default() += 1;
        self.operator.strike = None;
    }

    /// What a server that leads goes by from here on.
    pub(super) fn look_at_reign(&mut self, id: ServerId) -> Check {
        if !self.plan.reconfigures() {
            return Ok(());
        }
        let host = self.machines.get(&id).and_then(|machine| machine.host.as_ref());
        let reign = host.and_then(|host| match host.replica.role() {
            Role::Leading { epoch } => {
                let (active, seen) = (host.replica.ensemble(), host.replica.ensemble_seen());
                let mut ensembles = vec![active.clone()];
                ensembles.extend((seen.version != active.version).then(|| seen.clone()));
                // One that left the ensemble only hands over.
                active.is_voter(id).then_some(Reign { leader: id, epoch, ensembles })
            }
            _ => None,
        });
        self.judge.reigns(id, reign)
    }

    /// A server votes.
    pub(super) fn look_at_vote(&self, id: ServerId, body: &Bytes) -> Check {
        let host = self.machines.get(&id).and_then(|machine| machine.host.as_ref());
        match (host, Notification::decode(body.clone())) {
            (Some(host), Ok(vote)) if vote.state == PeerState::Looking && self.plan.reconfigures() => {
                known_ensemble::may_vote(id, vote.leader, host.replica.ensemble())
            }
            _ => Ok(()),
        }
    }

    /// Whether all members hold the same ensemble for the one in force.
    pub(super) fn know_the_ensemble(&self) -> bool {
        let hosts = self.machines.iter().filter_map(|(id, machine)| Some((*id, machine.host.as_ref()?)));
        let versions = hosts.map(|(id, host)| (id, host.replica.ensemble().version)).collect();
        !self.plan.reconfigures() || known_ensemble::is_known(self.judge.ensembles.last(), &versions)
    }
}

/// Refusals that pass: no quorum of the new ensemble is up yet, or another change is under way.
fn may_pass(error: i32) -> bool {
    [ErrorCode::NewConfigNoQuorum, ErrorCode::ReconfigInProgress].iter().any(|code| code.code() == error)
}

fn request() -> ReconfigRequest {
    ReconfigRequest { joining_servers: None, leaving_servers: None, new_members: None, cur_config_id: -1 }
}

fn spec(id: ServerId, voter: bool, port: u16) -> String {
    let kind = if voter { "participant" } else { "observer" };
    format!("server.{id}=h{id}:{port}:{}:{kind};{}", port + 1, port + 2)
}

fn joining_request(ids: &[ServerId], spec: impl Fn(ServerId) -> String) -> Option<ReconfigRequest> {
    let text = ids.iter().map(|id| spec(*id)).collect::<Vec<_>>().join(",");
    let joining = Str::from(text.as_str());
    (!ids.is_empty()).then(|| ReconfigRequest { joining_servers: Some(joining), ..request() })
}

fn leaving_request(ids: &[ServerId]) -> Option<ReconfigRequest> {
    let text = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    (!ids.is_empty()).then(|| ReconfigRequest { leaving_servers: Some(text.as_str().into()), ..request() })
}

fn shuffled(mut ids: Vec<ServerId>, dice: &mut Dice) -> Vec<ServerId> {
    for end in (1..ids.len()).rev() {
        ids.swap(end, usize::try_from(dice.below(end as u64 + 1)).unwrap_or(0));
    }
    ids
}

fn text_of(part: Option<&Str>) -> String {
    part.map(|part| part.to_text().into_owned()).unwrap_or_default()
}

fn words(request: &ReconfigRequest) -> String {
    let parts = [&request.joining_servers, &request.leaving_servers, &request.new_members];
    let [joining, leaving, members] = parts.map(|part| text_of(part.as_ref()).replace('\n', " "));
    format!("joining [{joining}] leaving [{leaving}] members [{members}]")
}

/// Servers named that are no members.
fn joiners(request: &ReconfigRequest, now: &EnsembleConfig) -> Vec<ServerId> {
    names(request).into_iter().filter(|id| !now.members.contains_key(id)).collect()
}

/// Servers that a request gives a place.
fn names(request: &ReconfigRequest) -> Vec<ServerId> {
    let named = text_of(request.joining_servers.as_ref()) + "," + &text_of(request.new_members.as_ref());
    let ids = named.split([',', '\n']).filter_map(|line| line.strip_prefix("server.")?.split_once('='));
    ids.filter_map(|(id, _)| id.parse().ok().map(ServerId)).collect()
}

/// Members that leave.
fn leaving(request: &ReconfigRequest, now: &EnsembleConfig) -> BTreeSet<ServerId> {
    let listed = text_of(request.leaving_servers.as_ref());
    let listed = listed.split(',').filter_map(|id| id.parse().ok().map(ServerId));
    let members = text_of(request.new_members.as_ref());
    let named = |id: &ServerId| members.contains(&format!("server.{id}="));
    let dropped = now.members.keys().copied().filter(|id| members.contains("server.") && !named(id));
    listed.chain(dropped).collect()
}
