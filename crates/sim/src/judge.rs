//! Holds what was seen of all servers and asks the invariants.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use oxherd_proto::{
    Epoch, Notification, PacketType, PeerState, ServerId, SessionId, TxnRecord, Xid, Zxid, decode_txn,
};
use oxherd_zab::{EnsembleConfig, LinkId, Output as ZabOutput, Role};

use crate::dice::print_of;
use crate::ensembles::{Ensembles, made_by};
use crate::invariants::committed_log_durability::Homes;
use crate::invariants::durable_votes::Disk;
use crate::invariants::one_active_ensemble::Reign;
use crate::invariants::{
    Entry, acknowledged_writes, agreement, committed_log_durability, digests, durable_votes,
    epochs_never_go_back, global_primary_order, integrity, leader_log_completeness, leadership,
    local_primary_order, prefix_consistency, primary_integrity, process_consistency, recovered_prefix,
    total_order,
};
use crate::model::Model;
use crate::verdict::Check;

/// What is known for certain about the disk of one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Txns that are durable, from the first on.
    pub(crate) durable: Vec<Entry>,
    /// Txns given to storage in this life, in order.
    pub(crate) written: Vec<Entry>,
    /// Txns in the tree.
    pub(crate) applied: Vec<Entry>,
    /// How many of them were compared with the history.
    pub(crate) compared: usize,
    /// Last accepted epoch stored.
    pub(crate) accepted: Epoch,
    /// Last current epoch stored.
    pub(crate) current: Epoch,
    /// The last txn given to storage before the epoch was.
    pub(crate) before_epoch: Zxid,
    /// How many of the committed txns the disk held at the last look.
    pub(crate) held: usize,
    /// Files are being cut or replaced.
    pub(crate) rewriting: bool,
    /// Committed txns that a cut may have taken in which the server died.
    undone: Vec<Entry>,
    /// The disk was made to lose or fail; what it says is no promise.
    pub(crate) damaged: bool,
    /// What was durable on a disk that was lost, until the server has learned again.
    lost: Option<Lost>,
}

/// What a disk held when it was lost.
#[derive(Clone, Debug)]
struct Lost {
    durable: Vec<Entry>,
    current: Epoch,
}

impl Known {
    fn disk(&self) -> Disk {
        let last = self.durable.last().map_or(Zxid::ZERO, |entry| entry.0);
        Disk { last, accepted: self.accepted, current: self.current }
    }

    /// Looks for more committed txns behind those it is known to hold.
    fn hold_more(&mut self, history: &[Entry]) {
        let from = self.held;
        let (mine, committed) = (self.durable.get(from..), history.get(from..));
        self.held += committed_log_durability::held(mine.unwrap_or_default(), committed.unwrap_or_default());
    }

    fn has(&self, entry: Entry) -> bool {
        is_in(&self.durable, entry)
    }

    /// The last durable txn.
    pub(crate) fn last(&self) -> Zxid {
        self.disk().last
    }
}

