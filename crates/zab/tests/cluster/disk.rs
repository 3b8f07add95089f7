//! What one server's disk holds durably.

use std::collections::BTreeMap;

use bytes::Bytes;
use oxherd_proto::{Epoch, Zxid};
use oxherd_zab::{DurableState, Past, StorageCommand, StorageEvent};

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) snapshot_zxid: Zxid,
    pub(crate) snapshot: Vec<(Zxid, Bytes)>,
    pub(crate) log: BTreeMap<Zxid, Bytes>,
    pub(crate) accepted: Epoch,
    pub(crate) current: Epoch,
    /// Empty, and nobody said that it may be.
    pub(crate) wiped: bool,
    /// Nobody said whether it may be empty, and as long as it is it counts as `Past::Empty`.
    pub(crate) blank: bool,
}

impl Disk {
    pub(crate) fn last(&self) -> Zxid {
        self.log.last_key_value().map_or(self.snapshot_zxid, |(zxid, _)| *zxid)
    }

    /// Snapshot and log.
    pub(crate) fn history(&self) -> Vec<(Zxid, Bytes)> {
        let log = self.log.iter().map(|(zxid, payload)| (*zxid, payload.clone()));
        self.snapshot.iter().cloned().chain(log).collect()
    }

    pub(crate) fn holds(&self, zxid: Zxid, payload: &Bytes) -> bool {
        let in_log = self.log.get(&zxid).is_some_and(|each| each == payload);
        in_log || self.snapshot.iter().any(|(each, other)| *each == zxid && other == payload)
    }

    pub(crate) fn recover(&self, recent_max: usize) -> DurableState {
        let log: Vec<_> = self.log.iter().map(|(zxid, payload)| (*zxid, payload.clone())).collect();
        let first = log.len().saturating_sub(recent_max);
        let recent_after = if first == 0 { self.snapshot_zxid } else { log[first - 1].0 };
        let is_empty = self.last() == Zxid::ZERO && self.current == Epoch(0);
        let past = match () {
            () if self.wiped => Past::Unknown,
            () if self.blank && is_empty => Past::Empty,
            () => Past::Whole(self.last()),
        };
        DurableState {
            past,
            accepted_epoch: self.accepted,
            current_epoch: self.current,
            log_complete_after: self.snapshot_zxid,
            recent: log[first..].to_vec(),
            recent_after,
        }
    }

    pub(crate) fn append(&mut self, zxid: Zxid, payload: Bytes) {
        assert!(zxid > self.last(), "the log grows");
        self.wiped = false;
        self.log.insert(zxid, payload);
    }

    pub(crate) fn install(&mut self, zxid: Zxid, tree: Vec<(Zxid, Bytes)>) {
        self.wiped = false;
        self.snapshot_zxid = zxid;
        self.snapshot = tree;
        self.log.clear();
    }

    /// An ordinary snapshot of the tree, and older logs purged.
    pub(crate) fn compact(&mut self, applied: &[(Zxid, Bytes)]) {
        let Some((zxid, _)) = applied.last() else { return };
        self.snapshot_zxid = *zxid;
        self.snapshot = applied.to_vec();
        self.log.retain(|each, _| each > zxid);
    }

    pub(crate) fn carry_out(
        &mut self,
        command: StorageCommand,
        applied: &mut Vec<(Zxid, Bytes)>,
    ) -> StorageEvent {
        match command {
            StorageCommand::Append { zxid, payload } => {
                self.append(zxid, payload);
                StorageEvent::Synced(zxid)
            }
            StorageCommand::Truncate(zxid) => {
                self.log.retain(|each, _| *each <= zxid);
                if applied.last().is_some_and(|(last, _)| *last > self.last()) {
                    *applied = self.history();
                }
                StorageEvent::Truncated(self.last())
            }
            StorageCommand::StoreAcceptedEpoch(epoch) => {
                assert!(epoch > self.accepted, "epochs grow");
                self.accepted = epoch;
                StorageEvent::AcceptedEpochStored(epoch)
            }
            StorageCommand::StoreCurrentEpoch(epoch) => {
                assert!(epoch >= self.current, "epochs do not go back");
                self.current = epoch;
                StorageEvent::CurrentEpochStored(epoch)
            }
            StorageCommand::ReadLog { id, from, through } => {
                let txns = self.log.contains_key(&from).then(|| {
                    let range = self.log.range(from..=through.max(from));
                    range.map(|(zxid, payload)| (*zxid, payload.clone())).collect()
                });
                StorageEvent::LogRead { id, txns }
            }
            StorageCommand::InstallSnapshot { .. } => unreachable!("the cluster has the bytes"),
        }
    }
}
