//! `oxherd repair` on directories that are not as they were left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::damage::{NODES, count, records, written};
use crate::server::Place;

/// Runs it on the place's data; exit code and what it said.
fn repair(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    command.arg("repair").arg(place.path().join("data")).args(arguments);
    let output = command.output().expect("the binary is there");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

fn json(place: &Place, arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, said) = repair(place, &[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}")))
}

/// All files below a directory.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(contents(&entry));
        } else {
            found.insert(entry.clone(), fs::read(&entry).expect("a file"));
        }
    }
    found
}

/// Turns a bit of the record in the middle of the log; the log, the number of that record.
fn damage_the_middle(place: &Place) -> (PathBuf, usize) {
    let log = place.files("log.").pop().expect("a log");
    let (found, _) = records(&log);
    let number = found.len() / 2;
    let mut bytes = fs::read(&log).expect("the log");
    bytes[found[number] + 40] ^= 1;
    fs::write(&log, bytes).expect("the log is written");
    (log, number)
}

#[tokio::test]
async fn a_good_directory_is_explained_and_left_alone() {
    let place = written("").await;
    let before = contents(&place.data());
    let (code, said) = repair(&place, &[]);
    assert_eq!(code, Some(0), "{said}");
    // The session and the nodes.
    for part in ["snapshot.0", "log.1", "0x1 to 0x15", "durable up to byte", "good: a server starts"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, said) = repair(&place, &["--apply"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(contents(&place.data()), before, "there is nothing to repair");
    let server = place.start(0);
    assert_eq!(count(&server.session().await).await, NODES);
    let (code, said) = repair(&place, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("in use by another server"), "{said}");
}

#[tokio::test]
async fn damage_in_the_middle_costs_what_is_behind_it_and_not_more() {
    let place = written("").await;
    let (log, number) = damage_the_middle(&place);
    let before = contents(&place.data());

    // The refusal names the command, which explains and changes nothing.
    let (code, said) = place.start_in_vain();
    assert_eq!(code, Some(10), "{said}");
    let line = said.lines().find(|line| line.contains("oxherd repair '")).unwrap_or_else(|| panic!("{said}"));
    let named = line.split("oxherd repair '").nth(1).expect("found above").trim_end_matches('\'');
    assert_eq!(Path::new(named), place.path().join("data"));
    let (code, said) = repair(&place, &[]);
    assert_eq!(code, Some(10), "{said}");
    let lost = format!("from 0x{:x} to 0x15", number + 1);
    for part in ["DAMAGED", "nothing was changed", "LOST HERE", &lost, "a backup"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, value) = json(&place, &[]);
    assert_eq!(code, Some(10));
    assert_eq!(value["plan"]["lost"]["first"], format!("0x{:x}", number + 1));
    assert_eq!(value["found"]["logs"][0]["damage"].as_array().map(Vec::len), Some(1), "{value:#}");
    assert_eq!(contents(&place.data()), before, "nothing was changed");

    let (code, said) = repair(&place, &["--apply"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&lost) && said.contains("aside-1"), "{said}");
    let aside = place.data().join("aside-1").join(log.file_name().expect("a name"));
    assert_eq!(fs::read(aside).expect("it was kept"), before[&log], "the damaged file is as it was");
    let server = place.start(0);
    // The first txn began the session.
    assert_eq!(count(&server.session().await).await, number - 1);
    server.kill();
    assert_eq!(repair(&place, &[]).0, Some(0));
}

#[tokio::test]
async fn records_that_vanished_from_the_end_are_named_as_lost() {
    let place = written("").await;
    let log = place.files("log.").pop().expect("a log");
    let (found, _) = records(&log);
    let file = fs::OpenOptions::new().write(true).open(&log).expect("the log");
    file.set_len(u64::try_from(found[found.len() - 3]).expect("an offset")).expect("it is cut");
    let (code, said) = repair(&place, &[]);
    assert_eq!(code, Some(10), "{said}");
    assert!(said.contains("LOST HERE: the txns from 0x13"), "{said}");
    let (code, said) = repair(&place, &["--apply"]);
    assert_eq!(code, Some(0), "{said}");
    let server = place.start(0);
    assert_eq!(count(&server.session().await).await, NODES - 3);
}

#[tokio::test]
async fn a_torn_file_that_was_never_synced_has_a_way_out() {
    let place = written("forceSync=no\ntxnLogSizeLimitInKb=1").await;
    let logs = place.files("log.");
    assert!(logs.len() > 2, "{logs:?}");
    // The power went, and the first file has lost its end.
    let (found, _) = records(&logs[0]);
    let file = fs::OpenOptions::new().write(true).open(&logs[0]).expect("the log");
    let last = found.len() - 1;
    file.set_len(u64::try_from(found[last] + 30).expect("an offset")).expect("it is cut");
    let (code, said) = place.start_in_vain();
    assert_eq!(code, Some(10), "{said}");
    let (code, said) = repair(&place, &["--apply"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("LOST HERE: the txns from 0x{:x} to 0x15", last + 1)), "{said}");
    let server = place.start(0);
    assert_eq!(count(&server.session().await).await, last - 1);
}

#[tokio::test]
async fn damage_that_the_snapshot_covers_costs_nothing() {
    let place = written("").await;
    let log = place.files("log.").pop().expect("a log");
    let (found, _) = records(&log);
    let first = place.files("snapshot.").pop().expect("a snapshot");
    let mut bytes = fs::read(&log).expect("the log");
    bytes[found[1] + 40] ^= 1;
    fs::write(&log, bytes).expect("the log is written");
    fs::copy(&first, place.data().join("snapshot.5")).expect("as if it had been taken then");
    let (code, value) = json(&place, &["--apply"]);
    assert_eq!(code, Some(0), "{value:#}");
    assert_eq!(value["plan"]["lost"], Value::Null, "{value:#}");
    assert_eq!(value["plan"]["rewrite"]["first"], "0x6");
    assert_eq!(value["applied"]["verdict"]["served_through"], "0x15");
}

#[test]
fn without_a_whole_snapshot_and_an_ensemble_nothing_is_moved() {
    let place = Place::new("");
    place.start(0).kill();
    let snapshot = place.files("snapshot.").pop().expect("there is one from the start");
    let bytes = fs::read(&snapshot).expect("the snapshot");
    fs::write(&snapshot, &bytes[..bytes.len() / 2]).expect("it is cut");
    let before = contents(&place.data());
    let (code, said) = repair(&place, &["--apply"]);
    assert_eq!(code, Some(10), "{said}");
    assert!(said.contains("its end is missing") && said.contains("put back a backup"), "{said}");
    assert_eq!(contents(&place.data()), before);
}

#[tokio::test]
async fn a_member_is_marked_so_that_it_learns_before_it_votes() {
    let place = written("").await;
    let as_member = |epoch: &str| {
        fs::write(place.path().join("data/myid"), "2\n").expect("a file");
        fs::write(place.data().join("currentEpoch"), epoch).expect("a file");
        fs::write(place.data().join("acceptedEpoch"), epoch).expect("a file");
    };
    as_member("3");
    let (_, number) = damage_the_middle(&place);
    let (code, said) = repair(&place, &[]);
    assert_eq!(code, Some(10), "{said}");
    for part in ["member 2 of an ensemble", "acceptedEpoch 3", "does not vote until", "empty"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, value) = json(&place, &["--apply"]);
    assert_eq!(code, Some(0), "{value:#}");
    assert_eq!(value["plan"]["mark_incomplete"], true);
    assert_eq!(value["applied"]["verdict"]["served_through"], format!("0x{number:x}"));
    assert!(place.data().join("oxherd.incomplete").exists());
    assert_eq!(fs::read_to_string(place.data().join("currentEpoch")).expect("it stays"), "3");
    // Alone it is not served as if nothing had happened.
    let (code, said) = place.start_in_vain();
    assert_eq!(code, Some(10), "{said}");
    assert!(
        said.contains("acknowledged txns or epochs are missing") && said.contains("oxherd.incomplete"),
        "{said}"
    );
}

#[tokio::test]
async fn epochs_that_cannot_be_read_are_written_anew() {
    let place = written("").await;
    fs::write(place.path().join("data/myid"), "2\n").expect("a file");
    fs::write(place.data().join("currentEpoch"), "4").expect("a file");
    fs::write(place.data().join("acceptedEpoch"), "\0\0").expect("a file");
    let (code, said) = repair(&place, &[]);
    assert_eq!(code, Some(10), "{said}");
    assert!(said.contains("acceptedEpoch UNREADABLE") && said.contains("is no epoch"), "{said}");
    assert_eq!(json(&place, &[]).1["plan"]["mark_incomplete"], true);
    let (code, said) = repair(&place, &["--apply"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(fs::read_to_string(place.data().join("acceptedEpoch")).expect("a file"), "4");
    // It may have promised a later epoch, so it must not vote with this one.
    for part in ["no txn is lost", "promised to leaders is not known", "does not vote until"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let after = said.split("afterwards:").nth(1).expect("it was applied");
    assert!(after.contains("good"), "{said}");
    assert!(place.data().join("oxherd.incomplete").exists(), "{said}");
    let (code, said) = repair(&place, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("marked as incomplete"), "{said}");
}

#[test]
fn a_place_without_data_is_said_so() {
    let place = Place::new("");
    let (code, said) = repair(&place, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is not there") && said.contains("dataDir"), "{said}");
}