fn is_in(log: &[Entry], entry: Entry) -> bool {
    log.binary_search_by_key(&entry.0, |each| each.0).is_ok_and(|at| log[at] == entry)
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Judge {
    /// Which were agreed on.
    pub(crate) ensembles: Ensembles,
    alone: bool,
    /// What was served by anybody, in order.
    pub(crate) history: Vec<Entry>,
    /// The same, told to clients.
    pub(crate) model: Model,
    /// By server.
    pub(crate) known: BTreeMap<ServerId, Known>,
    proposed: BTreeMap<Zxid, u64>,
    payloads: BTreeMap<Zxid, Bytes>,
    digests: BTreeMap<Zxid, u64>,
    leaders: BTreeMap<Epoch, ServerId>,
    begun: BTreeSet<LinkId>,
    learners: BTreeSet<LinkId>,
    /// When the server that carries a session heard of it, in µs.
    pub(crate) heard: BTreeMap<SessionId, u64>,
}

impl Judge {
    /// Of an ensemble, or of a server alone.
    pub(crate) fn new(ensemble: EnsembleConfig, alone: bool) -> Self {
        let known = ensemble.members.keys().map(|id| (*id, Known::default())).collect();
        Self {
            ensembles: Ensembles::new(ensemble),
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
        }
    }

    /// What is known of a server.
    pub(crate) fn of(&mut self, id: ServerId) -> &mut Known {
        self.known.entry(id).or_default()
    }

    /// A server gives a txn to its log.
    pub(crate) fn appended(&mut self, id: ServerId, zxid: Zxid, payload: &Bytes, now_us: u64) -> Check {
        if self.alone {
            self.check_expiry(payload, now_us)?;
        }
        let entry = (zxid, print_of(payload));
        agreement::check(&mut self.proposed, id, entry)?;
        if !self.payloads.contains_key(&zxid) {
            self.ensembles.proposed(zxid, payload);
        }
        self.payloads.entry(zxid).or_insert_with(|| payload.clone());
        self.of(id).written.push(entry);
        Ok(())
    }

    /// A session that nobody closed is closed. Members of an ensemble hear of sessions with a delay, so only a
    /// server alone is held to the moment.
    fn check_expiry(&self, payload: &Bytes, now_us: u64) -> Check {
        let Ok(txn) = decode_txn(payload.clone()) else { return Ok(()) };
        let session = txn.header.client_id;
        let timeout_ms = self.model.living.get(&session).and_then(|ms| u64::try_from(*ms).ok());
        match (&txn.record, self.heard.get(&session), timeout_ms) {
            (TxnRecord::CloseSession(_), Some(heard_us), Some(timeout_ms)) if txn.header.cxid == Xid(0) => {
                crate::invariants::ephemerals::not_early(session, *heard_us, now_us, timeout_ms)
            }
            _ => Ok(()),
        }
    }

    /// A server gives its current epoch to storage: the txns before it come first.
    pub(crate) fn storing_epoch(&mut self, id: ServerId) {
        let known = self.of(id);
        known.before_epoch = known.written.last().map_or(Zxid::ZERO, |entry| entry.0);
    }

    /// The current epoch is in its file.
    pub(crate) fn epoch_stored(&mut self, id: ServerId, epoch: Epoch) -> Check {
        let known = self.of(id);
        known.current = epoch;
        known.lost = None;
        durable_votes::epoch_after_txns(id, epoch, known.before_epoch, known.last())
    }

    /// Txns are durable now.
    pub(crate) fn synced(&mut self, id: ServerId, txns: &[(Zxid, Bytes)]) {
        let known = self.of(id);
        for (zxid, payload) in txns {
            if known.durable.last().is_none_or(|last| last.0 < *zxid) {
                known.durable.push((*zxid, print_of(payload)));
            }
        }
        self.look_at_disk(id);
    }

    fn look_at_disk(&mut self, id: ServerId) {
        if let Some(known) = self.known.get_mut(&id) {
            known.hold_more(&self.history);
        }
    }

    /// The log of a server was cut. What it held without having acknowledged it may go; every committed txn
    /// must still be on a quorum of disks.
    pub(crate) fn cut(&mut self, id: ServerId, zxid: Zxid) -> Check {
        let Some(known) = self.known.get_mut(&id) else { return Ok(()) };
        known.durable.retain(|entry| entry.0 <= zxid);
        known.written.clear();
        let now = committed_log_durability::held(&known.durable, &self.history);
        let before = std::mem::replace(&mut known.held, now);
        let lost = self.history.get(now..before).unwrap_or_default();
        self.have_homes(lost)
    }

    /// A server died while its log was cut: nobody may count on what was to go, which may be there all the same.
    pub(crate) fn died_in_cut(&mut self, id: ServerId, zxid: Zxid) {
        let Some(known) = self.known.get_mut(&id) else { return };
        known.durable.retain(|entry| entry.0 <= zxid);
        let now = committed_log_durability::held(&known.durable, &self.history);
        let before = std::mem::replace(&mut known.held, now);
        known.undone = self.history.get(now..before).unwrap_or_default().to_vec();
    }

    /// Committed txns that a server gave up must be on a quorum of disks.
    fn have_homes(&self, lost: &[Entry]) -> Check {
        if self.known.values().any(|known| known.damaged) {
            return Ok(());
        }
        lost.iter().try_for_each(|entry| {
            committed_log_durability::on_quorum(self.ensembles.last(), entry.0, &self.homes(*entry))
        })
    }

    fn homes(&self, entry: Entry) -> Homes {
        let those = |is: &dyn Fn(&Known) -> bool| {
            self.known.iter().filter(|(_, known)| is(known)).map(|(id, _)| *id).collect()
        };
        Homes {
            holders: those(&|known| known.has(entry)),
            gone: those(&|known| known.lost.as_ref().is_some_and(|lost| is_in(&lost.durable, entry))),
            silent: those(&|known| known.lost.is_some()),
        }
    }

    /// A history that leads to a tree: a leader sends what it has, and not all of that was served yet.
    fn source_of(&self, zxid: Zxid) -> &[Entry] {
        let has = |known: &&Known| known.applied.binary_search_by_key(&zxid, |entry| entry.0).is_ok();
        self.known.values().find(has).map_or(&self.history, |known| &known.applied)
    }

    /// A server's tree and files are the leader's now.
    pub(crate) fn installed(&mut self, id: ServerId, zxid: Zxid) {
        let durable: Vec<Entry> =
            self.source_of(zxid).iter().copied().filter(|entry| entry.0 <= zxid).collect();
        let known = self.of(id);
        known.durable = durable;
        known.applied.clone_from(&known.durable);
        known.compared = 0;
        known.written.clear();
        known.damaged = false;
        self.look_at_disk(id);
    }

    /// Something leaves a server for another one.
    pub(crate) fn output(&mut self, id: ServerId, output: &ZabOutput) -> Check {
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
    pub(crate) fn role(&mut self, id: ServerId, role: Role) -> Check {
        let Role::Leading { epoch } = role else { return Ok(()) };
        if self.alone {
            return Ok(());
        }
        leadership::one_leader(&mut self.leaders, epoch, id)?;
        let current = self.known.iter().map(|(id, known)| (*id, known.current)).collect();
        let silent =
            self.known.iter().filter_map(|(id, known)| Some((*id, known.lost.as_ref()?.current))).collect();
        leadership::has_quorum(self.ensembles.last(), epoch, &current, &silent)?;
        let known = self.known.get(&id).cloned().unwrap_or_default();
        leader_log_completeness::check(id, epoch, &known.durable, &self.history)?;
        primary_integrity::check(id, epoch, &known.applied, &self.history)
    }

    /// The tree of a server is at a zxid, and it serves or does not.
    pub(crate) fn tree(&mut self, id: ServerId, zxid: Zxid, digest: u64, serves: bool) -> Check {
        digests::check(&mut self.digests, id, zxid, digest)?;
        let known = self.of(id);
        let last = known.applied.last().map_or(Zxid::ZERO, |entry| entry.0);
        if zxid > last {
            let from = known.written.partition_point(|entry| entry.0 <= last);
            let to = known.written.partition_point(|entry| entry.0 <= zxid);
            known.applied.extend_from_slice(&known.written[from..to.max(from)]);
        }
        process_consistency::memory_within_log(id, zxid, known.last())?;
        if serves { self.serves(id) } else { Ok(()) }
    }

    fn serves(&mut self, id: ServerId) -> Check {
        let Some(known) = self.known.get_mut(&id) else { return Ok(()) };
        let from = known.compared.min(known.applied.len()).min(self.history.len());
        prefix_consistency::check(id, &known.applied[from..], &self.history[from..])?;
        known.compared = known.applied.len();
        let new: Vec<Entry> = known.applied.get(self.history.len()..).unwrap_or_default().to_vec();
        new.into_iter().try_for_each(|entry| self.delivered(id, entry))
    }

    fn delivered(&mut self, id: ServerId, entry: Entry) -> Check {
        let last = self.history.last().map_or(Zxid::ZERO, |entry| entry.0);
        integrity::check(&self.proposed, id, entry)?;
        total_order::check(last, entry.0)?;
        global_primary_order::check(last, entry.0)?;
        local_primary_order::check(last, entry.0)?;
        self.has_quorums(id, entry)?;
        self.history.push(entry);
        if let Some(payload) = self.payloads.get(&entry.0).cloned() {
            self.model.commit(entry.0, payload);
        }
        for known in self.known.values_mut() {
            known.hold_more(&self.history);
        }
        Ok(())
    }

    fn has_quorums(&mut self, id: ServerId, entry: Entry) -> Check {
        let homes = self.homes(entry);
        if let Some(config) = self.payloads.get(&entry.0).and_then(made_by) {
            self.ensembles.activated(&config, &homes)?;
        }
        let inherited = self.of(id).current > entry.0.epoch();
        self.ensembles.delivered(entry.0, inherited, &homes)
    }

    /// An ensemble is in force at a server: its change is on the disks of a quorum of each, or, where a leader
    /// found it proposed, that leader's epoch is.
    pub(crate) fn activated(&mut self, id: ServerId, config: &EnsembleConfig) -> Check {
        let zxid = Zxid(config.version);
        let epoch = self.of(id).current;
        let behind = if epoch > zxid.epoch() {
            let follows = self.known.iter().filter(|(_, known)| known.current >= epoch);
            Homes { holders: follows.map(|(id, _)| *id).collect(), ..Homes::default() }
        } else {
            let print = self.proposed.get(&zxid).copied();
            print.map(|print| self.homes((zxid, print))).unwrap_or_default()
        };
        self.ensembles.activated(config, &behind)
    }

    /// What a leader goes by, or that it leads no longer.
    pub(crate) fn reigns(&mut self, id: ServerId, reign: Option<Reign>) -> Check {
        let accepted = self.known.iter().filter(|(_, known)| !known.damaged);
        let accepted = accepted.map(|(id, known)| (*id, known.accepted)).collect();
        self.ensembles.reigns(id, reign, &accepted)
    }

    /// What a start has read: the tree up to `snapshot`, and the txns behind it.
    pub(crate) fn recovered(
        &mut self,
        id: ServerId,
        snapshot: Zxid,
        txns: &[(Zxid, Bytes)],
        epochs: (Epoch, Epoch),
    ) -> Check {
        let known = self.known.get(&id).cloned().unwrap_or_default();
        let base: &[Entry] = if known.last() >= snapshot { &known.durable } else { self.source_of(snapshot) };
        let mut read: Vec<Entry> = base.iter().copied().filter(|entry| entry.0 <= snapshot).collect();
        read.extend(txns.iter().map(|(zxid, payload)| (*zxid, print_of(payload))));
        let next = Known {
            durable: read.clone(),
            applied: read.clone(),
            accepted: epochs.0,
            current: epochs.1,
            ..Known::default()
        };
        let held = committed_log_durability::held(&read, &self.history);
        if self.alone {
            self.forget_after(read.last().map_or(Zxid::ZERO, |entry| entry.0));
        }
        self.known.insert(id, Known { held, damaged: known.damaged, lost: known.lost.clone(), ..next });
        // Alone there is nobody to learn from: a damaged disk is refused or read to the last txn.
        if known.damaged && !self.alone {
            return Ok(());
        }
        self.have_homes(&known.undone)?;
        committed_log_durability::kept(id, known.held, held)?;
        epochs_never_go_back::check(id, (known.accepted, known.current), epochs)?;
        if known.rewriting {
            return Ok(());
        }
        let last = known.last();
        let written: Vec<Entry> = known.written.iter().copied().filter(|entry| entry.0 > last).collect();
        acknowledged_writes::check(id, &known.durable, &read)?;
        recovered_prefix::check(id, &written, &read[known.durable.len()..])
    }

    /// A server alone gives the zxids of what was lost before anybody heard of it to other txns.
    fn forget_after(&mut self, last: Zxid) {
        self.proposed.retain(|zxid, _| *zxid <= last);
        self.payloads.retain(|zxid, _| *zxid <= last);
        self.digests.retain(|zxid, _| *zxid <= last);
    }

    /// The tree of a server was built anew from its disk, up to this zxid.
    pub(crate) fn rebuilt(&mut self, id: ServerId, zxid: Zxid) {
        let known = self.of(id);
        known.applied = known.durable.iter().copied().filter(|entry| entry.0 <= zxid).collect();
        known.compared = 0;
    }

    /// The disk of a server is empty from here on.
    pub(crate) fn wiped(&mut self, id: ServerId) {
        let lost = self
            .known
            .remove(&id)
            .map(|known| known.lost.unwrap_or(Lost { durable: known.durable, current: known.current }));
        self.known.insert(id, Known { damaged: true, lost, ..Known::default() });
    }
}
