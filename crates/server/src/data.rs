//! Opens the data directories: lock, recovery into a tree, and the log to go on with.

use std::error::Error;
use std::path::Path;

use bytes::Bytes;
use oxherd_config::Config;
use oxherd_config::Mode;
use oxherd_metrics::Namespaces;
use oxherd_proto::{SessionId, TxnHeader, TxnRecord, Zxid, decode_txn};
use oxherd_replica::Recovered;
use oxherd_storage::{
    BodyProgress, DirLock, Layout, Log, LogOptions, OsDisk, Recovery, RecoverySink, Seal, SnapshotBody,
    SnapshotFile, StorageError, read_epochs, recover, remove_received,
};
use oxherd_tree::{Change, LoadProgress, Tree, TreeOptions, namespace};
use oxherd_zab::{DurableState, Past};
use tracing::{error, info, warn};

use crate::load_times::LoadTimes;
use crate::progress::Progress;
use crate::server::StartError;
use crate::tree_load::{TreeLoad, TreeLoadError};
use crate::{settings, snapshot_thread, standing};

/// Keeps other servers away from the directories.
#[derive(Debug)]
pub(crate) struct Lock {
    _data: DirLock,
    _log: Option<DirLock>,
}

/// The files a running server writes.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) layout: Layout,
    pub(crate) log: Log<OsDisk>,
}

/// What a server starts from.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) tree: Tree,
    pub(crate) recovered: Recovered,
    /// What a member of an ensemble votes with; nothing for a server alone.
    pub(crate) durable: Option<DurableState>,
    pub(crate) files: Files,
    pub(crate) times: LoadTimes,
    /// What the txns of the log wrote, which counts like what comes later.
    pub(crate) written: Namespaces,
    pub(crate) lock: Lock,
}

/// Opens the directories, creating them where that is allowed.
pub(crate) fn open(config: &Config, hash_seed: u64) -> Result<Opened, StartError> {
    let data_dir = &config.storage.data_dir;
    let layout = Layout::new(data_dir, Some(config.log_dir()));
    layout.open(&OsDisk, config.storage.create_dirs).map_err(|error| unusable(data_dir, &error))?;
    let lock = Lock::take(&layout).map_err(|error| unusable(data_dir, &error))?;
    remove_received(&OsDisk, &layout.snap_dir).map_err(|error| unusable(data_dir, &error))?;
    let is_member = config.mode == Mode::Ensemble;
    let mut restore = Restore::new(settings::tree_options(config, hash_seed));
    restore.recent_max = if is_member { settings::positive_len(config.quorum.commit_log_count) } else { 0 };
    let recovery = recover(&OsDisk, &layout, config.storage.trust_empty, &mut restore)
        .map_err(|error| refused(config, &error))?;
    restore.times.txns_read(recovery.txns);
    report(&recovery, &layout);
    let times = restore.times;
    let written = std::mem::take(&mut restore.written);
    if !is_member && layout.is_incomplete(&OsDisk).map_err(|error| refused(config, &error))? {
        return Err(refused(config, &incomplete_alone(&layout)));
    }
    let durable =
        if is_member { Some(durable_state(config, &layout, &recovery, &mut restore)?) } else { None };
    let (mut tree, sessions) = restore.finish();
    if !is_member {
        // Members leave that to their leader, so that all do the same.
        end_orphans(&mut tree, &sessions, &written);
    }
    let unexplained = durable.as_ref().is_some_and(|durable| durable.past == Past::Unknown);
    let is_moved = is_member && !unexplained && standing::is_foreign(config, &tree);
    if (recovery.snapshot.is_none() && !unexplained) || is_moved {
        if is_member {
            standing::name_ensemble(config, &mut tree);
        }
        // The original refuses logs without any snapshot beside them, so there is one from the start.
        snapshot_thread::write_first(config, &layout, &mut tree, &sessions)
            .map_err(|error| unusable(data_dir, &error))?;
    }
    let options = log_options(config);
    let log =
        Log::open(OsDisk, &layout.log_dir, options).map_err(|error| unusable(&layout.log_dir, &error))?;
    let recovered = Recovered { sessions, last_zxid: recovery.last_zxid, txns_since_snapshot: recovery.txns };
    Ok(Opened { tree, recovered, durable, files: Files { layout, log }, times, written, lock })
}

/// What is durable here, as agreement wants to know it.
// Java: FileTxnSnapLog.restore, QuorumPeer.loadDataBase
fn durable_state(
    config: &Config,
    layout: &Layout,
    recovery: &Recovery,
    restore: &mut Restore,
) -> Result<DurableState, StartError> {
    let refused = |error: StorageError| refused(config, &error);
    let epochs = read_epochs(&OsDisk, &layout.snap_dir, recovery.last_zxid).map_err(refused)?;
    let tree = restore.tree.as_ref();
    let past = standing::past(config, layout, recovery, epochs.current, tree).map_err(refused)?;
    let snapshot_zxid = recovery.snapshot.as_ref().map_or(Zxid::ZERO, |file| file.zxid);
    Ok(DurableState {
        past,
        accepted_epoch: epochs.accepted,
        current_epoch: epochs.current,
        log_complete_after: snapshot_zxid,
        recent: std::mem::take(&mut restore.recent).into(),
        recent_after: restore.recent_after.unwrap_or(snapshot_zxid),
    })
}

