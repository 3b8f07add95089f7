use bytes::Bytes;
use oxherd_proto::{Jute, TxnHeader};

use super::*;
use crate::log::{Log, LogOptions};
use crate::sim_disk::{CrashOutcome, Fault, SimDisk};

fn layout() -> Layout {
    Layout::new(Path::new("/data"), None)
}

fn batch(zxids: std::ops::RangeInclusive<i64>) -> Vec<(Zxid, Bytes)> {
    let payload = |zxid| TxnHeader { zxid, ..TxnHeader::default() }.to_vec().into();
    zxids.map(Zxid).map(|zxid| (zxid, payload(zxid))).collect()
}

fn open(disk: &SimDisk) -> Log<SimDisk> {
    let options = LogOptions { preallocate_bytes: 64 << 10, ..LogOptions::default() };
    Log::open(disk.clone(), &layout().log_dir, options).unwrap()
}

fn disk() -> SimDisk {
    let disk = SimDisk::new();
    layout().open(&disk, true).unwrap();
    disk
}

/// What a start reads from the log, all of which it may serve.
fn start(disk: &SimDisk) -> Vec<i64> {
    let dir = layout().log_dir;
    let mut found = Vec::new();
    let mut take = |record: crate::LogRecord| {
        found.push(record.zxid.0);
        Ok(())
    };
    let end = crate::scan(disk, &dir, Zxid::ZERO, &mut take, &mut |_| {}).unwrap();
    if let Some((path, offset)) = end.newest.clone() {
        crate::cut(disk, &crate::TornTail { path, offset, reason: String::new() }).unwrap();
    }
    keep(disk, &layout(), end.newest.as_ref()).unwrap();
    found
}

/// The sync of the last batch fails at its `nth` call; the process ends, the machine runs on.
fn died_of_a_failed_sync(before: &[std::ops::RangeInclusive<i64>], nth: u64) -> SimDisk {
    let disk = disk();
    let mut log = open(&disk);
    for zxids in before {
        log.append(&batch(zxids.clone())).unwrap();
        log.sync().unwrap();
    }
    let next = before.last().map_or(0, |zxids| *zxids.end());
    log.append(&batch(next + 1..=next + 3)).unwrap();
    disk.fail(Fault::Sync(nth));
    log.sync().unwrap_err();
    disk.after_crash(CrashOutcome::ProcessDied)
}

#[test]
fn what_a_failed_sync_left_in_memory_is_saved_before_it_is_served() {
    for (before, nth) in [(vec![1..=4, 5..=5], 1), (vec![1..=4], 1), (vec![], 1), (vec![], 2)] {
        let disk = died_of_a_failed_sync(&before, nth);
        let served = start(&disk);
        let after = disk.after_crash(CrashOutcome::Lost);
        assert_eq!(start(&after), served, "{before:?}: the power goes after the start");
        for seed in 0..20 {
            assert_eq!(start(&disk.after_crash(CrashOutcome::Seeded(seed))), served, "{before:?}");
        }
    }
}

#[test]
fn a_sync_alone_would_not_have_saved_it() {
    let disk = died_of_a_failed_sync(&[1..=4], 1);
    let path = layout().log_dir.join("log.1");
    sync(&disk, &path).unwrap();
    let after = disk.after_crash(CrashOutcome::Lost);
    assert_ne!(after.read_file(&path).unwrap(), disk.read_file(&path).unwrap(), "the test can fail");
}

#[test]
fn a_start_that_dies_while_saving_loses_nothing_that_was_acknowledged() {
    for before in [vec![1..=4, 5..=9], vec![]] {
        let acknowledged: Vec<i64> = before.iter().cloned().flatten().collect();
        let whole = died_of_a_failed_sync(&before, 1);
        let dying = whole.after_crash(CrashOutcome::ProcessDied);
        start(&dying);
        for call in 1..=dying.calls() {
            let disk = whole.after_crash(CrashOutcome::ProcessDied);
            disk.crash_at(call);
            let _ = std::panic::catch_unwind(|| start(&disk));
            for seed in 0..8 {
                let found = start(&disk.after_crash(CrashOutcome::Seeded(seed)));
                assert!(found.starts_with(&acknowledged), "call {call}: {found:?}");
            }
            let again = disk.after_crash(CrashOutcome::ProcessDied);
            start(&again);
            let names = again.list(&layout().log_dir).unwrap();
            assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
        }
    }
}

#[test]
fn a_full_disk_does_not_keep_a_server_from_starting() {
    let disk = died_of_a_failed_sync(&[], 2);
    let path = layout().log_dir.join("log.1");
    let len = disk.read_file(&path).unwrap().len();
    disk.limit_bytes(Some(len + 100));
    let served = start(&disk);
    assert_eq!(served, [1, 2, 3]);
    assert_eq!(start(&disk.after_crash(CrashOutcome::Lost)), served);
}

#[test]
fn what_was_served_from_anothers_log_counts_as_acknowledged() {
    let disk = disk();
    let mut log = open(&disk);
    log.append(&batch(1..=5)).unwrap();
    log.sync().unwrap();
    let dir = layout().log_dir;
    disk.remove(&dir.join("oxherd.durable")).unwrap();
    assert_eq!(start(&disk), [1, 2, 3, 4, 5]);
    let path = dir.join("log.1");
    let len = disk.read_file(&path).unwrap().len();
    disk.flip_bit(&path, len - 3, 1).unwrap();
    let mut take = |_| Ok(());
    let error = crate::scan(&disk, &dir, Zxid::ZERO, &mut take, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
}
