use std::io;

use oxherd_proto::{Jute, SessionId, TxnHeader, Xid};

use super::*;
use crate::scan::scan;
use crate::sim_disk::{CrashOutcome, Fault, SimDisk};

const DIR: &str = "/logs";

fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn sized(zxid: i64, len: usize) -> (Zxid, Bytes) {
    let header = TxnHeader { client_id: SessionId(1), cxid: Xid(5), zxid: Zxid(zxid), time: 9, kind: -11 };
    let mut bytes = header.to_vec();
    bytes.resize(bytes.len() + len, 7);
    (Zxid(zxid), bytes.into())
}

fn log(disk: &SimDisk) -> Log<SimDisk> {
    let options = LogOptions { preallocate_bytes: 128 << 10, ..LogOptions::default() };
    Log::open(disk.clone(), Path::new(DIR), options).unwrap()
}

fn write(log: &mut Log<SimDisk>, zxids: std::ops::RangeInclusive<i64>) {
    let batch: Vec<_> = zxids.map(|zxid| sized(zxid, 4)).collect();
    log.append(&batch).unwrap();
    log.sync().unwrap();
}

fn zxids(disk: &SimDisk) -> Vec<i64> {
    let mut found = Vec::new();
    let mut take = |record: crate::LogRecord| {
        found.push(record.zxid.0);
        Ok(())
    };
    scan(disk, Path::new(DIR), Zxid::ZERO, &mut take, &mut |_| {}).unwrap();
    found
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.list(Path::new(DIR)).unwrap()
}

fn three_files(disk: &SimDisk) -> Log<SimDisk> {
    let mut log = log(disk);
    for first in [1, 4, 7] {
        write(&mut log, first..=first + 2);
        log.roll();
    }
    log
}

#[test]
fn a_cut_removes_what_is_behind_and_the_log_goes_on_in_a_new_file() {
    for zxid in 0..=9 {
        let disk = disk();
        let mut log = three_files(&disk);
        log.truncate(Zxid(zxid)).unwrap();
        let after = disk.after_crash(CrashOutcome::Lost);
        assert_eq!(zxids(&after), (1..=zxid).collect::<Vec<_>>());
        write(&mut log, zxid + 1..=zxid + 2);
        assert_eq!(zxids(&disk.after_crash(CrashOutcome::Lost)), (1..=zxid + 2).collect::<Vec<_>>());
        assert!(names(&disk).contains(&format!("log.{:x}", zxid + 1)));
    }
}

