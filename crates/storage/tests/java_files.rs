//! Files of a real ZooKeeper 3.9.5, killed in the middle of its work: read, replayed, and written again byte by byte.
//!
//! `log.*` and `snapshot.{0,8}` are one server's directory; the packed snapshots come from servers with the
//! same history. Zeros that were reserved behind the last record are left out of the data.

#![allow(clippy::unwrap_used, reason = "a failing unwrap fails the test")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use oxherd_proto::{SessionId, TxnRecord, Zxid, decode_txn};
use oxherd_storage::{
    BodyProgress, Compression, Layout, Log, LogOptions, OsDisk, RecoverySink, Seal, SnapshotBody,
    SnapshotFile, SnapshotWriter, StorageError, load_snapshot, looks_whole, recover, scan, snapshots,
};
use oxherd_tree::{LoadProgress, Loader, Tree, TreeOptions};
use tempfile::TempDir;

/// Bytes of each of the two logs, reserved space included.
const LOG_LEN: usize = 8208;
const LAST: Zxid = Zxid(0x11);

fn data(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn directory(names: &[&str]) -> (TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path(), None);
    layout.open(&OsDisk, true).unwrap();
    for name in names {
        let mut bytes = data(name);
        if name.starts_with("log.") {
            bytes.resize(LOG_LEN, 0);
        }
        fs::write(layout.snap_dir.join(name), bytes).unwrap();
    }
    (dir, layout)
}

fn options() -> TreeOptions {
    TreeOptions { extended_types: true, emulate_353_ttl: false, digest: true, hash_seed: 1 }
}

fn log_options() -> LogOptions {
    LogOptions { preallocate_bytes: 1 << 20, ..LogOptions::default() }
}

/// Keeps the body's bytes and its tree.
struct Body {
    loader: Option<Loader>,
    bytes: Vec<u8>,
}

impl Body {
    fn new() -> Self {
        Self { loader: Some(Loader::new(options())), bytes: Vec::new() }
    }

    fn finish(&mut self) -> (Tree, Vec<(SessionId, i32)>) {
        self.loader.take().unwrap().finish().unwrap()
    }
}

impl SnapshotBody for Body {
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>> {
        Ok(match self.loader.as_mut().unwrap().push(bytes)? {
            LoadProgress::More => {
                self.bytes.extend_from_slice(bytes);
                BodyProgress::More
            }
            LoadProgress::Done { consumed } => {
                self.bytes.extend_from_slice(&bytes[..consumed]);
                BodyProgress::Done { consumed }
            }
        })
    }
}

/// Applies what recovery finds, and checks the digest that the original logged with each txn.
struct Restore {
    body: Body,
    tree: Option<Tree>,
    sessions: BTreeMap<SessionId, i32>,
    digests: usize,
}

impl RecoverySink for Restore {
    fn begin_snapshot(&mut self, _: &SnapshotFile) -> &mut dyn SnapshotBody {
        self.body = Body::new();
        &mut self.body
    }

    fn end_snapshot(&mut self, file: &SnapshotFile, seal: &Seal) -> Result<(), StorageError> {
        let (tree, sessions) = self.body.finish();
        if let Some((zxid, digest)) = seal.digest {
            assert_eq!((zxid, digest), (file.zxid, tree.digest()), "the snapshot was not fuzzy");
        }
        self.sessions = sessions.into_iter().collect();
        self.tree = Some(tree);
        Ok(())
    }

