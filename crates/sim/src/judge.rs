//! Holds what was seen of all servers and asks the invariants.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use oxherd_proto::{Epoch, Notification, PacketType, PeerState, ServerId, SessionId, Zxid};
use oxherd_zab::{EnsembleConfig, LinkId, Output as ZabOutput, Role};

use crate::dice::print_of;
use crate::invariants::durable_votes::Disk;
use crate::invariants::{
    Entry, agreement, committed_log_durability, digests, durable_votes, global_primary_order, integrity,
    leader_log_completeness, leadership, local_primary_order, prefix_consistency, primary_integrity, process_consistency,
    total_order,
};
use crate::model::Model;
use crate::verdict::{Check, demand};

/// What is known for certain about the disk of one server.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Txns that are durable, from the first on.
    pub durable: Vec<Entry>,
    /// Txns given to storage in this life, in order.
    pub written: Vec<Entry>,
    /// Txns in the tree.
    pub applied: Vec<Entry>,
    /// Last accepted epoch stored.
    pub accepted: Epoch,
    /// Last current epoch stored.
    pub current: Epoch,
    /// How many of the committed txns the disk held at the last look.
    pub held: usize,
    /// Files are being cut or replaced.
    pub rewriting: bool,
    /// The disk was made to lose or fail; what it says is no promise.
    pub damaged: bool,
}

impl Known {
    fn disk(&self) -> Disk {
        let last = self.durable.last().map_or(Zxid::ZERO, |entry| entry.0);
        Disk { last, accepted: self.accepted, current: self.current }
    }

    /// The last durable txn.
    pub fn last(&self) -> Zxid {
        self.disk().last
    }
}

/// What was seen.
#[derive(Debug)]
pub struct Judge {
    ensemble: EnsembleConfig,
    alone: bool,
    /// What was served by anybody, in order.
    pub history: Vec<Entry>,
    /// The same, told to clients.
    pub model: Model,
    /// By server.
    pub known: BTreeMap<ServerId, Known>,
    proposed: BTreeMap<Zxid, u64>,
    payloads: BTreeMap<Zxid, Bytes>,
    digests: BTreeMap<Zxid, u64>,
    leaders: BTreeMap<Epoch, ServerId>,
    begun: BTreeSet<LinkId>,
    learners: BTreeSet<LinkId>,
    /// When the server that carries a session heard of it, in µs.
    pub heard: BTreeMap<SessionId, u64>,
    /// Sessions that ended since the last look, and whether nobody asked for it.
    pub ended: Vec<(SessionId, bool, i32)>,
}

