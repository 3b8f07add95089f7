use std::fs;

use tempfile::TempDir;

use super::*;
use crate::os_disk::OsDisk;
use crate::{CrashOutcome, Fault, SimDisk};

fn root() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn missing_directories_are_made_unless_forbidden() {
    let root = root();
    let (data, logs) = (root.path().join("a/data"), root.path().join("b/logs"));
    let layout = Layout::new(&data, Some(&logs));
    let refused = layout.open(&OsDisk, false).expect_err("they are missing");
    assert!(
        matches!(&refused, StorageError::Refused(reason) if reason.contains("datadir.autocreate")),
        "{refused}"
    );
    assert_eq!(OsDisk.list(root.path()).expect("listed"), [] as [&str; 0]);
    layout.open(&OsDisk, true).expect("made");
    assert!(data.join("version-2").is_dir() && logs.join("version-2").is_dir());
    layout.open(&OsDisk, false).expect("they are there");
}

#[test]
fn logs_are_beside_the_snapshots_by_default() {
    let root = root();
    let layout = Layout::new(root.path(), None);
    assert_eq!(layout.snap_dir, root.path().join("version-2"));
    assert_eq!(layout.log_dir, layout.snap_dir);
    layout.open(&OsDisk, true).expect("made");
    for name in ["log.1", "snapshot.0"] {
        fs::write(layout.snap_dir.join(name), "").expect("written");
    }
    layout.open(&OsDisk, true).expect("one directory may hold both");
}

#[test]
fn exchanged_directories_are_refused() {
    for (exchanged, name) in [(true, "snapshot.5"), (false, "log.5")] {
        let root = root();
        let layout = Layout::new(&root.path().join("data"), Some(&root.path().join("logs")));
        layout.open(&OsDisk, true).expect("made");
        let dir = if exchanged { &layout.log_dir } else { &layout.snap_dir };
        fs::write(dir.join(name), "").expect("written");
        let error = layout.open(&OsDisk, true).expect_err("mixed up").to_string();
        assert!(error.contains(name) && error.contains(&dir.display().to_string()), "{error}");
    }
}

#[test]
fn myid_is_a_number_in_the_first_line() {
    let root = root();
    assert_eq!(Layout::read_myid(&OsDisk, root.path()).expect("none"), None);
    for (text, id) in [("3", 3), ("3\n", 3), ("254\r\n", 254), ("7\nseven\n", 7)] {
        fs::write(root.path().join("myid"), text).expect("written");
        assert_eq!(
            Layout::read_myid(&OsDisk, root.path()).expect("a number"),
            Some(ServerId(id)),
            "{text:?}"
        );
    }
    for text in ["", "three", "\n3"] {
        fs::write(root.path().join("myid"), text).expect("written");
        let error = Layout::read_myid(&OsDisk, root.path()).expect_err("no number");
        assert!(matches!(error, StorageError::Refused(_)), "{text:?}: {error}");
    }
}

#[test]
fn initialize_is_taken_once_from_either_place() {
    for place in ["data", "logs"] {
        let root = root();
        let layout = Layout::new(&root.path().join("data"), Some(&root.path().join("logs")));
        layout.open(&OsDisk, true).expect("made");
        assert!(!layout.take_initialize(&OsDisk).expect("looked"));
        fs::write(root.path().join(place).join("initialize"), "").expect("written");
        assert!(layout.take_initialize(&OsDisk).expect("looked"), "{place}");
        assert!(!layout.take_initialize(&OsDisk).expect("looked again"), "{place}");
    }
}

/// What a power loss leaves of the directories once a start has come through.
fn kept_after_a_start(disk: &SimDisk, layout: &Layout) -> bool {
    layout.open(disk, true).expect("the next start finds nothing wrong");
    let left = disk.after_crash(CrashOutcome::Lost);
    has_entry(&left, parent(&layout.snap_dir), VERSION_DIR).expect("listed")
}

#[test]
fn directories_of_a_start_that_failed_are_durable_with_the_next() {
    let layout = Layout::new(Path::new("/srv/zookeeper/data"), None);
    for sync in 1.. {
        let disk = SimDisk::new();
        disk.fail(Fault::Sync(sync));
        if layout.open(&disk, true).is_ok() {
            assert!(sync > 3, "a sync for each level");
            break;
        }
        assert!(kept_after_a_start(&disk, &layout), "sync {sync} failed");
    }
}

#[test]
fn directories_of_a_start_that_was_killed_are_durable_with_the_next() {
    let layout = Layout::new(Path::new("/srv/zookeeper/data"), None);
    for call in 1.. {
        let disk = SimDisk::new();
        disk.crash_at(call);
        if layout.open(&disk, true).is_ok() {
            assert!(call > 6, "levels are made and synced");
            break;
        }
        assert!(kept_after_a_start(&disk.after_crash(CrashOutcome::ProcessDied), &layout), "call {call}");
    }
}
