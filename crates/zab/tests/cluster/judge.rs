//! The promises of agreement, checked at every output; and outputs in words.

use std::collections::BTreeMap;

use bytes::Bytes;
use oxherd_proto::{
    Epoch, Notification, OpCode, PacketType, PeerState, QuorumPacket, ServerId, TxnRecord, Zxid, decode_txn,
};
use oxherd_zab::{EnsembleConfig, Output, Role, StorageCommand, StorageEvent};

use super::{Cluster, Server};

pub(crate) struct Judge {
    ensemble: EnsembleConfig,
    /// What any server has served, in order: the history.
    pub(crate) history: Vec<(Zxid, Bytes)>,
    /// The epoch last announced on each pipe.
    announced: BTreeMap<u64, Epoch>,
    /// Scripts that forge a leader's packets have no history to judge.
    pub(crate) is_off: bool,
    pub(crate) leaders: BTreeMap<Epoch, ServerId>,
}

impl Judge {
    pub(crate) fn new(ensemble: EnsembleConfig) -> Self {
        Self {
            ensemble,
            history: Vec::new(),
            announced: BTreeMap::new(),
            is_off: false,
            leaders: BTreeMap::new(),
        }
    }

    /// Durability order and votes: nothing leaves before the disk has what it says.
    pub(crate) fn output(&mut self, id: ServerId, output: &Output, servers: &BTreeMap<ServerId, Server>) {
        let disk = &servers[&id].disk;
        match output {
            Output::Send { packet, .. } if packet.kind == PacketType::Ack => {
                let zxid = packet.zxid;
                if zxid.counter() == 0 {
                    assert_eq!(disk.current, zxid.epoch(), "s{id} acknowledges an epoch it has not stored");
                } else {
                    assert!(
                        disk.last() >= zxid,
                        "s{id} acknowledges {zxid}, its log ends at {}",
                        disk.last()
                    );
                }
            }
            Output::Send { link, packet } if packet.kind == PacketType::AckEpoch => {
                let announced = self.announced.get(&Cluster::place(*link).0).copied().unwrap_or_default();
                assert!(disk.accepted >= announced, "s{id} accepts epoch {announced} before its disk has it");
                assert!(packet.zxid <= disk.last(), "s{id} claims {}", packet.zxid);
            }
            Output::Send { link, packet } if packet.kind == PacketType::LeaderInfo => {
                self.announced.insert(Cluster::place(*link).0, packet.zxid.epoch());
                assert!(disk.accepted >= packet.zxid.epoch(), "s{id} announces an epoch it has not accepted");
            }
            Output::Notify { body, .. } => {
                let vote = Notification::decode(body.clone()).unwrap();
                if vote.leader == id && vote.state == PeerState::Looking {
                    assert!(
                        vote.zxid <= disk.last(),
                        "s{id} votes with {} and has {}",
                        vote.zxid,
                        disk.last()
                    );
                    assert_eq!(vote.peer_epoch, disk.current);
                }
            }
            Output::Role(Role::Leading { epoch }) => {
                let former = self.leaders.insert(*epoch, id);
                assert!(former.is_none_or(|former| former == id), "two leaders of epoch {epoch}");
            }
            _ => {}
        }
    }

    /// What a server serves agrees with what others serve, and a quorum of disks holds it.
    pub(crate) fn serves(&mut self, id: ServerId, servers: &BTreeMap<ServerId, Server>) {
        if self.is_off {
            return;
        }
        let applied = &servers[&id].applied;
        let common = applied.len().min(self.history.len());
        assert_eq!(applied[..common], self.history[..common], "s{id} serves another history");
        for (zxid, payload) in &applied[common..] {
            let holders = servers.iter().filter(|(_, server)| server.disk.holds(*zxid, payload));
            let holders = holders.map(|(id, _)| *id).collect();
            assert!(self.ensemble.is_quorum(&holders), "s{id} serves {zxid}, and only {holders:?} hold it");
            if let Some(config) = reconfig_of(payload) {
                assert!(config.is_quorum(&holders), "s{id} serves {zxid}, without the quorum it makes");
                self.ensemble = config;
            }
            self.history.push((*zxid, payload.clone()));
        }
    }

    /// No quorum of disks could elect a leader without what was served.
    pub(crate) fn survives(&self, servers: &BTreeMap<ServerId, Server>) {
        for (zxid, payload) in &self.history {
            let holders = servers.iter().filter(|(_, server)| server.disk.holds(*zxid, payload));
            let holders = holders.map(|(id, _)| *id).collect();
            assert!(
                self.ensemble.is_quorum(&holders),
                "{zxid} was served, and only {holders:?} still hold it"
            );
        }
    }
}

