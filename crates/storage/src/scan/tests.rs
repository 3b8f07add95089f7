use bytes::Bytes;
use oxherd_proto::{Epoch, Jute, SessionId, TxnHeader, Xid};
use proptest::prelude::*;

use super::*;
use crate::log::{Log, LogOptions};
use crate::sim_disk::{CrashOutcome, Fault, SimDisk};

const DIR: &str = "/logs";
/// What [`txn`] takes on disk: 12 bytes of head, 32 of header and 4 more, the closing byte.
const RECORD_LEN: usize = 49;

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(dir()).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn sized(zxid: i64, len: usize) -> (Zxid, Bytes) {
    let header =
        TxnHeader { client_id: SessionId(0xabc), cxid: Xid(5), zxid: Zxid(zxid), time: 9, kind: -11 };
    let mut bytes = header.to_vec();
    bytes.resize(bytes.len() + len, 0x42);
    (Zxid(zxid), bytes.into())
}

fn txn(zxid: i64) -> (Zxid, Bytes) {
    sized(zxid, 4)
}

fn log(disk: &SimDisk) -> Log<SimDisk> {
    let options = LogOptions { preallocate_bytes: 64 << 10, file_bytes_max: None, sync: true };
    Log::open(disk.clone(), dir(), options).unwrap()
}

fn write(log: &mut Log<SimDisk>, zxids: std::ops::RangeInclusive<i64>) {
    let batch: Vec<_> = zxids.map(txn).collect();
    log.append(&batch).unwrap();
    log.sync().unwrap();
}

type Scanned = Result<(Vec<(Zxid, Bytes)>, ScanEnd), StorageError>;

fn read_from(disk: &SimDisk, from: i64) -> Scanned {
    let mut found = Vec::new();
    let mut take = |record: LogRecord| {
        found.push((record.zxid, record.payload));
        Ok(())
    };
    let end = scan(disk, dir(), Zxid(from), &mut take, &mut |_| {})?;
    Ok((found, end))
}

fn zxids(scanned: &Scanned) -> Vec<i64> {
    scanned.as_ref().unwrap().0.iter().map(|(zxid, _)| zxid.0).collect()
}

/// Damage as the operator is told of it: which file, where, the whole text.
fn damage(scanned: Scanned) -> (String, u64, String) {
    let error = scanned.unwrap_err();
    let text = error.to_string();
    match error {
        StorageError::Damaged { path, offset, .. } => (path.display().to_string(), offset, text),
        _ => panic!("{text}"),
    }
}

fn path(name: &str) -> PathBuf {
    dir().join(name)
}

/// Two files: log.1 with 1 to 3, log.4 with 4 to 6.
fn two_files() -> SimDisk {
    let disk = disk();
    let mut log = log(&disk);
    write(&mut log, 1..=3);
    log.roll();
    write(&mut log, 4..=6);
    disk
}

/// The same; 7 and 8 were written to log.4 and the server was killed before it had synced them.
fn with_tail() -> SimDisk {
    let disk = disk();
    let mut log = log(&disk);
    write(&mut log, 1..=3);
    log.roll();
    write(&mut log, 4..=6);
    log.append(&[txn(7), txn(8)]).unwrap();
    disk.after_crash(CrashOutcome::Kept)
}

fn start_of(record: usize) -> usize {
    16 + record * RECORD_LEN
}

#[test]
fn a_file_is_byte_for_byte_what_java_writes() {
    let disk = disk();
    write(&mut log(&disk), 1..=1);
    let bytes = disk.read_file(&path("log.1")).unwrap();
    let mut wanted = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0".to_vec();
    wanted.extend_from_slice(&[0, 0, 0, 0, 0x33, 0xc3, 0x05, 0xd0, 0, 0, 0, 36]);
    wanted.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0x0a, 0xbc, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1]);
    wanted.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xf5, 0x42, 0x42, 0x42, 0x42, 0x42]);
    assert_eq!(bytes[..start_of(1)], wanted);
    assert!(bytes[start_of(1)..].iter().all(|byte| *byte == 0) && bytes.len() == 16 + (64 << 10));
}

