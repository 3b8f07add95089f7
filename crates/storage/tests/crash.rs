//! A history of txns, snapshots, cuts and epochs; the machine dies at every storage call of it, in every way
//! it may. What is recovered is a prefix of the history that holds all that was acknowledged.

#![allow(clippy::unwrap_used, reason = "a failing unwrap fails the test")]

use std::error::Error;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use oxherd_proto::{Epoch, Jute, SessionId, TxnHeader, Xid, Zxid};
use oxherd_storage::{
    BodyProgress, Compression, CrashOutcome, Disk, EpochFile, Fault, Layout, Log, LogOptions, Recovery,
    RecoverySink, Seal, SimDisk, SnapshotBody, SnapshotFile, SnapshotWriter, StorageError, purge,
    read_epochs, recover, write_epoch,
};

const SEEDS: u64 = 4;

fn layout() -> Layout {
    Layout::new(Path::new("/data"), Some(Path::new("/logs")))
}

fn options() -> LogOptions {
    LogOptions { preallocate_bytes: 64 << 10, file_bytes_max: Some(3000), sync: true }
}

/// A txn whose length depends on its zxid, some longer than a sector.
fn txn(zxid: Zxid) -> (Zxid, Bytes) {
    let header = TxnHeader { client_id: SessionId(1), cxid: Xid(1), zxid, time: 7, kind: -11 };
    let mut bytes = header.to_vec();
    bytes.resize(bytes.len() + usize::try_from(zxid.counter() * 97 % 700).unwrap(), 0x42);
    (zxid, bytes.into())
}

/// The state of a server that only remembers which txns it applied: the body of its snapshots.
#[derive(Debug, Default, PartialEq, Eq)]
struct Applied {
    zxids: Vec<Zxid>,
    body: Vec<u8>,
}

impl SnapshotBody for Applied {
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>> {
        let before = self.body.len();
        self.body.extend_from_slice(bytes);
        let Some(count) = self.body.first_chunk::<4>() else { return Ok(BodyProgress::More) };
        let whole = 4 + 8 * usize::try_from(u32::from_be_bytes(*count))?;
        if self.body.len() < whole {
            return Ok(BodyProgress::More);
        }
        self.zxids = self.body[4..whole]
            .chunks(8)
            .map(|chunk| Zxid(i64::from_be_bytes(chunk.try_into().unwrap())))
            .collect();
        Ok(BodyProgress::Done { consumed: whole - before })
    }
}

impl RecoverySink for Applied {
    fn begin_snapshot(&mut self, _file: &SnapshotFile) -> &mut dyn SnapshotBody {
        *self = Self::default();
        self
    }

    fn end_snapshot(&mut self, _file: &SnapshotFile, _seal: &Seal) -> Result<(), StorageError> {
        Ok(())
    }

    fn txn(&mut self, zxid: Zxid, payload: Bytes) -> Result<(), StorageError> {
        assert_eq!(txn(zxid), (zxid, payload));
        self.zxids.push(zxid);
        Ok(())
    }

    fn progress(&mut self, _done: u64, _total: u64) {}
}

/// A running server, and what it promised to others.
struct Server {
    disk: SimDisk,
    log: Log<SimDisk>,
    written: Vec<Zxid>,
    promised: Promised,
}

#[derive(Clone, Debug, Default)]
struct Promised {
    zxids: Vec<Zxid>,
    /// All that may be there: written and not cut, or not known to be cut.
    possible: Vec<Vec<Zxid>>,
    accepted: Epoch,
    current: Epoch,
}

impl Server {
    fn begin(disk: &SimDisk, written: Vec<Zxid>, promised: Promised) -> Result<Self, StorageError> {
        let log = Log::open(disk.clone(), &layout().log_dir, options())?;
        Ok(Self { disk: disk.clone(), log, written, promised })
    }

    fn append(&mut self, epoch: i64, counters: std::ops::RangeInclusive<u32>) -> Result<(), StorageError> {
        let batch: Vec<_> = counters.map(|counter| txn(Zxid::new(Epoch(epoch), counter))).collect();
        self.written.extend(batch.iter().map(|(zxid, _)| *zxid));
        self.promised.possible = vec![self.written.clone()];
        self.log.append(&batch)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.log.sync()?;
        self.promised.zxids.clone_from(&self.written);
        Ok(())
    }

    fn snapshot(&mut self, compression: Compression) -> Result<(), StorageError> {
        let zxid = self.written.last().copied().unwrap_or(Zxid::ZERO);
        let mut writer = SnapshotWriter::begin(self.disk.clone(), &layout().snap_dir, zxid, compression)?;
        writer.write(&u32::try_from(self.written.len()).unwrap().to_be_bytes())?;
        for zxid in &self.written {
            writer.write(&zxid.0.to_be_bytes())?;
        }
        writer.finish(&Seal { digest: Some((zxid, 5)), last_zxid: Some(zxid) })?;
        self.log.roll();
        Ok(())
    }

