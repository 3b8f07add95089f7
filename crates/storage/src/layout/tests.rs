use std::fs;

use tempfile::TempDir;

use super::*;
use crate::disk::OsDisk;

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
