//! Which ensembles were agreed on, and which have a say in a txn.

use std::collections::BTreeMap;

use bytes::Bytes;
use oxherd_proto::{Epoch, OpCode, ServerId, TxnRecord, Zxid, decode_txn};
use oxherd_zab::EnsembleConfig;

use crate::invariants::committed_log_durability::Homes;
use crate::invariants::one_active_ensemble::{self, Reign};
use crate::invariants::{both_quorums, committed_log_durability};
use crate::verdict::Check;

/// The ensembles of a run.
#[derive(Debug)]
pub(crate) struct Ensembles {
    /// Agreed on, each with the zxid that made it, oldest first.
    agreed: Vec<(Zxid, EnsembleConfig)>,
    /// The change that was pending when a txn was proposed.
    pending_at: BTreeMap<Zxid, Zxid>,
    /// Changes proposed.
    proposed: BTreeMap<Zxid, EnsembleConfig>,
    /// Leaders that are alive.
    reigns: BTreeMap<ServerId, Reign>,
}

/// The ensemble that a txn makes; `None` for all other txns.
pub(crate) fn made_by(payload: &Bytes) -> Option<EnsembleConfig> {
    let txn = decode_txn(payload.clone()).ok().filter(|txn| txn.header.kind == OpCode::Reconfig.code())?;
    let TxnRecord::SetData(set) = txn.record else { return None };
    EnsembleConfig::parse(&String::from_utf8_lossy(&set.data?)).ok()
}

impl Ensembles {
    /// The first one comes from files.
    pub(crate) fn new(first: EnsembleConfig) -> Self {
        Self {
            agreed: vec![(Zxid::ZERO, first)],
            pending_at: BTreeMap::new(),
            proposed: BTreeMap::new(),
            reigns: BTreeMap::new(),
        }
    }

    /// The one agreed on last.
    pub(crate) fn last(&self) -> &EnsembleConfig {
        &self.agreed.last().expect("the first one stays").1
    }

    /// The one agreed on last, and the change under way, if there is one.
    pub(crate) fn in_play(&self) -> impl Iterator<Item = &EnsembleConfig> {
        let pending = self.proposed.last_key_value().filter(|(zxid, _)| !self.is_agreed(**zxid));
        std::iter::once(self.last()).chain(pending.map(|(_, config)| config))
    }

    fn is_agreed(&self, zxid: Zxid) -> bool {
        self.agreed.last().is_some_and(|(last, _)| *last >= zxid)
    }

    /// A leader proposes a txn.
    pub(crate) fn proposed(&mut self, zxid: Zxid, payload: &Bytes) {
        let pending = self.proposed.keys().next_back().copied();
        if let Some(change) =
            pending.filter(|change| change.epoch() == zxid.epoch() && !self.is_agreed(*change))
        {
            self.pending_at.entry(zxid).or_insert(change);
        }
        if let Some(config) = made_by(payload) {
            self.proposed.insert(zxid, config);
        }
    }

    /// An ensemble is in force somewhere; `behind` stand behind it with their disks.
    pub(crate) fn activated(&mut self, config: &EnsembleConfig, behind: &Homes) -> Check {
        let zxid = Zxid(config.version);
        if zxid.counter() == 0 && config.members == self.last().members {
            // It gets its version with its first leader, and weights are written out.
            let last = self.agreed.last_mut().expect("the first one stays");
            last.1.version = last.1.version.max(config.version);
            return Ok(());
        }
        if self.is_agreed(zxid) {
            return Ok(());
        }
        both_quorums::check(&[self.last(), config], zxid, behind)?;
        self.agreed.push((zxid, config.clone()));
        Ok(())
    }

    /// Whether `behind` are enough for a txn that is delivered for the first time. One that a later leader found
    /// in its history needs what that leader needs.
    pub(crate) fn delivered(&self, zxid: Zxid, inherited: bool, behind: &Homes) -> Check {
        let at = self.agreed.partition_point(|(since, _)| *since <= zxid).saturating_sub(1);
        let pending = self.pending_at.get(&zxid).copied();
        if at > 0 && pending == Some(self.agreed[at].0) && !inherited {
            both_quorums::check(&[&self.agreed[at - 1].1, &self.agreed[at].1], zxid, behind)?;
        }
        committed_log_durability::on_quorum(&self.agreed[at].1, zxid, behind)
    }

    /// What a leader that is established goes by; nothing when it is one no longer.
    pub(crate) fn reigns(
        &mut self,
        id: ServerId,
        reign: Option<Reign>,
        accepted: &BTreeMap<ServerId, Epoch>,
    ) -> Check {
        match reign {
            Some(reign) => {
                self.reigns.insert(id, reign);
                let reigns: Vec<Reign> = self.reigns.values().cloned().collect();
                one_active_ensemble::check(&reigns, accepted)
            }
            None => {
                self.reigns.remove(&id);
                Ok(())
            }
        }
    }
}