    fn truncate(&mut self, zxid: Zxid) -> Result<(), StorageError> {
        // From here on none of what is cut counts as acknowledged.
        self.written.retain(|written| *written <= zxid);
        self.promised.zxids.retain(|promised| *promised <= zxid);
        self.promised.possible.push(self.written.clone());
        self.log.truncate(zxid)?;
        self.promised.possible = vec![self.written.clone()];
        Ok(())
    }

    fn epochs(&mut self, epoch: i64) -> Result<(), StorageError> {
        let dir = layout().snap_dir;
        write_epoch(&self.disk, &dir, EpochFile::Accepted, Epoch(epoch))?;
        self.promised.accepted = Epoch(epoch);
        write_epoch(&self.disk, &dir, EpochFile::Current, Epoch(epoch))?;
        self.promised.current = Epoch(epoch);
        Ok(())
    }
}

fn history(server: &mut Server) -> Result<(), StorageError> {
    server.snapshot(Compression::None)?;
    server.epochs(0)?;
    server.append(0, 1..=3)?;
    server.sync()?;
    server.append(0, 4..=4)?;
    server.append(0, 5..=14)?; // the limit of a file is reached
    server.append(0, 15..=20)?; // without a sync in between
    server.sync()?;
    server.snapshot(Compression::Gzip)?;
    server.append(0, 21..=24)?;
    server.sync()?;
    server.epochs(1)?;
    server.append(1, 1..=12)?;
    server.sync()?;
    server.append(1, 13..=16)?;
    server.sync()?;
    server.truncate(Zxid::new(Epoch(1), 10))?; // a file goes and another is cut
    server.epochs(2)?;
    server.append(2, 1..=3)?;
    server.sync()?;
    server.snapshot(Compression::Snappy)?;
    server.append(2, 4..=5)?;
    server.sync()?;
    server.snapshot(Compression::None)?;
    server.append(2, 6..=6)?;
    server.sync()?;
    purge(&server.disk, &layout().snap_dir, &layout().log_dir, 3)?;
    server.append(2, 7..=8)
}

/// Runs the history until the machine dies at `call`; what it promised by then.
fn run_until(call: u64) -> (SimDisk, Promised) {
    let disk = SimDisk::new();
    layout().open(&disk, true).unwrap();
    disk.crash_at(disk.calls() + call);
    let mut promised = Promised::default();
    if let Ok(mut server) = Server::begin(&disk, Vec::new(), Promised::default()) {
        let result = history(&mut server);
        assert_eq!(result.is_err(), disk.is_crashed(), "{result:?}");
        promised = server.promised;
    }
    (disk, promised)
}

fn outcomes() -> impl Iterator<Item = CrashOutcome> {
    let plain = [CrashOutcome::Lost, CrashOutcome::Kept, CrashOutcome::ProcessDied];
    plain.into_iter().chain((0..SEEDS).map(CrashOutcome::Seeded))
}

fn start(disk: &SimDisk) -> Result<(Recovery, Applied), StorageError> {
    layout().open(disk, true)?;
    let mut applied = Applied::default();
    let recovery = recover(disk, &layout(), false, &mut applied)?;
    Ok((recovery, applied))
}

/// Starts and compares with what was promised; what was recovered.
fn check(disk: &SimDisk, promised: &Promised, what: &str) -> Vec<Zxid> {
    check_torn(disk, promised, what).0
}