impl Judge {
    /// Of an ensemble, or of a server alone.
    pub fn new(ensemble: EnsembleConfig, alone: bool) -> Self {
        let known = ensemble.members.keys().map(|id| (*id, Known::default())).collect();
        Self {
            ensemble,
            alone,
            history: Vec::new(),
            model: Model::default(),
            known,
            proposed: BTreeMap::new(),
            payloads: BTreeMap::new(),
            digests: BTreeMap::new(),
            leaders: BTreeMap::new(),
            begun: BTreeSet::new(),
            learners: BTreeSet::new(),
            heard: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    /// What is known of a server.
    pub fn of(&mut self, id: ServerId) -> &mut Known {
        self.known.entry(id).or_default()
    }

    /// A server gives a txn to its log.
    pub fn appended(&mut self, id: ServerId, zxid: Zxid, payload: &Bytes) -> Check {
        let entry = (zxid, print_of(payload));
        agreement::check(&mut self.proposed, id, entry)?;
        self.payloads.entry(zxid).or_insert_with(|| payload.clone());
        self.of(id).written.push(entry);
        Ok(())
    }

    /// Txns are durable now.
    pub fn synced(&mut self, id: ServerId, txns: &[(Zxid, Bytes)]) {
        let known = self.of(id);
        for (zxid, payload) in txns {
            if known.durable.last().is_none_or(|last| last.0 < *zxid) {
                known.durable.push((*zxid, print_of(payload)));
            }
        }
        self.look_at_disk(id);
    }

    fn look_at_disk(&mut self, id: ServerId) {
        let history = std::mem::take(&mut self.history);
        let known = self.of(id);
        known.held = known.held.max(committed_log_durability::held(&known.durable, &history));
        self.history = history;
    }

    /// The log of a server was cut, and its tree is what is left.
    pub fn cut(&mut self, id: ServerId, zxid: Zxid) -> Check {
        let history = std::mem::take(&mut self.history);
        let known = self.of(id);
        known.durable.retain(|entry| entry.0 <= zxid);
        known.written.clear();
        let (before, now) = (known.held, committed_log_durability::held(&known.durable, &history));
        let damaged = known.damaged;
        self.history = history;
        if damaged { Ok(()) } else { committed_log_durability::kept(id, before, now) }
    }

    /// A server's tree and files are the leader's now.
    pub fn installed(&mut self, id: ServerId, zxid: Zxid) {
        let durable: Vec<Entry> = self.history.iter().copied().filter(|entry| entry.0 <= zxid).collect();
        let known = self.of(id);
        known.durable = durable;
        known.applied.clone_from(&known.durable);
        known.written.clear();
        known.damaged = false;
        self.look_at_disk(id);
    }

    /// Something leaves a server for another one.
    pub fn output(&mut self, id: ServerId, output: &ZabOutput) -> Check {
        let disk = self.known.get(&id).map(Known::disk).unwrap_or_default();
        match output {
            ZabOutput::Send { link, packet } => {
                if packet.kind == PacketType::AckEpoch {
                    self.learners.insert(*link);
                }
                durable_votes::acknowledgement(id, packet.kind, packet.zxid, disk)?;
                let is_ack = packet.kind == PacketType::Ack && self.learners.contains(link);
                if is_ack { durable_votes::order(&mut self.begun, id, *link, packet.zxid) } else { Ok(()) }
            }
            ZabOutput::Notify { body, .. } => {
                let Ok(vote) = Notification::decode(body.clone()) else { return Ok(()) };
                let own = vote.leader == id && vote.state == PeerState::Looking;
                if own { durable_votes::vote(id, vote.zxid, vote.peer_epoch, disk) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// A server has a role.
    pub fn role(&mut self, id: ServerId, role: Role) -> Check {
        let Role::Leading { epoch } = role else { return Ok(()) };
        if self.alone {
            return Ok(());
        }
        leadership::one_leader(&mut self.leaders, epoch, id)?;
        let current = self.known.iter().map(|(id, known)| (*id, known.current)).collect();
        leadership::has_quorum(&self.ensemble, epoch, &current)?;
        let known = self.known.get(&id).cloned().unwrap_or_default();
        leader_log_completeness::check(id, &known.durable, &self.history)?;
        primary_integrity::check(id, epoch, &known.applied, &self.history)
    }

    /// The tree of a server is at a zxid, and it serves or does not.
    pub fn tree(&mut self, id: ServerId, zxid: Zxid, digest: u64, serves: bool) -> Check {
        digests::check(&mut self.digests, id, zxid, digest)?;
        let known = self.of(id);
        let last = known.applied.last().map_or(Zxid::ZERO, |entry| entry.0);
        let new: Vec<Entry> = known.written.iter().copied().filter(|entry| entry.0 > last && entry.0 <= zxid).collect();
        known.applied.extend(new);
        process_consistency::memory_within_log(id, zxid, known.last())?;
        if serves { self.serves(id) } else { Ok(()) }
    }

    fn serves(&mut self, id: ServerId) -> Check {
        let applied = self.known.get(&id).map(|known| known.applied.clone()).unwrap_or_default();
        prefix_consistency::check(id, &applied, &self.history)?;
        for entry in applied.into_iter().skip(self.history.len()) {
            self.delivered(id, entry)?;
        }
        Ok(())
    }

    fn delivered(&mut self, id: ServerId, entry: Entry) -> Check {
        let last = self.history.last().map_or(Zxid::ZERO, |entry| entry.0);
        integrity::check(&self.proposed, id, entry)?;
        total_order::check(last, entry.0)?;
        global_primary_order::check(last, entry.0)?;
        local_primary_order::check(last, entry.0)?;
        let holders = self.known.iter().filter(|(_, known)| known.durable.contains(&entry)).map(|(id, _)| *id).collect();
        committed_log_durability::on_quorum(&self.ensemble, entry.0, &holders)?;
        self.history.push(entry);
        if let Some(payload) = self.payloads.get(&entry.0).cloned() {
            let living = self.model.living.clone();
            if let Some((session, unasked)) = self.model.commit(entry.0, payload) {
                let timeout_ms = living.get(&session).copied().unwrap_or(0);
                self.ended.push((session, unasked, timeout_ms));
            }
        }
        for known in self.known.values_mut() {
            known.held = known.held.max(committed_log_durability::held(&known.durable, &self.history));
        }
        Ok(())
    }

    /// What a start has read: the tree up to `snapshot`, and the txns behind it.
    pub fn recovered(&mut self, id: ServerId, snapshot: Zxid, txns: &[(Zxid, Bytes)], epochs: (Epoch, Epoch)) -> Check {
        let known = self.known.get(&id).cloned().unwrap_or_default();
        let base: &[Entry] = if known.last() >= snapshot { &known.durable } else { &self.history };
        let mut read: Vec<Entry> = base.iter().copied().filter(|entry| entry.0 <= snapshot).collect();
        read.extend(txns.iter().map(|(zxid, payload)| (*zxid, print_of(payload))));
        let next = Known { durable: read.clone(), applied: read.clone(), accepted: epochs.0, current: epochs.1, ..Known::default() };
        let held = committed_log_durability::held(&read, &self.history);
        self.known.insert(id, Known { held, damaged: known.damaged, ..next });
        if known.damaged {
            return Ok(());
        }
        committed_log_durability::kept(id, known.held, held)?;
        demand(epochs.0 >= known.accepted && epochs.1 >= known.current, "EpochsNeverGoBack", || {
            format!("s{id} had stored epochs {} and {}, and reads {} and {}", known.accepted, known.current, epochs.0, epochs.1)
        })?;
        if known.rewriting {
            return Ok(());
        }
        let last = known.last();
        let written: Vec<Entry> = known.written.iter().copied().filter(|entry| entry.0 > last).collect();
        crate::invariants::recovered_prefix::check(id, &known.durable, &written, &read)
    }

    /// The disk of a server is empty from here on.
    pub fn wiped(&mut self, id: ServerId) {
        self.known.insert(id, Known { damaged: true, ..Known::default() });
    }
}
