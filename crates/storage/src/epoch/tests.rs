use std::fs;

use tempfile::TempDir;

use super::*;
use crate::os_disk::OsDisk;

fn dir_with(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("written");
    }
    dir
}

fn text(dir: &TempDir, name: &str) -> Option<String> {
    fs::read_to_string(dir.path().join(name)).ok()
}

fn read_at(dir: &TempDir, epoch_of_zxid: i64) -> Result<(i64, i64), StorageError> {
    let epochs = read_epochs(&OsDisk, dir.path(), Zxid::new(Epoch(epoch_of_zxid), 9))?;
    Ok((epochs.accepted.0, epochs.current.0))
}

#[test]
fn files_decide_and_the_history_stands_in() {
    // Files: accepted, current, unfinished current; epoch of the last zxid; accepted and current found.
    type Case = (Option<&'static str>, Option<&'static str>, Option<&'static str>, i64, Option<(i64, i64)>);
    let cases: [Case; 16] = [
        (Some("5"), Some("5"), None, 5, Some((5, 5))),
        (Some("7"), Some("5"), None, 4, Some((7, 5))),
        (Some("7\n"), Some("5\n"), None, 5, Some((7, 5))),
        (None, None, None, 0, Some((0, 0))),
        (None, None, None, 3, Some((3, 3))),
        (None, Some("3"), None, 3, Some((3, 3))),
        (None, Some("4"), None, 3, None),
        (Some("4"), None, None, 3, Some((4, 3))),
        (Some("4"), Some("5"), None, 3, None),
        (Some("9"), Some("5"), None, 6, Some((9, 5))),
        (Some("9"), Some("5"), Some("6"), 6, Some((9, 6))),
        (Some("9"), Some("5"), Some("5"), 6, Some((9, 5))),
        (Some("9"), Some("5"), Some(""), 6, Some((9, 5))),
        (Some("5"), Some("5"), None, 6, None),
        (Some("5"), Some("5"), Some("6"), 6, None),
        (Some("9"), Some("5"), Some("6"), 5, Some((9, 5))),
    ];
    for (accepted, current, unfinished, of_zxid, expected) in cases {
        let files =
            [("acceptedEpoch", accepted), ("currentEpoch", current), ("currentEpoch.tmp", unfinished)];
        let files: Vec<(&str, &str)> =
            files.iter().filter_map(|(name, text)| text.map(|text| (*name, text))).collect();
        let dir = dir_with(&files);
        match (read_at(&dir, of_zxid), expected) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected, "{files:?} at {of_zxid}"),
            (Err(StorageError::Refused(_)), None) => {}
            (found, expected) => panic!("{files:?} at {of_zxid}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn what_stood_in_is_written_down() {
    let dir = dir_with(&[]);
    assert_eq!(read_at(&dir, 3).expect("read"), (3, 3));
    assert_eq!(text(&dir, "acceptedEpoch").as_deref(), Some("3"));
    assert_eq!(text(&dir, "currentEpoch").as_deref(), Some("3"));
    assert_eq!(read_at(&dir, 2).expect("read"), (3, 3));
}

#[test]
fn unfinished_epoch_is_finished() {
    let dir = dir_with(&[("acceptedEpoch", "6"), ("currentEpoch", "5"), ("currentEpoch.tmp", "6")]);
    assert_eq!(read_at(&dir, 6).expect("read"), (6, 6));
    assert_eq!(text(&dir, "currentEpoch").as_deref(), Some("6"));
    assert_eq!(text(&dir, "currentEpoch.tmp"), None);
}

#[test]
fn no_history_at_all_may_have_no_epoch() {
    let dir = dir_with(&[]);
    let epochs = read_epochs(&OsDisk, dir.path(), Zxid(-1)).expect("read");
    assert_eq!(epochs, Epochs { accepted: Epoch(-1), current: Epoch(-1) });
    assert_eq!(read_epochs(&OsDisk, dir.path(), Zxid(-1)).expect("read again"), epochs);
}

#[test]
fn written_epoch_is_all_there_is() {
    let dir = dir_with(&[("acceptedEpoch", "1234567890")]);
    write_epoch(&OsDisk, dir.path(), EpochFile::Accepted, Epoch(12)).expect("written");
    write_epoch(&OsDisk, dir.path(), EpochFile::Current, Epoch(11)).expect("written");
    assert_eq!(text(&dir, "acceptedEpoch").as_deref(), Some("12"));
    assert_eq!(text(&dir, "currentEpoch").as_deref(), Some("11"));
    assert_eq!(OsDisk.list(dir.path()).expect("listed"), ["acceptedEpoch", "currentEpoch"]);
    assert_eq!(read_at(&dir, 11).expect("read"), (12, 11));
}

#[test]
fn file_without_a_number_is_damage() {
    for bad in ["", "five", "5x", "99999999999999999999"] {
        for name in ["acceptedEpoch", "currentEpoch"] {
            let dir = dir_with(&[("acceptedEpoch", "5"), ("currentEpoch", "5"), (name, bad)]);
            let error = read_at(&dir, 5).expect_err("no number");
            let StorageError::Damaged { path, .. } = &error else { panic!("{error}") };
            assert_eq!(path, &dir.path().join(name));
        }
    }
}
