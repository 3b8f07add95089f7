//! A learner that takes over its leader's history, from the first packet to UPTODATE.
//!
//! Order, each step in the handler of the one before: cut the log or install the snapshot; append what
//! is committed; all of it durable; the current epoch durable; ACK. Nothing is delivered before
//! UPTODATE, when the leader is known to be established.
// Java: Learner.syncWithLeader

use std::collections::VecDeque;

use bytes::Bytes;
use oxherd_proto::{Epoch, PacketType, QuorumPacket, ServerId, Zxid};

use crate::discovery::{Parting, Upstream};
use crate::dynamic_config::EnsembleConfig;
use crate::history::History;
use crate::io::CloseReason;
use crate::local::Local;
use crate::packet;
use crate::storage::{StorageCommand, StorageEvent};

/// Bytes of proposals held until they may be appended; a leader that sends more is left.
const HELD_BYTES_MAX: usize = 256 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// DIFF, TRUNC or SNAP must come.
    First,
    /// The log is being cut.
    Truncating(Zxid),
    /// The snapshot is being taken.
    Installing,
    /// Txns come, and then NEWLEADER.
    Receiving,
    /// NEWLEADER came; the log is not durable yet.
    Logging,
    /// The current epoch is on its way to the disk.
    StoringEpoch,
    /// NEWLEADER is acknowledged.
    Acknowledged,
}

/// A proposal that is not in the log yet.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) zxid: Zxid,
    pub(crate) payload: Bytes,
    pub(crate) committed: bool,
}

#[derive(Debug)]
pub(crate) struct CatchUp {
    pub(crate) upstream: Upstream,
    pub(crate) epoch: Epoch,
    step: Step,
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Last zxid received or in the log.
    end: Zxid,
    /// Commits up to here are for txns that were in the log or the snapshot already.
    known: Zxid,
    new_leader: bool,
    config: Option<EnsembleConfig>,
}

/// What UPTODATE leaves to the broadcast.
#[derive(Debug)]
pub(crate) struct CaughtUp {
    pub(crate) upstream: Upstream,
    pub(crate) epoch: Epoch,
    pub(crate) held: VecDeque<Held>,
}

impl CatchUp {
    pub(crate) fn start(upstream: Upstream, epoch: Epoch, local: &Local) -> Self {
        let end = local.history.logged();
        Self {
            upstream,
            epoch,
            step: Step::First,
            held: VecDeque::new(),
            held_bytes: 0,
            end,
            known: end,
            new_leader: false,
            config: None,
        }
    }