/// The same; also whether a torn tail was cut.
fn check_torn(disk: &SimDisk, promised: &Promised, what: &str) -> (Vec<Zxid>, bool) {
    let (recovery, applied) = start(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(applied.zxids.starts_with(&promised.zxids), "{what}: {:?} of {promised:?}", applied.zxids);
    let possible = promised.possible.iter().any(|all| all.starts_with(&applied.zxids));
    assert!(
        possible || promised.possible.is_empty() && applied.zxids.is_empty(),
        "{what}: {:?} of {promised:?}",
        applied.zxids
    );
    assert_eq!(recovery.last_zxid, applied.zxids.last().copied().unwrap_or(Zxid::ZERO), "{what}");
    let epochs = read_epochs(disk, &layout().snap_dir, recovery.last_zxid);
    let epochs = epochs.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(epochs.accepted >= promised.accepted && epochs.current >= promised.current, "{what}: {epochs:?}");
    (applied.zxids, recovery.torn.is_some())
}

fn calls_of_history() -> u64 {
    let (disk, promised) = run_until(u64::MAX / 2);
    assert_eq!(promised.zxids.len(), 20 + 4 + 10 + 6);
    disk.calls()
}

#[test]
fn a_crash_at_any_call_loses_nothing_that_was_acknowledged() {
    let mut torn = 0;
    for call in 1..=calls_of_history() {
        let (disk, promised) = run_until(call);
        for outcome in outcomes() {
            let after = disk.after_crash(outcome);
            let (first, was_torn) = check_torn(&after, &promised, &format!("call {call}, {outcome:?}"));
            let (again, applied) = start(&after).unwrap();
            assert_eq!((applied.zxids, again.torn), (first, None), "call {call}, {outcome:?}");
            torn += u32::from(was_torn);
        }
    }
    assert!(torn > 10, "the history has torn tails: {torn}");
}

#[test]
fn what_a_start_served_stays_though_it_dies_itself() {
    for call in (1..=calls_of_history()).step_by(7) {
        let (disk, promised) = run_until(call);
        for outcome in [CrashOutcome::ProcessDied, CrashOutcome::Seeded(call), CrashOutcome::Seeded(call + 1)]
        {
            let served = disk.after_crash(outcome);
            let zxids = check(&served, &promised, "first start");
            for at in 1..=served.calls() {
                let dying = disk.after_crash(outcome);
                dying.crash_at(at);
                let _ = start(&dying)
                    .map(|(recovery, _)| read_epochs(&dying, &layout().snap_dir, recovery.last_zxid));
                let what = format!("call {call}, {outcome:?}, start dies at {at}");
                let later = check(&dying.after_crash(CrashOutcome::Seeded(at)), &promised, &what);
                if outcome != CrashOutcome::ProcessDied {
                    assert_eq!(later, zxids, "{what}");
                }
            }
            let lost = served.after_crash(CrashOutcome::Lost);
            assert_eq!(
                check(&lost, &promised, "power loss after the start"),
                zxids,
                "call {call}, {outcome:?}"
            );
        }
    }
}

#[test]
fn a_second_life_goes_on_where_the_first_ended() {
    for call in 1..=calls_of_history() {
        let (disk, promised) = run_until(call);
        for outcome in [CrashOutcome::Lost, CrashOutcome::Seeded(call), CrashOutcome::ProcessDied] {
            let what = format!("call {call}, {outcome:?}");
            let disk = disk.after_crash(outcome);
            let zxids = check(&disk, &promised, &what);
            let promised =
                Promised { zxids: zxids.clone(), possible: vec![zxids.clone()], ..promised.clone() };
            let mut server = Server::begin(&disk, zxids, promised).unwrap();
            server.snapshot(Compression::None).unwrap();
            server.epochs(3).unwrap();
            server.append(3, 1..=2).unwrap();
            server.sync().unwrap();
            server.append(3, 3..=4).unwrap();
            let after = disk.after_crash(CrashOutcome::Seeded(call * 31));
            check(&after, &server.promised, &format!("{what}, second life"));
        }
    }
}

/// Its only snapshot, or one that a leader sent: the log behind it does not go back to the older one.
fn with_snapshot(sent: bool) -> SimDisk {
    let disk = SimDisk::new();
    layout().open(&disk, true).expect("a new disk");
    let mut server = Server::begin(&disk, Vec::new(), Promised::default()).expect("a new server");
    server.append(1, 1..=3).expect("room");
    server.sync().expect("a good disk");
    server.snapshot(Compression::None).expect("room");
    if sent {
        server.written.extend((4..=9).map(|counter| Zxid::new(Epoch(1), counter)));
        server.snapshot(Compression::None).expect("room");
        server.append(1, 10..=12).expect("room");
        server.sync().expect("a good disk");
    }
    disk
}

#[test]
fn a_read_that_fails_is_no_proof_of_damage() {
    for sent in [false, true] {
        reads_fail(sent);
    }
}

fn reads_fail(sent: bool) {
    let mut failed = 0;
    for nth in 1..=20 {
        let disk = with_snapshot(sent);
        disk.fail(Fault::Read(nth));
        match start(&disk) {
            Ok(_) => {}
            Err(StorageError::Io { .. }) => failed += 1,
            Err(error) => panic!("read {nth} failed once, and the start says: {error}"),
        }
        start(&disk.after_crash(CrashOutcome::ProcessDied)).expect("the next start finds everything");
    }
    assert!(failed > 0, "some read was of a snapshot that is needed");
}

#[test]
fn files_of_a_history_lie_where_java_looks_for_them() {
    let (disk, _) = run_until(u64::MAX / 2);
    let names = |dir: PathBuf| disk.list(&dir).unwrap();
    let logs = names(layout().log_dir);
    assert!(logs.iter().all(|name| name.starts_with("log.") || name == "oxherd.durable"), "{logs:?}");
    let snapshots = names(layout().snap_dir);
    assert!(snapshots.contains(&"snapshot.18.gz".to_owned()) || snapshots.len() == 5, "{snapshots:?}");
}