#[test]
fn a_log_that_java_wrote_is_read_record_by_record() {
    let bytes = include_bytes!("../../tests/data/java-3.9.5-log.1");
    let disk = disk();
    disk.write_file(&path("log.1"), bytes).unwrap();
    let scanned = read_from(&disk, 1);
    assert_eq!(zxids(&scanned), (1..=9).collect::<Vec<_>>());
    let (found, end) = scanned.unwrap();
    assert_eq!((end.last, end.torn), (Some(Zxid(9)), None));
    let kinds = |payload: &Bytes| oxherd_proto::decode_txn(payload.clone()).unwrap().header.kind;
    let kinds: Vec<i32> = found.iter().map(|(_, payload)| kinds(payload)).collect();
    assert_eq!(kinds, [-10, 1, 5, 1, 1, 14, -1, 2, -11]);
    let mut reader = LogReader::open(&disk, &path("log.1")).unwrap().unwrap();
    let mut last = 0;
    while let Some(record) = reader.next_record().unwrap() {
        last = record.end;
    }
    assert_eq!(last, bytes.len() as u64);
    // Nobody knows what Java acknowledged: a record behind the damage says that it is no torn tail.
    disk.flip_bit(&path("log.1"), 40, 0).unwrap();
    assert_eq!(damage(read_from(&disk, 1)).1, 16);
    disk.flip_bit(&path("log.1"), 40, 0).unwrap();
    disk.flip_bit(&path("log.1"), bytes.len() - 2, 0).unwrap();
    assert!(read_from(&disk, 1).unwrap().1.torn.is_some());
}

#[test]
fn any_damage_of_the_tail_that_nobody_relies_on_is_cut_and_reported() {
    let tail = start_of(3);
    for offset in tail..start_of(4) {
        for bit in [0, 7] {
            let disk = with_tail();
            disk.flip_bit(&path("log.4"), offset, bit).unwrap();
            let scanned = read_from(&disk, 1);
            assert_eq!(zxids(&scanned), [1, 2, 3, 4, 5, 6], "byte {offset}");
            let torn = scanned.unwrap().1.torn.unwrap();
            assert_eq!((torn.path.clone(), torn.offset), (path("log.4"), tail as u64), "byte {offset}");
            cut(&disk, &torn).unwrap();
            let (found, end) = read_from(&disk.after_crash(CrashOutcome::Lost), 1).unwrap();
            assert_eq!((found.len(), end.torn), (6, None));
        }
    }
}

#[test]
fn a_tail_cut_anywhere_ends_with_the_last_whole_record() {
    let whole = with_tail().read_file(&path("log.4")).unwrap();
    for len in start_of(3)..=start_of(5) {
        let disk = with_tail();
        disk.write_file(&path("log.4"), &whole[..len]).unwrap();
        let scanned = read_from(&disk, 1);
        let records = 6 + (len - start_of(3)) / RECORD_LEN;
        assert_eq!(zxids(&scanned).len(), records, "{len} bytes");
        // The first bytes of a record's checksum are zero, like the space behind the log.
        let rest = (len - start_of(3)) % RECORD_LEN;
        assert_eq!(scanned.unwrap().1.torn.is_some(), rest > 4, "{len} bytes");
    }
}

#[test]
fn any_damage_of_what_was_acknowledged_is_refused_and_explained() {
    for (name, last_good) in [("log.1", "0x1"), ("log.4", "0x4")] {
        for offset in start_of(1)..start_of(2) {
            let disk = with_tail();
            disk.flip_bit(&path(name), offset, 3).unwrap();
            let (file, at, text) = damage(read_from(&disk, 1));
            assert_eq!((file, at), (format!("{DIR}/{name}"), start_of(1) as u64), "byte {offset}");
            assert!(text.contains(&format!("(the last good txn is {last_good})")), "{text}");
            assert!(text.contains("oxherd repair"), "{text}");
        }
    }
}