    /// Whether the link may be silent for the shorter time only.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.step == Step::Acknowledged
    }

    /// While a snapshot is taken the shell ends the link when nothing comes for as long.
    pub(crate) fn is_installing(&self) -> bool {
        self.step == Step::Installing
    }

    pub(crate) fn packet(
        &mut self,
        packet: QuorumPacket,
        local: &mut Local,
    ) -> Result<Option<CaughtUp>, Parting> {
        self.upstream.heard = local.now();
        if self.step == Step::First {
            self.first(&packet, local)?;
            return Ok(None);
        }
        match packet.kind {
            PacketType::Proposal => self.proposal(packet, local)?,
            PacketType::Commit | PacketType::CommitAndActivate => self.commit(&packet, local)?,
            PacketType::Inform | PacketType::InformAndActivate => self.inform(packet, local)?,
            PacketType::NewLeader => self.new_leader(&packet, local)?,
            PacketType::UpToDate => return self.up_to_date(local).map(Some),
            PacketType::Ping => {}
            other => return Err(Parting::misbehaved(format!("{other:?} during synchronization"))),
        }
        Ok(None)
    }

    fn first(&mut self, packet: &QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        let zxid = packet.zxid;
        if zxid.0 < 0 {
            return Err(Parting::misbehaved(format!("{:?} with zxid {}", packet.kind, zxid.0)));
        }
        match packet.kind {
            PacketType::Diff => self.step = Step::Receiving,
            PacketType::Trunc => {
                let agreed = local.history.agreed();
                if zxid < agreed {
                    let reason = format!("TRUNC to {zxid} would cut {agreed}, which was committed");
                    return Err(Parting::misbehaved(reason));
                }
                self.step = Step::Truncating(zxid);
                local.command(StorageCommand::Truncate(zxid));
            }
            PacketType::Snap => {
                self.step = Step::Installing;
                // It may have acknowledged what the tree lacks: until it has all of the leader's history again,
                // it must not be counted with less.
                local.unexplained |= zxid < local.history.logged();
                self.end = zxid;
                self.known = zxid;
                let link = self.upstream.link;
                local.command(StorageCommand::InstallSnapshot { link, zxid });
            }
            other => return Err(Parting::misbehaved(format!("{other:?} instead of DIFF, TRUNC or SNAP"))),
        }
        if let Step::Truncating(zxid) = self.step {
            self.end = zxid;
            self.known = zxid;
        }
        Ok(())
    }

    /// A proposal follows the last without a gap. What the snapshot holds already is passed over: a
    /// Java leader takes the snapshot while it goes on.
    // Java: Learner.enforceContinuousProposal
    fn hold(&mut self, zxid: Zxid, payload: Bytes, committed: bool) -> Result<(), Parting> {
        if !packet::is_txn(&payload, zxid) {
            return Err(Parting::misbehaved(format!("proposal {zxid} holds another txn or none")));
        }
        if zxid <= self.known && self.held.is_empty() {
            return Ok(());
        }
        if !History::may_follow(self.end, zxid) {
            return Err(Parting::misbehaved(format!("proposal {zxid} after {}", self.end)));
        }
        self.held_bytes += payload.len();
        if self.held_bytes > HELD_BYTES_MAX {
            return Err(Parting::misbehaved("too many uncommitted proposals during synchronization"));
        }
        self.end = zxid;
        self.held.push_back(Held { zxid, payload, committed });
        Ok(())
    }

    fn proposal(&mut self, packet: QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        let payload = packet.data.unwrap_or_default();
        see_reconfig(&payload, local);
        self.hold(packet.zxid, payload, false)
    }

    fn commit(&mut self, packet: &QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        let zxid = packet.zxid;
        let next = self.held.iter_mut().find(|held| !held.committed);
        match next {
            Some(held) if held.zxid == zxid => held.committed = true,
            _ if zxid <= self.known => return Ok(()),
            _ => return Err(Parting::misbehaved(format!("COMMIT {zxid} does not match the next proposal"))),
        }
        if packet.kind == PacketType::CommitAndActivate {
            let payload = self.held.iter().find(|held| held.zxid == zxid).map(|held| held.payload.clone());
            let designated = packet::split_activate(packet).map(|(designated, _)| ServerId(designated));
            activate(&payload.unwrap_or_default(), designated, local)?;
        }
        self.append_committed(local);
        Ok(())
    }

    fn inform(&mut self, packet: QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        let mut designated = None;
        let payload = if packet.kind == PacketType::InformAndActivate {
            let (leader, payload) = packet::split_activate(&packet)
                .ok_or_else(|| Parting::misbehaved("a torn INFORMANDACTIVATE"))?;
            designated = Some(ServerId(leader));
            payload
        } else {
            packet.data.unwrap_or_default()
        };
        self.hold(packet.zxid, payload.clone(), true)?;
        if designated.is_some() {
            activate(&payload, designated, local)?;
        }
        self.append_committed(local);
        Ok(())
    }

    /// Appends what is committed, as long as NEWLEADER has not come: later txns wait for UPTODATE, for
    /// their ACKs must not come before that of NEWLEADER.
    fn append_committed(&mut self, local: &mut Local) {
        while self.step == Step::Receiving && self.held.front().is_some_and(|held| held.committed) {
            let Some(held) = self.held.pop_front() else { break };
            self.held_bytes -= held.payload.len();
            self.known = held.zxid;
            local.append(held.zxid, held.payload);
        }
    }

    fn new_leader(&mut self, packet: &QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        if self.new_leader || packet.zxid != Zxid::new(self.epoch, 0) {
            return Err(Parting::misbehaved(format!("NEWLEADER {} in epoch {}", packet.zxid, self.epoch)));
        }
        self.new_leader = true;
        let text = packet.data.as_deref().filter(|data| data.len() > 1).map(String::from_utf8_lossy);
        if let Some(config) = text.and_then(|text| EnsembleConfig::parse(&text).ok()) {
            // A change that came as a proposal is not taken back by the one in force.
            let newer = self.held.iter().filter(|held| held.zxid.0 > config.version);
            if newer.filter(|held| packet::reconfig_text(&held.payload).is_some()).count() == 0 {
                local.see_config(config.clone());
            }
            self.config = Some(config);
        }
        self.advance(local)
    }

    /// Goes as far as the disk is.
    fn advance(&mut self, local: &mut Local) -> Result<(), Parting> {
        if self.step == Step::Receiving {
            self.append_committed(local);
            if self.new_leader {
                self.step = Step::Logging;
            }
        }
        if self.step == Step::Logging && local.history.is_settled() {
            let (end, agreed) = (local.history.logged(), local.history.agreed());
            if end < agreed {
                let reason = format!("the leader's history ends at {end}, but {agreed} was committed");
                return Err(Parting::misbehaved(reason));
            }
            self.step = Step::StoringEpoch;
            local.command(StorageCommand::StoreCurrentEpoch(self.epoch));
        }
        Ok(())
    }

    /// Storage has answered; what it made durable is already in `local`.
    pub(crate) fn stored(&mut self, event: &StorageEvent, local: &mut Local) -> Result<(), Parting> {
        match (self.step, event) {
            (Step::Truncating(wanted), StorageEvent::Truncated(zxid)) => {
                if *zxid != wanted {
                    // Only the whole tree can help: ask for it as one who has nothing.
                    local.unexplained = true;
                    return Err(Parting::misbehaved(format!("TRUNC to {wanted}, but the log has {zxid}")));
                }
                self.step = Step::Receiving;
            }
            (Step::Installing, StorageEvent::SnapshotInstalled(_)) => {
                self.upstream.heard = local.now();
                self.step = Step::Receiving;
            }
            (Step::Installing, StorageEvent::SnapshotRefused(zxid)) => {
                return Err(Parting::misbehaved(format!("the snapshot of {zxid} could not be taken")));
            }
            (Step::StoringEpoch, StorageEvent::CurrentEpochStored(_)) => {
                self.step = Step::Acknowledged;
                local.learned();
                local.send(self.upstream.link, self.ack());
            }
            _ => {}
        }
        self.advance(local)
    }

    fn ack(&self) -> QuorumPacket {
        packet::plain(PacketType::Ack, Zxid::new(self.epoch, 0))
    }

    fn up_to_date(&mut self, local: &mut Local) -> Result<CaughtUp, Parting> {
        if self.step != Step::Acknowledged {
            return Err(Parting::misbehaved("UPTODATE before the ACK of NEWLEADER"));
        }
        if let Some(config) = self.config.take().filter(|config| self.is_agreed(config))
            && local.activate_config(config, None)
        {
            return Err(Parting { reason: CloseReason::RoleChanged, designated: None });
        }
        local.send(self.upstream.link, self.ack());
        local.commit(local.history.appended());
        local.vote.epoch = self.epoch;
        let held = std::mem::take(&mut self.held);
        Ok(CaughtUp { upstream: self.upstream, epoch: self.epoch, held })
    }
}