/// The ensemble that a txn makes, if it is one of those.
fn reconfig_of(payload: &Bytes) -> Option<EnsembleConfig> {
    if payload[28..32] != OpCode::Reconfig.code().to_be_bytes() {
        return None;
    }
    let TxnRecord::SetData(txn) = decode_txn(payload.clone()).unwrap().record else { return None };
    Some(EnsembleConfig::parse(&String::from_utf8_lossy(&txn.data.unwrap())).unwrap())
}

pub(crate) fn zxid_text(zxid: Zxid) -> String {
    if zxid.0 < 0 { zxid.0.to_string() } else { format!("{}.{}", zxid.epoch().0, zxid.counter()) }
}

pub(crate) fn command_text(command: &StorageCommand) -> String {
    match command {
        StorageCommand::Append { zxid, .. } => format!("append {}", zxid_text(*zxid)),
        StorageCommand::Truncate(zxid) => format!("truncate {}", zxid_text(*zxid)),
        StorageCommand::StoreAcceptedEpoch(epoch) => format!("accepted epoch {}", epoch.0),
        StorageCommand::StoreCurrentEpoch(epoch) => format!("current epoch {}", epoch.0),
        StorageCommand::InstallSnapshot { zxid, .. } => format!("install snapshot {}", zxid_text(*zxid)),
        StorageCommand::ReadLog { from, through, .. } => {
            format!("read log {} to {}", zxid_text(*from), zxid_text(*through))
        }
    }
}

pub(crate) fn event_text(event: &StorageEvent) -> String {
    match event {
        StorageEvent::Synced(zxid) => format!("synced {}", zxid_text(*zxid)),
        StorageEvent::Truncated(zxid) => format!("truncated to {}", zxid_text(*zxid)),
        StorageEvent::AcceptedEpochStored(epoch) => format!("accepted epoch {}", epoch.0),
        StorageEvent::CurrentEpochStored(epoch) => format!("current epoch {}", epoch.0),
        StorageEvent::SnapshotInstalled(zxid) => format!("installed snapshot {}", zxid_text(*zxid)),
        StorageEvent::SnapshotRefused(zxid) => format!("refused snapshot {}", zxid_text(*zxid)),
        StorageEvent::LogRead { txns, .. } => format!("read {:?} txns", txns.as_ref().map(Vec::len)),
        StorageEvent::Failed(why) => format!("failed: {why}"),
    }
}

pub(crate) fn notification_text(body: &Bytes) -> String {
    let n = Notification::decode(body.clone()).unwrap();
    let state = format!("{:?}", n.state).to_uppercase();
    if n.leader.0 == i64::MIN {
        return format!("{state} round {}, no vote", n.election_epoch);
    }
    let (epoch, zxid) = (n.peer_epoch.0, zxid_text(n.zxid));
    format!("{state} round {}, vote s{} epoch {epoch} zxid {zxid}", n.election_epoch, n.leader)
}

pub(crate) fn packet_text(packet: &QuorumPacket) -> String {
    let name = format!("{:?}", packet.kind).to_uppercase();
    match packet.kind {
        PacketType::AckEpoch => {
            let data = packet.data.as_deref().unwrap();
            let epoch = i32::from_be_bytes(data.try_into().unwrap());
            format!("{name} {} epoch {epoch}", zxid_text(packet.zxid))
        }
        PacketType::NewLeader => {
            let text = String::from_utf8_lossy(packet.data.as_deref().unwrap()).into_owned();
            format!("{name} {} {}", zxid_text(packet.zxid), last_line(&text))
        }
        PacketType::Ping => format!("{name} {}", packet.data.as_ref().map_or(0, |data| data.len() / 12)),
        PacketType::UpToDate | PacketType::Request | PacketType::Revalidate | PacketType::Sync => name,
        _ => format!("{name} {}", zxid_text(packet.zxid)),
    }
}

pub(crate) fn role_text(role: Role) -> String {
    match role {
        Role::Looking => "looking".to_owned(),
        Role::ReadOnly => "read-only".to_owned(),
        Role::Synchronizing { leader } => format!("synchronizing with s{leader}"),
        Role::Leading { epoch } => format!("LEADING epoch {}", epoch.0),
        Role::Following { leader, epoch } => format!("FOLLOWING s{leader} epoch {}", epoch.0),
        Role::Observing { leader, epoch } => format!("OBSERVING s{leader} epoch {}", epoch.0),
        Role::Stopped { failed } => if failed { "failed" } else { "stopped" }.to_owned(),
    }
}

pub(crate) fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}
