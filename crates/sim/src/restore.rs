//! From files to a tree, its sessions and what agreement wants to know, as the server does it.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;

use bytes::Bytes;
use oxherd_proto::{Epoch, SessionId, TxnHeader, TxnRecord, Zxid, decode_txn};
use oxherd_storage::{
    BodyProgress, Compression, Disk, Layout, Recovery, RecoverySink, Seal, SnapshotBody, SnapshotFile,
    SnapshotWriter, StorageError, read_epochs, recover,
};
use oxherd_tree::{Change, LoadProgress, Loader, Tree, TreeOptions, WalkState};
use oxherd_zab::{DurableState, Past};

/// What was read.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The tree.
    pub(crate) tree: Tree,
    /// Sessions alive at its last txn, with their timeouts in ms.
    pub(crate) sessions: Vec<(SessionId, i32)>,
    /// What recovery says.
    pub(crate) recovery: Recovery,
    /// Txns of the log behind the snapshot, in order.
    pub(crate) txns: Vec<(Zxid, Bytes)>,
    /// What a member votes with.
    pub(crate) durable: DurableState,
}

/// The tree, its sessions with their timeouts in ms, and its last txn.
pub(crate) type Reloaded = (Tree, Vec<(SessionId, i32)>, Zxid);

#[derive(Default)]
struct Body(Option<Loader>);

impl SnapshotBody for Body {
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>> {
        let Some(loader) = &mut self.0 else { return Err("no snapshot was begun".into()) };
        Ok(match loader.push(bytes)? {
            LoadProgress::More => BodyProgress::More,
            LoadProgress::Done { consumed } => BodyProgress::Done { consumed },
        })
    }
}

#[derive(Default)]
struct Sink {
    body: Body,
    tree: Option<Tree>,
    sessions: BTreeMap<SessionId, i32>,
    changes: Vec<Change>,
    txns: Vec<(Zxid, Bytes)>,
}

impl RecoverySink for Sink {
    fn begin_snapshot(&mut self, _file: &SnapshotFile) -> &mut dyn SnapshotBody {
        self.body = Body(Some(Loader::new(TreeOptions::default())));
        &mut self.body
    }

    fn end_snapshot(&mut self, file: &SnapshotFile, _seal: &Seal) -> Result<(), StorageError> {
        let refused = |reason: String| StorageError::Refused(reason);
        let loader = self.body.0.take().ok_or_else(|| refused("no snapshot was begun".to_owned()))?;
        let (mut tree, sessions) = loader.finish().map_err(|error| refused(error.to_string()))?;
        tree.set_last_zxid(file.zxid);
        self.sessions = sessions.into_iter().collect();
        self.tree = Some(tree);
        Ok(())
    }

    fn txn(&mut self, zxid: Zxid, payload: Bytes) -> Result<(), StorageError> {
        self.txns.push((zxid, payload.clone()));
        let txn =
            decode_txn(payload).map_err(|error| StorageError::Refused(format!("txn {zxid}: {error}")))?;
        match &txn.record {
            TxnRecord::CreateSession(created) => {
                self.sessions.insert(txn.header.client_id, created.time_out);
            }
            TxnRecord::CloseSession(_) => {
                self.sessions.remove(&txn.header.client_id);
            }
            _ => {}
        }
        let tree = self.tree.get_or_insert_with(|| Tree::new(TreeOptions::default()));
        self.changes.clear();
        tree.apply(&txn.header, &txn.record, &mut self.changes);
        Ok(())
    }

    fn progress(&mut self, _done: u64, _total: u64) {}
}