#[test]
fn a_header_that_is_none_a_shorter_file_and_a_lost_file_are_refused() {
    for name in ["log.1", "log.4"] {
        let disk = two_files();
        disk.flip_bit(&path(name), 2, 1).unwrap();
        assert_eq!(damage(read_from(&disk, 1)).1, 0, "{name}");
    }
    let disk = two_files();
    let bytes = disk.read_file(&path("log.4")).unwrap();
    // Sharp behind a record it would count as cut on purpose.
    for len in [0, 10, start_of(2) + 20, start_of(3) - 1] {
        disk.write_file(&path("log.4"), &bytes[..len]).unwrap();
        assert_eq!(damage(read_from(&disk, 1)).0, "/logs/log.4", "{len} bytes");
    }
    disk.remove(&path("log.4")).unwrap();
    assert!(damage(read_from(&disk, 1)).2.contains("the file is gone"));
}

#[test]
fn a_rotten_header_is_refused_though_the_mark_is_lost() {
    for bit in 0..8 {
        let disk = two_files();
        disk.write_file(&path("oxherd.durable"), b"").unwrap();
        disk.flip_bit(&path("log.4"), 2, bit).unwrap();
        assert_eq!(damage(read_from(&disk, 1)), damage(read_from(&disk, 4)));
    }
}

#[test]
fn zeros_in_the_middle_are_no_end() {
    let disk = two_files();
    let mut bytes = disk.read_file(&path("log.1")).unwrap();
    bytes[start_of(1)..start_of(2)].fill(0);
    disk.write_file(&path("log.1"), &bytes).unwrap();
    let (file, at, text) = damage(read_from(&disk, 1));
    assert_eq!((file.as_str(), at), ("/logs/log.1", start_of(1) as u64));
    assert!(text.contains("bytes follow"), "{text}");
}

#[test]
fn txns_that_are_missing_are_refused_within_and_between_epochs() {
    let second = Zxid::new(Epoch(1), 1).0;
    let cases = [(4, true), (5, false), (second, true), (second + 1, false)];
    for (next, good) in cases {
        let disk = disk();
        let mut log = log(&disk);
        write(&mut log, 1..=3);
        write(&mut log, next..=next);
        assert_eq!(read_from(&disk, 1).is_ok(), good, "{next} after 3");
    }
    let disk = two_files();
    disk.remove(&path("log.1")).unwrap();
    assert_eq!(zxids(&read_from(&disk, 4)), [4, 5, 6]);
    assert!(damage(read_from(&disk, 3)).2.contains("missing"), "a snapshot at 2 needs txn 3");
}

#[test]
fn reading_begins_anywhere_and_gives_each_txn_once() {
    let disk = two_files();
    for from in 1..=8 {
        assert_eq!(zxids(&read_from(&disk, from)), (from..=6).collect::<Vec<_>>());
    }
    let mut log = log(&disk);
    log.append(&[txn(7)]).unwrap();
    log.append(&[txn(6), txn(7), txn(8)]).unwrap();
    log.sync().unwrap();
    assert_eq!(zxids(&read_from(&disk, 5)), [5, 6, 7, 8]);
}

#[test]
fn a_read_that_fails_is_no_damage() {
    let disk = two_files();
    disk.fail(Fault::Read(3));
    let error = read_from(&disk, 1).unwrap_err();
    assert!(matches!(error, StorageError::Io { action: "read", .. }), "{error}");
    assert_eq!(zxids(&read_from(&disk, 1)).len(), 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_appended_comes_back(
        batches in prop::collection::vec((prop::collection::vec(0_usize..5000, 1..6), any::<bool>(), any::<bool>()), 1..12),
        max in prop::option::of(1000_u64..40_000),
    ) {
        let disk = disk();
        let options = LogOptions { preallocate_bytes: 64 << 10, file_bytes_max: max, sync: true };
        let mut log = Log::open(disk.clone(), dir(), options).unwrap();
        let mut written = Vec::new();
        for (lens, sync, roll) in batches {
            let first = written.len();
            let batch: Vec<_> = lens.iter().zip(first + 1..).map(|(len, zxid)| sized(zxid as i64, *len)).collect();
            log.append(&batch).unwrap();
            written.extend(batch);
            if sync {
                log.sync().unwrap();
            }
            if roll {
                log.roll();
            }
        }
        let (found, end) = read_from(&disk, 1).unwrap();
        prop_assert_eq!((end.last, end.torn), (Some(written.last().unwrap().0), None));
        prop_assert_eq!(found, written);
    }
}