    fn txn(&mut self, zxid: Zxid, payload: Bytes) -> Result<(), StorageError> {
        let txn = decode_txn(payload).unwrap();
        assert_eq!(txn.header.zxid, zxid);
        match &txn.record {
            TxnRecord::CreateSession(created) => {
                self.sessions.insert(txn.header.client_id, created.time_out);
            }
            TxnRecord::CloseSession(_) => {
                self.sessions.remove(&txn.header.client_id);
            }
            _ => {}
        }
        let tree = self.tree.as_mut().unwrap();
        tree.apply(&txn.header, &txn.record, &mut Vec::new());
        if let Some(digest) = txn.digest {
            assert_eq!(tree.digest(), digest.tree_digest.cast_unsigned(), "after {zxid}");
            self.digests += 1;
        }
        Ok(())
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

fn restore(layout: &Layout) -> (Restore, Zxid) {
    let mut sink = Restore { body: Body::new(), tree: None, sessions: BTreeMap::new(), digests: 0 };
    let recovery = recover(&OsDisk, layout, false, &mut sink).unwrap();
    assert_eq!((recovery.torn, recovery.skipped.len()), (None, 0));
    (sink, recovery.last_zxid)
}

fn node(tree: &Tree, path: &str) -> Vec<u8> {
    tree.node(path.as_bytes()).unwrap().data().unwrap_or_default().to_vec()
}

#[test]
fn a_killed_servers_directory_is_taken_over_with_every_digest_right() {
    let (_dir, layout) = directory(&["log.1", "log.a", "snapshot.0", "snapshot.8"]);
    let (from_8, last) = restore(&layout);
    assert_eq!((last, from_8.sessions.len()), (LAST, 1));
    assert!(from_8.digests >= 7, "{} digests were compared", from_8.digests);
    let tree = from_8.tree.unwrap();
    assert_eq!(node(&tree, "/a"), b"w2");
    assert_eq!(node(&tree, "/a/b"), b"\xff\0");
    assert_eq!(node(&tree, "/acl"), b"secret");
    assert!(tree.node(b"/t1").is_none() && tree.node(b"/t2").is_none());

    fs::remove_file(layout.snap_dir.join("snapshot.8")).unwrap();
    let (from_0, last) = restore(&layout);
    assert_eq!((last, from_0.tree.unwrap().digest()), (LAST, tree.digest()), "from the very beginning");
}

fn recover_error(layout: &Layout) -> StorageError {
    let mut sink = Restore { body: Body::new(), tree: None, sessions: BTreeMap::new(), digests: 0 };
    recover(&OsDisk, layout, false, &mut sink).unwrap_err()
}

#[test]
fn a_missing_log_of_the_original_is_noticed() {
    let (_dir, layout) = directory(&["log.a", "snapshot.0"]);
    let error = recover_error(&layout);
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
}

/// The record that a killed server left in part, as `log.1` would hold it before `log.a` was begun.
fn with_a_part_behind(records: &[u8], part_of: &[u8]) -> Vec<u8> {
    let mut bytes = [records, &part_of[..part_of.len() / 2]].concat();
    bytes.resize(LOG_LEN, 0);
    bytes
}

#[test]
fn a_part_of_a_record_in_an_older_file_was_never_acknowledged() {
    let (_dir, layout) = directory(&["log.1", "log.a", "snapshot.8"]);
    let first_of_next = &data("log.a")[16..16 + 12 + 119 + 1];
    let path = layout.log_dir.join("log.1");
    fs::write(&path, with_a_part_behind(&data("log.1"), first_of_next)).unwrap();
    assert_eq!(restore(&layout).1, LAST, "a killed Java server that was started again leaves this");

    let whole = data("log.1");
    fs::write(&path, with_a_part_behind(&whole[..whole.len() - 112 - 13], &whole[whole.len() - 112 - 13..]))
        .unwrap();
    let error = recover_error(&layout);
    assert!(error.to_string().contains("log.1"), "txn 9 was acknowledged: {error}");
}

#[test]
fn a_file_the_original_wrote_after_ours_is_judged_by_itself() {
    let (_dir, layout) = directory(&["snapshot.0", "log.a"]);
    let (_dir2, theirs) = directory(&["log.1"]);
    let mut log = Log::open(OsDisk, &layout.log_dir, log_options()).unwrap();
    log.append(&payloads(&theirs.log_dir, 1, 9)).unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(restore(&layout).1, LAST);
    let path = layout.log_dir.join("log.a");
    let mut bytes = fs::read(&path).unwrap();
    bytes[16 + 40] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(recover_error(&layout), StorageError::Damaged { .. }), "acknowledged txns follow");
}

#[test]
fn a_log_shorter_than_what_was_acknowledged_is_refused_until_the_mark_is_removed() {
    let (_dir, layout) = directory(&["snapshot.0"]);
    let (_dir2, theirs) = directory(&["log.1"]);
    let mut log = Log::open(OsDisk, &layout.log_dir, log_options()).unwrap();
    log.append(&payloads(&theirs.log_dir, 1, 9)).unwrap();
    log.sync().unwrap();
    drop(log);
    let path = layout.log_dir.join("log.1");
    let bytes = fs::read(&path).unwrap();
    let end = data("log.1").len();
    fs::write(&path, &bytes[..end - 112 - 13]).unwrap();
    let error = recover_error(&layout).to_string();
    assert!(error.contains("acknowledged") && error.contains("oxherd repair"), "{error}");
    fs::remove_file(layout.log_dir.join("oxherd.durable")).unwrap();
    assert_eq!(restore(&layout).1, Zxid(8), "as a Java server leaves it that was told to truncate");
}

#[test]
fn reserved_space_is_given_back_when_a_file_is_left() {
    let (_dir, layout) = directory(&["snapshot.0"]);
    let (_dir2, theirs) = directory(&["log.1"]);
    let len = |name: &str| fs::metadata(layout.log_dir.join(name)).unwrap().len();
    let mut log = Log::open(OsDisk, &layout.log_dir, log_options()).unwrap();
    log.append(&payloads(&theirs.log_dir, 1, 5)).unwrap();
    assert!(len("log.1") > 1 << 20, "reserved ahead");
    log.roll();
    log.append(&payloads(&theirs.log_dir, 6, 9)).unwrap();
    log.sync().unwrap();
    assert!(len("log.1") < 1000 && len("log.6") > 1 << 20);
    drop(log);
    assert_eq!(restore(&layout).1, Zxid(9));
    assert!(len("log.6") < 1000, "left by a server that was killed");
}

#[test]
fn a_changed_record_in_the_middle_is_never_passed_over() {
    let (_dir, layout) = directory(&["log.1", "log.a", "snapshot.8"]);
    let path = layout.log_dir.join("log.a");
    let bytes = fs::read(&path).unwrap();
    let records = data("log.a").len();
    let mut refused = 0;
    for at in (16..records - 200).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        fs::write(&path, changed).unwrap();
        let mut sink = Restore { body: Body::new(), tree: None, sessions: BTreeMap::new(), digests: 0 };
        assert!(recover(&OsDisk, &layout, false, &mut sink).is_err(), "byte {at}");
        refused += 1;
    }
    assert!(refused > 50);
}

