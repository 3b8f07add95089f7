use std::fs;

use tempfile::TempDir;

use super::*;
use crate::os_disk::OsDisk;

const WHOLE: &[u8] = b"ZKSN............\0\0\0\x01/";

struct Dirs {
    _root: TempDir,
    snap: PathBuf,
    log: PathBuf,
}

impl Dirs {
    fn with(snapshots: &[&str], logs: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let (snap, log) = (root.path().join("data"), root.path().join("logs"));
        for (dir, names) in [(&snap, snapshots), (&log, logs)] {
            fs::create_dir(dir).expect("made");
            for name in names {
                fs::write(dir.join(name), WHOLE).expect("written");
            }
        }
        Self { _root: root, snap, log }
    }

    fn break_snapshot(&self, name: &str) {
        fs::write(self.snap.join(name), b"ZKSN....").expect("written");
    }

    fn purge(&self, retain: usize) -> Vec<String> {
        let removed = purge(&OsDisk, &self.snap, &self.log, retain).expect("purged");
        removed.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
    }

    fn left(&self) -> (Vec<String>, Vec<String>) {
        (OsDisk.list(&self.snap).expect("listed"), OsDisk.list(&self.log).expect("listed"))
    }
}

#[test]
fn newest_snapshots_stay_with_the_logs_after_the_oldest_of_them() {
    let dirs = Dirs::with(
        &["snapshot.0", "snapshot.10", "snapshot.20", "snapshot.30", "snapshot.40"],
        &["log.1", "log.11", "log.1a", "log.21", "log.31", "log.41"],
    );
    assert_eq!(dirs.purge(3), ["snapshot.0", "snapshot.10", "log.1", "log.11"]);
    let (snapshots, logs) = dirs.left();
    assert_eq!(snapshots, ["snapshot.20", "snapshot.30", "snapshot.40"]);
    assert_eq!(logs, ["log.1a", "log.21", "log.31", "log.41"], "log.1a may hold 21 and more");
    assert_eq!(dirs.purge(3), [] as [&str; 0], "nothing is left to do");
}

#[test]
fn log_named_as_the_oldest_snapshot_is_enough() {
    let dirs = Dirs::with(&["snapshot.5", "snapshot.8", "snapshot.9"], &["log.1", "log.5", "log.9"]);
    assert_eq!(dirs.purge(3), ["log.1"]);
}

#[test]
fn logs_that_all_begin_later_stay() {
    let dirs = Dirs::with(&["snapshot.5", "snapshot.8", "snapshot.9"], &["log.6", "log.a"]);
    assert_eq!(dirs.purge(3), [] as [&str; 0]);
}

#[test]
fn broken_snapshot_is_not_counted() {
    let dirs = Dirs::with(
        &["snapshot.1", "snapshot.2", "snapshot.3", "snapshot.4", "snapshot.5"],
        &["log.1", "log.2", "log.3", "log.4", "log.5"],
    );
    dirs.break_snapshot("snapshot.4");
    assert_eq!(dirs.purge(3), ["snapshot.1", "log.1"]);
    assert_eq!(dirs.left().0, ["snapshot.2", "snapshot.3", "snapshot.4", "snapshot.5"]);
}

#[test]
fn packings_count_alike() {
    let dirs =
        Dirs::with(&["snapshot.1.gz", "snapshot.2", "snapshot.3", "snapshot.4.snappy", "snapshot.5"], &[]);
    fs::write(dirs.snap.join("snapshot.4.snappy"), b"\x82SNAPPY\0").expect("written");
    assert_eq!(dirs.purge(3), ["snapshot.1.gz", "snapshot.2"]);
}

#[test]
fn fewer_snapshots_all_stay() {
    let dirs = Dirs::with(&["snapshot.3", "snapshot.7"], &["log.1", "log.2", "log.4", "log.8"]);
    assert_eq!(dirs.purge(3), ["log.1"]);
    assert_eq!(dirs.left().0, ["snapshot.3", "snapshot.7"]);
}

#[test]
fn without_a_whole_snapshot_everything_stays() {
    let dirs = Dirs::with(&["snapshot.3", "oxherd-snapshot.1.tmp"], &["log.1", "log.2"]);
    dirs.break_snapshot("snapshot.3");
    assert_eq!(dirs.purge(3), [] as [&str; 0]);
    let nothing = Dirs::with(&[], &["log.1", "log.2"]);
    assert_eq!(nothing.purge(3), [] as [&str; 0]);
}

#[test]
fn unfinished_snapshots_go_unless_they_may_be_in_the_making() {
    let dirs = Dirs::with(
        &[
            "snapshot.3",
            "snapshot.4",
            "snapshot.5",
            "oxherd-snapshot.2.gz.tmp",
            "snapshot.2.tmp",
            "oxherd-snapshot.6.tmp",
        ],
        &[],
    );
    assert_eq!(dirs.purge(3), ["oxherd-snapshot.2.gz.tmp", "snapshot.2.tmp"]);
    assert_eq!(dirs.left().0, ["oxherd-snapshot.6.tmp", "snapshot.3", "snapshot.4", "snapshot.5"]);
}

#[test]
fn other_files_are_left_alone() {
    let others = ["acceptedEpoch", "currentEpoch", "currentEpoch.tmp", "snapshot.old", "snapshot.1.bak"];
    let mut names = others.to_vec();
    names.extend(["snapshot.3", "snapshot.4", "snapshot.5"]);
    let dirs = Dirs::with(&names, &["log.old", "oxherd.durable", "log.3"]);
    assert_eq!(dirs.purge(3), [] as [&str; 0]);
}

#[test]
fn logs_may_lie_beside_the_snapshots() {
    let dirs =
        Dirs::with(&["snapshot.1", "snapshot.3", "snapshot.4", "snapshot.5", "log.1", "log.2", "log.4"], &[]);
    let removed = purge(&OsDisk, &dirs.snap, &dirs.snap, 3).expect("purged");
    assert_eq!(removed, [dirs.snap.join("snapshot.1"), dirs.snap.join("log.1")]);
}

#[test]
fn fewer_than_three_are_refused() {
    let dirs = Dirs::with(&["snapshot.1", "snapshot.2", "snapshot.3"], &[]);
    let error = purge(&OsDisk, &dirs.snap, &dirs.log, 2).expect_err("too few");
    assert!(matches!(error, StorageError::Refused(_)), "{error}");
    assert_eq!(dirs.left().0.len(), 3);
}