impl CatchUp {
    /// A Java leader tells the last change proposed. One of its own epoch may wait for its quorums still, and
    /// comes into force with the packet that says so.
    // Java: Learner.syncWithLeader, which puts it in force
    fn is_agreed(&self, config: &EnsembleConfig) -> bool {
        let made = Zxid(config.version);
        made.epoch() != self.epoch || made.counter() == 0 || made <= self.known
    }
}

/// A proposed reconfiguration is remembered.
pub(crate) fn see_reconfig(payload: &Bytes, local: &mut Local) {
    let config = packet::reconfig_text(payload).and_then(|text| EnsembleConfig::parse(&text).ok());
    if let Some(config) = config {
        local.see_config(config);
    }
}

/// A committed reconfiguration is put in force. When this server's role or leader changed, it parts.
pub(crate) fn activate(
    payload: &Bytes,
    designated: Option<ServerId>,
    local: &mut Local,
) -> Result<(), Parting> {
    let text = packet::reconfig_text(payload)
        .ok_or_else(|| Parting::misbehaved("no configuration to put in force"))?;
    let config = EnsembleConfig::parse(&text).map_err(|error| Parting::misbehaved(error.to_string()))?;
    if local.activate_config(config, designated) {
        return Err(Parting { reason: CloseReason::RoleChanged, designated });
    }
    Ok(())
}