/// Reads what a start reads. `member` is how many txns to keep for learners, and `None` for a server alone.
pub(crate) fn restore<D: Disk>(
    disk: &D,
    layout: &Layout,
    member: Option<usize>,
) -> Result<Restored, StorageError> {
    layout.open(disk, true)?;
    let mut sink = Sink::default();
    let recovery = recover(disk, layout, false, &mut sink)?;
    let mut durable = DurableState::default();
    if let Some(recent_max) = member {
        durable = durable_state(disk, layout, &recovery, &sink.txns, recent_max)?;
    }
    let mut tree = sink.tree.unwrap_or_else(|| Tree::new(TreeOptions::default()));
    let sessions: Vec<_> = sink.sessions.into_iter().collect();
    if member.is_none() {
        end_orphans(&mut tree, &sessions);
    }
    if recovery.snapshot.is_none() && (member.is_none() || durable.past != Past::Unknown) {
        write_snapshot(disk.clone(), layout, &mut tree, &sessions)?;
    }
    Ok(Restored { tree, sessions, recovery, txns: sink.txns, durable })
}

/// Reads what the files hold after the log was cut.
pub(crate) fn reload<D: Disk>(disk: &D, layout: &Layout) -> Result<Reloaded, StorageError> {
    let mut sink = Sink::default();
    let recovery = recover(disk, layout, true, &mut sink)?;
    let mut tree = sink.tree.unwrap_or_else(|| Tree::new(TreeOptions::default()));
    tree.set_last_zxid(recovery.last_zxid);
    Ok((tree, sink.sessions.into_iter().collect(), recovery.last_zxid))
}

fn durable_state<D: Disk>(
    disk: &D,
    layout: &Layout,
    recovery: &Recovery,
    txns: &[(Zxid, Bytes)],
    recent_max: usize,
) -> Result<DurableState, StorageError> {
    let is_empty = |current| recovery.last_zxid == Zxid::ZERO && current == Epoch(0);
    let epochs = read_epochs(disk, &layout.snap_dir, recovery.last_zxid)?;
    let snapshot = recovery.snapshot.as_ref().map_or(Zxid::ZERO, |file| file.zxid);
    let first = txns.len().saturating_sub(recent_max);
    let recent: VecDeque<_> = txns[first..].iter().cloned().collect();
    Ok(DurableState {
        past: match () {
            () if layout.is_incomplete(disk)? => Past::Unknown,
            // Neither a new server's disk nor one that was emptied has an `initialize` file.
            () if is_empty(epochs.current) => Past::Empty,
            () => Past::Whole(recovery.last_zxid),
        },
        accepted_epoch: epochs.accepted,
        current_epoch: epochs.current,
        log_complete_after: snapshot,
        recent: recent.into(),
        recent_after: if first == 0 { snapshot } else { txns[first - 1].0 },
    })
}

fn end_orphans(tree: &mut Tree, sessions: &[(SessionId, i32)]) {
    let known = |session: &SessionId| sessions.iter().any(|(id, _)| id == session);
    let orphans: Vec<SessionId> = tree.sessions_with_ephemerals().filter(|session| !known(session)).collect();
    for session in orphans {
        let header = TxnHeader { client_id: session, zxid: tree.last_zxid(), ..TxnHeader::default() };
        tree.apply(&header, &TxnRecord::CloseSession(None), &mut Vec::new());
    }
}

/// Writes a whole tree as a snapshot, at once.
pub(crate) fn write_snapshot<D: Disk>(
    disk: D,
    layout: &Layout,
    tree: &mut Tree,
    sessions: &[(SessionId, i32)],
) -> Result<(), StorageError> {
    let zxid = tree.last_zxid();
    let seal = Seal { digest: Some((zxid, tree.digest())), last_zxid: Some(zxid) };
    let body = whole_body(tree, sessions);
    let mut file = SnapshotWriter::begin(disk, &layout.snap_dir, zxid, Compression::None)?;
    file.write(&body)?;
    file.finish(&seal).map(|_| ())
}

/// The body of a snapshot of the tree as it is.
pub(crate) fn whole_body(tree: &mut Tree, sessions: &[(SessionId, i32)]) -> Vec<u8> {
    let walk = tree.begin_walk(sessions.to_vec());
    let mut body = Vec::new();
    while tree.walk_slice(walk, &mut body, 4096) == WalkState::More {}
    tree.end_walk(walk);
    body
}