fn incomplete_alone(layout: &Layout) -> StorageError {
    StorageError::Refused(format!(
        "acknowledged txns or epochs are missing here, and this server has no ensemble to learn them from: put back \
         a backup, or remove {} to serve what is there",
        layout.incomplete_path().display()
    ))
}

/// What the files hold by now.
#[derive(Debug)]
pub(crate) struct Reloaded {
    pub(crate) tree: Tree,
    pub(crate) sessions: Vec<(SessionId, i32)>,
    /// The last txn.
    pub(crate) last_zxid: Zxid,
}

/// Reads the files anew.
pub(crate) fn reload(layout: &Layout, options: TreeOptions) -> Result<Reloaded, StorageError> {
    let mut restore = Restore::new(options);
    let recovery = recover(&OsDisk, layout, true, &mut restore)?;
    let (tree, sessions) = restore.finish();
    Ok(Reloaded { tree, sessions, last_zxid: recovery.last_zxid })
}

fn unusable(path: &Path, error: &StorageError) -> StartError {
    let way_out = match error {
        StorageError::Io { .. } => {
            "; check the path, that its disk is mounted, and that this user may write there"
        }
        _ => "",
    };
    StartError::DataDirectory { path: path.to_owned(), reason: format!("{error}{way_out}") }
}

impl Lock {
    /// Takes both directories.
    pub(crate) fn take(layout: &Layout) -> Result<Self, StorageError> {
        let data = DirLock::take(&layout.snap_dir)?;
        let log =
            if layout.log_dir == layout.snap_dir { None } else { Some(DirLock::take(&layout.log_dir)?) };
        Ok(Self { _data: data, _log: log })
    }
}

/// A refusal, with the command that explains it and says what can be done.
fn refused(config: &Config, error: &StorageError) -> StartError {
    let data = config.storage.data_dir.display();
    let log = match config.log_dir() == config.storage.data_dir {
        true => String::new(),
        false => format!(" --log-dir '{}'", config.log_dir().display()),
    };
    StartError::Recovery(format!(
        "{error}; to see what is there and what would be lost: oxherd repair '{data}'{log}"
    ))
}

/// How the log is written.
pub(crate) fn log_options(config: &Config) -> LogOptions {
    let kilobytes = |count: i64| u64::try_from(count).unwrap_or(0) * 1024;
    LogOptions {
        preallocate_bytes: kilobytes(config.storage.preallocate_kb),
        file_bytes_max: (config.storage.log_size_kb > 0).then(|| kilobytes(config.storage.log_size_kb)),
        sync: config.storage.force_sync,
    }
}

fn report(recovery: &Recovery, layout: &Layout) {
    for (path, reason) in &recovery.skipped {
        warn!(path = %path.display(), %reason, "this snapshot is no good; an older one is used");
    }
    if let Some(torn) = &recovery.torn {
        warn!(path = %torn.path.display(), offset = torn.offset, reason = %torn.reason,
              "cut off the torn end of the log: a write that was never acknowledged");
    }
    let from = recovery.snapshot.as_ref().map_or(Zxid::ZERO, |file| file.zxid);
    info!(dir = %layout.snap_dir.display(), snapshot = %from, txns = recovery.txns, zxid = %recovery.last_zxid, "recovered");
}

/// Ephemeral nodes whose session is gone, which a server of an older release may have left.
// Java: ZooKeeperServer.loadData
fn end_orphans(tree: &mut Tree, sessions: &[(SessionId, i32)], written: &Namespaces) {
    let known = |session: &SessionId| sessions.iter().any(|(id, _)| id == session);
    let orphans: Vec<SessionId> = tree.sessions_with_ephemerals().filter(|session| !known(session)).collect();
    for session in orphans {
        warn!(%session, "removing the ephemeral nodes of a session that is gone");
        let header = TxnHeader { client_id: session, zxid: tree.last_zxid(), ..TxnHeader::default() };
        let mut changes = Vec::new();
        tree.apply(&header, &TxnRecord::CloseSession(None), &mut changes);
        count(&changes, written);
    }
}

// Java: DataTree.updateWriteStat
fn count(changes: &[Change], written: &Namespaces) {
    for (name, len) in changes.iter().filter_map(namespace::written) {
        written.add(name, len);
    }
}

/// Compares the digest that each txn in the log notes with the one of the tree it made.
///
/// A snapshot that was taken while nodes changed differs until replay has passed that time, so differences
/// count from the first agreement on.
// Java: DataTree.compareDigest
#[derive(Debug, Default)]
struct DigestCheck {
    agreed: bool,
    reported: bool,
}