#[test]
fn a_cut_that_dies_halfway_leaves_a_log_without_gaps() {
    let whole = disk();
    let mut log = three_files(&whole);
    let before = whole.calls();
    log.truncate(Zxid(2)).unwrap();
    for call in 1..=whole.calls() - before {
        let disk = disk();
        let mut log = three_files(&disk);
        disk.crash_at(disk.calls() + call);
        assert!(log.truncate(Zxid(2)).is_err());
        for seed in 0..8 {
            let left = zxids(&disk.after_crash(CrashOutcome::Seeded(seed)));
            assert!(
                [2, 3, 6, 9].contains(&left.len()) && left == (1..=left.len() as i64).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn a_log_that_begins_too_late_cannot_be_cut() {
    let disk = disk();
    let mut log = log(&disk);
    write(&mut log, 5..=6);
    let error = log.truncate(Zxid(3)).unwrap_err();
    assert!(matches!(error, StorageError::Refused(_)), "{error}");
    write(&mut log, 7..=7);
    assert_eq!(zxids(&disk), [5, 6, 7], "nothing was touched");
}

#[test]
fn a_full_disk_changes_nothing_until_there_is_room_again() {
    let disk = disk();
    let mut log = log(&disk);
    write(&mut log, 1..=2);
    disk.limit_bytes(Some(150 << 10));
    let before = disk.read_file(&Path::new(DIR).join("log.1")).unwrap();
    let error = log.append(&[sized(3, 140 << 10)]).unwrap_err();
    assert!(error.is_no_space() && !log.has_room() && !log.retry_room(), "{error}");
    assert_eq!(disk.read_file(&Path::new(DIR).join("log.1")).unwrap(), before);
    // What shrinks the tree still fits in the reserve.
    write(&mut log, 3..=3);
    log.roll();
    write(&mut log, 4..=4);
    assert_eq!(names(&disk), ["log.1", "oxherd.durable"], "a new file can wait");
    disk.limit_bytes(None);
    assert!(log.retry_room() && log.has_room());
    log.append(&[sized(5, 140 << 10)]).unwrap();
    log.sync().unwrap();
    assert_eq!(zxids(&disk.after_crash(CrashOutcome::Lost)), [1, 2, 3, 4, 5]);
    assert_eq!(names(&disk), ["log.1", "log.5", "oxherd.durable"]);
}

#[test]
fn a_full_disk_leaves_no_file_without_txns() {
    let disk = disk();
    let mut log = log(&disk);
    disk.limit_bytes(Some(100));
    assert!(log.append(&[sized(1, 4)]).unwrap_err().is_no_space());
    assert_eq!(names(&disk.after_crash(CrashOutcome::Seeded(1))), ["oxherd.durable"]);
    assert!(!log.retry_room());
    disk.limit_bytes(None);
    assert!(log.retry_room() || disk.free_bytes(Path::new(DIR)).unwrap() < RESERVE_BYTES);
    write(&mut log, 1..=1);
    assert_eq!(zxids(&disk), [1]);
}

#[test]
fn after_a_failed_write_or_sync_nothing_is_promised_any_more() {
    for fault in [Fault::Write(1), Fault::Sync(1)] {
        let disk = disk();
        let mut log = log(&disk);
        write(&mut log, 1..=1);
        disk.fail(fault);
        let failed = log.append(&[sized(2, 4)]).and_then(|()| log.sync());
        assert!(matches!(failed, Err(StorageError::Io { .. })), "{fault:?}");
        let calls = disk.calls();
        assert!(log.append(&[sized(3, 4)]).is_err() && log.sync().is_err() && log.truncate(Zxid(1)).is_err());
        assert_eq!(disk.calls(), calls, "the disk is left alone");
    }
}

#[test]
fn without_force_sync_nothing_claims_to_be_durable() {
    let disk = disk();
    let options = LogOptions { preallocate_bytes: 64 << 10, file_bytes_max: Some(200), sync: false };
    let mut log = Log::open(disk.clone(), Path::new(DIR), options).unwrap();
    for zxid in 1..=6 {
        write(&mut log, zxid..=zxid);
    }
    assert_eq!(zxids(&disk.after_crash(CrashOutcome::ProcessDied)), [1, 2, 3, 4, 5, 6]);
    assert_eq!(zxids(&disk.after_crash(CrashOutcome::Lost)), Vec::<i64>::new());
}

#[test]
fn a_new_run_begins_a_new_file_and_keeps_the_mark_of_the_last() {
    let disk = disk();
    write(&mut log(&disk), 1..=3);
    let mark = disk.read_file(&Path::new(DIR).join("oxherd.durable")).unwrap();
    let mut again = log(&disk);
    assert_eq!(disk.read_file(&Path::new(DIR).join("oxherd.durable")).unwrap(), mark);
    write(&mut again, 4..=4);
    assert_eq!(names(&disk), ["log.1", "log.4", "oxherd.durable"]);
    assert_ne!(disk.read_file(&Path::new(DIR).join("oxherd.durable")).unwrap(), mark);
}

#[test]
fn a_space_error_is_told_from_others() {
    let error = |kind: io::ErrorKind| StorageError::io("write", Path::new(DIR))(kind.into());
    assert!(
        error(io::ErrorKind::StorageFull).is_no_space() && error(io::ErrorKind::QuotaExceeded).is_no_space()
    );
    assert!(!error(io::ErrorKind::PermissionDenied).is_no_space());
}