#[test]
fn a_record_the_original_did_not_finish_is_cut_and_nothing_else() {
    let (_dir, layout) = directory(&["log.1", "log.a", "snapshot.8"]);
    let path = layout.log_dir.join("log.a");
    let mut bytes = data("log.a");
    let whole = bytes.len();
    bytes.truncate(whole - 20);
    bytes.resize(LOG_LEN, 0);
    fs::write(&path, bytes).unwrap();
    let mut sink = Restore { body: Body::new(), tree: None, sessions: BTreeMap::new(), digests: 0 };
    let recovery = recover(&OsDisk, &layout, false, &mut sink).unwrap();
    assert_eq!(recovery.last_zxid, Zxid(LAST.0 - 1));
    assert_eq!(recovery.torn.unwrap().path, path);
    assert_eq!(restore(&layout).1, Zxid(LAST.0 - 1), "the second time there is nothing to cut");
}

fn payloads(dir: &Path, from: i64, through: i64) -> Vec<(Zxid, Bytes)> {
    let mut txns = Vec::new();
    let mut take = |record: oxherd_storage::LogRecord| {
        if record.zxid <= Zxid(through) {
            txns.push((record.zxid, record.payload));
        }
        Ok(())
    };
    scan(&OsDisk, dir, Zxid(from), &mut take, &mut |_| {}).unwrap();
    txns
}

#[test]
fn our_log_of_the_same_txns_has_the_same_bytes() {
    let (_dir, theirs) = directory(&["log.1", "log.a"]);
    let (_dir2, ours) = directory(&[]);
    let mut log = Log::open(OsDisk, &ours.log_dir, log_options()).unwrap();
    log.append(&payloads(&theirs.log_dir, 1, 9)).unwrap();
    log.sync().unwrap();
    log.roll();
    log.append(&payloads(&theirs.log_dir, 10, LAST.0)).unwrap();
    log.sync().unwrap();
    for name in ["log.1", "log.a"] {
        let expected = data(name);
        let found = fs::read(ours.log_dir.join(name)).unwrap();
        assert_eq!(found[..expected.len()], expected, "{name}");
        assert!(found[expected.len()..].iter().all(|byte| *byte == 0), "{name}: zeros behind");
    }
}

#[test]
fn every_packing_of_the_original_is_read() {
    let (_dir, layout) = directory(&["snapshot.0", "snapshot.8", "snapshot.f.gz", "snapshot.10.snappy"]);
    let files = snapshots(&OsDisk, &layout.snap_dir).unwrap();
    let zxids: Vec<i64> = files.iter().map(|file| file.zxid.0).collect();
    assert_eq!(zxids, [0x10, 0xf, 8, 0]);
    for file in files {
        assert!(looks_whole(&OsDisk, &file).unwrap());
        let mut body = Body::new();
        let seal = load_snapshot(&OsDisk, &file, &mut body).unwrap();
        let (tree, _) = body.finish();
        match seal.digest {
            Some((zxid, digest)) if zxid == file.zxid => assert_eq!(tree.digest(), digest, "{file:?}"),
            Some((zxid, _)) => assert!(zxid > file.zxid, "fuzzy: {zxid} in {file:?}"),
            None => assert_eq!(file.zxid, Zxid::ZERO),
        }
        assert!(seal.last_zxid.is_some_and(|zxid| zxid >= file.zxid), "{file:?}");
    }
}

#[test]
fn our_snapshot_of_the_same_tree_has_the_same_bytes() {
    let (_dir, layout) = directory(&["snapshot.8"]);
    let theirs = &snapshots(&OsDisk, &layout.snap_dir).unwrap()[0];
    let mut body = Body::new();
    let seal = load_snapshot(&OsDisk, theirs, &mut body).unwrap();
    let (_dir2, ours) = directory(&[]);
    let mut writer = SnapshotWriter::begin(OsDisk, &ours.snap_dir, theirs.zxid, Compression::None).unwrap();
    body.bytes.chunks(100).for_each(|piece| writer.write(piece).unwrap());
    let path = writer.finish(&seal).unwrap();
    assert_eq!(path.file_name().unwrap(), "snapshot.8");
    assert_eq!(fs::read(path).unwrap(), data("snapshot.8"));
}
