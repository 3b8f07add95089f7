//! What the history says, told again in the simplest way: each node's values by zxid, sessions, owners.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use oxherd_proto::{SessionId, TxnRecord, Xid, Zxid, decode_txn};

use crate::dice::print_of;

/// The history as clients may see it.
#[derive(Debug, Default)]
pub(crate) struct Model {
    values: BTreeMap<Bytes, Vec<(Zxid, Option<u64>)>>,
    writes: BTreeMap<Zxid, (SessionId, Xid)>,
    owners: BTreeMap<Bytes, SessionId>,
    /// Sessions that live at the end of the history, with their timeouts in ms.
    pub(crate) living: BTreeMap<SessionId, i32>,
}

impl Model {
    /// Adds the next committed txn.
    pub(crate) fn commit(&mut self, zxid: Zxid, payload: Bytes) {
        let txn = decode_txn(payload).expect("a replica made the txn");
        let session = txn.header.client_id;
        self.writes.insert(zxid, (session, txn.header.cxid));
        match &txn.record {
            TxnRecord::CreateSession(created) => {
                self.living.insert(session, created.time_out);
            }
            TxnRecord::CloseSession(_) => {
                self.living.remove(&session);
                let owned: Vec<Bytes> = self
                    .owners
                    .iter()
                    .filter(|(_, owner)| **owner == session)
                    .map(|(path, _)| path.clone())
                    .collect();
                owned.iter().for_each(|path| self.set(zxid, path, None));
            }
            record => self.change(zxid, session, record),
        }
    }

    fn change(&mut self, zxid: Zxid, session: SessionId, record: &TxnRecord) {
        match record {
            TxnRecord::Create(create) => {
                let path = create.path.clone().into_bytes();
                self.set(zxid, &path, Some(print_of(create.data.as_deref().unwrap_or_default())));
                if create.ephemeral {
                    self.owners.insert(path, session);
                }
            }
            TxnRecord::SetData(set) => {
                let path = set.path.clone().into_bytes();
                self.set(zxid, &path, Some(print_of(set.data.as_deref().unwrap_or_default())));
            }
            TxnRecord::Delete(delete) => self.set(zxid, &delete.path.clone().into_bytes(), None),
            TxnRecord::Multi(subs) => {
                let failed = subs.iter().any(|sub| matches!(sub.record, TxnRecord::Error(_)));
                if !failed {
                    subs.iter().for_each(|sub| self.change(zxid, session, &sub.record));
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, zxid: Zxid, path: &Bytes, value: Option<u64>) {
        if value.is_none() {
            self.owners.remove(path);
        }
        self.values.entry(path.clone()).or_default().push((zxid, value));
    }

    /// The node's value as of a zxid.
    pub(crate) fn value(&self, path: &[u8], zxid: Zxid) -> Option<u64> {
        let values = self.values.get(path)?;
        let end = values.partition_point(|(at, _)| *at <= zxid);
        values.get(end.checked_sub(1)?)?.1
    }

    /// When the node changed for the first time behind a zxid.
    pub(crate) fn first_change(&self, path: &[u8], after: Zxid) -> Option<Zxid> {
        let values = self.values.get(path)?;
        values.get(values.partition_point(|(at, _)| *at <= after)).map(|(at, _)| *at)
    }

    /// Whose write a zxid is.
    pub(crate) fn write(&self, zxid: Zxid) -> Option<(SessionId, Xid)> {
        self.writes.get(&zxid).copied()
    }

    /// Sessions that live.
    pub(crate) fn sessions(&self) -> BTreeSet<SessionId> {
        self.living.keys().copied().collect()
    }
}