impl DigestCheck {
    fn compare(&mut self, zxid: Zxid, noted: u64, found: u64) {
        if noted == found {
            self.agreed = true;
        } else if self.agreed && !self.reported {
            self.reported = true;
            error!(%zxid, "from this txn on the tree's digest is not the one the log notes: compare this server with \
                           the others of its ensemble, or with its backup");
        }
    }
}

/// Builds the tree and the session table while recovery reads.
struct Restore {
    times: LoadTimes,
    digests: DigestCheck,
    options: TreeOptions,
    body: Body,
    tree: Option<Tree>,
    sessions: std::collections::BTreeMap<SessionId, i32>,
    changes: Vec<Change>,
    written: Namespaces,
    replay: Option<Progress>,
    /// The last txns, at most so many.
    recent: std::collections::VecDeque<(Zxid, Bytes)>,
    recent_max: usize,
    /// The last txn that is no longer among them.
    recent_after: Option<Zxid>,
}

#[derive(Default)]
struct Body {
    /// Nothing before the first snapshot.
    load: Option<Result<TreeLoad, TreeLoadError>>,
    progress: Option<Progress>,
}

impl SnapshotBody for Body {
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>> {
        let load = match &mut self.load {
            Some(Ok(load)) => load,
            Some(Err(error)) => return Err(error.to_string().into()),
            None => return Err("no snapshot was begun".into()),
        };
        Ok(match load.push(bytes)? {
            LoadProgress::More => BodyProgress::More,
            LoadProgress::Done { consumed } => BodyProgress::Done { consumed },
        })
    }

    fn progress(&mut self, done: u64) {
        if let Some(progress) = &mut self.progress {
            progress.tell(done);
        }
    }
}

impl Restore {
    fn new(options: TreeOptions) -> Self {
        Self {
            times: LoadTimes::begin(),
            digests: DigestCheck::default(),
            options,
            body: Body::default(),
            tree: None,
            sessions: std::collections::BTreeMap::new(),
            changes: Vec::new(),
            written: Namespaces::default(),
            replay: None,
            recent: std::collections::VecDeque::new(),
            recent_max: 0,
            recent_after: None,
        }
    }

    fn keep(&mut self, zxid: Zxid, payload: &Bytes) {
        if self.recent_max == 0 {
            return;
        }
        if self.recent.len() == self.recent_max {
            self.recent_after = self.recent.pop_front().map(|(zxid, _)| zxid);
        }
        self.recent.push_back((zxid, payload.clone()));
    }

    fn finish(self) -> (Tree, Vec<(SessionId, i32)>) {
        let tree = self.tree.unwrap_or_else(|| Tree::new(self.options));
        (tree, self.sessions.into_iter().collect())
    }
}

impl RecoverySink for Restore {
    fn begin_snapshot(&mut self, file: &SnapshotFile) -> &mut dyn SnapshotBody {
        self.body = Body {
            load: Some(TreeLoad::begin(self.options, file.len)),
            progress: Some(Progress::new("loading the snapshot", file.len)),
        };
        &mut self.body
    }

    fn end_snapshot(&mut self, file: &SnapshotFile, seal: &Seal) -> Result<(), StorageError> {
        let refused = |reason: String| StorageError::Refused(format!("{}: {reason}", file.path.display()));
        let load = self.body.load.take().and_then(Result::ok);
        let load = load.ok_or_else(|| refused("no snapshot was begun".to_owned()))?;
        let (mut tree, sessions) = load.finish().map_err(|error| refused(error.to_string()))?;
        tree.set_last_zxid(file.zxid);
        if let Some((zxid, digest)) = seal.digest
            && zxid == file.zxid
            && digest != tree.digest()
        {
            warn!(path = %file.path.display(), "the snapshot's digest is not that of its nodes; it was taken while they changed");
        }
        self.sessions = sessions.into_iter().collect();
        self.tree = Some(tree);
        self.times.snapshot_read();
        Ok(())
    }

    fn txn(&mut self, zxid: Zxid, payload: Bytes) -> Result<(), StorageError> {
        self.keep(zxid, &payload);
        let txn = decode_txn(payload).map_err(|error| {
            StorageError::Refused(format!("the txn {zxid} in the log cannot be read: {error}"))
        })?;
        match &txn.record {
            TxnRecord::CreateSession(created) => {
                self.sessions.insert(txn.header.client_id, created.time_out);
            }
            TxnRecord::CloseSession(_) => {
                self.sessions.remove(&txn.header.client_id);
            }
            _ => {}
        }
        let tree = self.tree.get_or_insert_with(|| Tree::new(self.options));
        self.changes.clear();
        tree.apply(&txn.header, &txn.record, &mut self.changes);
        count(&self.changes, &self.written);
        if let (true, Some(noted)) = (self.options.digest, txn.digest) {
            self.digests.compare(zxid, noted.tree_digest.cast_unsigned(), tree.digest());
        }
        Ok(())
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.replay.get_or_insert_with(|| Progress::new("replaying the log", total)).tell(done);
    }
}
