//! Logs and snapshots that are not as they were left.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use oxherd_client::{Client, open_acl};
use oxherd_proto::CreateMode;

use crate::server::Place;

pub(crate) const NODES: usize = 20;

/// Offsets of the records in a log file, and where the last one ends.
pub(crate) fn records(path: &Path) -> (Vec<usize>, usize) {
    let bytes = fs::read(path).expect("the log");
    let mut at = 16;
    let mut found = Vec::new();
    while let Some(head) = bytes.get(at..at + 12) {
        let len = i32::from_be_bytes(head[8..].try_into().expect("four bytes"));
        if len == 0 {
            break;
        }
        found.push(at);
        at += 12 + usize::try_from(len).expect("a length") + 1;
    }
    (found, at)
}

/// A killed server's directory with one log of some nodes.
pub(crate) async fn written(extra: &str) -> Place {
    let place = Place::new(extra);
    let server = place.start(0);
    let client = server.session().await;
    for number in 0..NODES {
        let data = Some(Bytes::from(vec![b'x'; 100]));
        client
            .create(&format!("/n{number:02}"), data, open_acl(), CreateMode::Persistent)
            .await
            .expect("it serves");
    }
    server.kill();
    place
}

pub(crate) async fn count(client: &Client) -> usize {
    let names = client.get_children("/", false).await.expect("it serves");
    names.iter().filter(|name| name.starts_with('n')).count()
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_reported_once() {
    let place = written("").await;
    let log = place.files("log.").pop().expect("a log");
    let (found, end) = records(&log);
    let mut bytes = fs::read(&log).expect("the log");
    // Half of a record that was on its way.
    let half = bytes[found[2]..found[2] + 40].to_vec();
    bytes.truncate(end);
    bytes.extend_from_slice(&half);
    fs::write(&log, bytes).expect("the log is written");

    let server = place.start(0);
    let said = server.said();
    let line =
        said.lines().find(|line| line.contains("cut off the torn end")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains(&log.display().to_string()), "{line}");
    assert!(line.contains(&format!("offset={end}")), "{line}");
    assert_eq!(count(&server.session().await).await, NODES);
    server.kill();

    let server = place.start(0);
    assert!(!server.said().contains("torn"), "it was cut off before: {}", server.said());
    assert_eq!(count(&server.session().await).await, NODES);
}

#[tokio::test]
async fn damage_in_the_middle_is_refused_with_10_file_offset_and_a_way_out() {
    let place = written("").await;
    let log = place.files("log.").pop().expect("a log");
    let (found, _) = records(&log);
    let at = found[found.len() / 2];
    let mut bytes = fs::read(&log).expect("the log");
    bytes[at + 40] ^= 1;
    fs::write(&log, bytes).expect("the log is written");

    let (code, said) = place.start_in_vain();
    assert_eq!(code, Some(10), "{said}");
    let line = said.lines().find(|line| line.contains("is damaged")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains(&log.display().to_string()), "{line}");
    assert!(line.contains(&format!("byte {at}")), "{line}");
    assert!(said.contains(&format!("oxherd repair '{}'", place.path().join("data").display())), "{said}");
    // Refusing changes nothing: a second try says the same.
    assert_eq!(place.start_in_vain().0, Some(10));
}

#[tokio::test]
async fn acknowledged_records_that_vanish_from_the_end_are_missed() {
    let place = written("").await;
    let log = place.files("log.").pop().expect("a log");
    let (found, _) = records(&log);
    let file = fs::OpenOptions::new().write(true).open(&log).expect("the log");
    file.set_len(u64::try_from(found[found.len() - 3]).expect("an offset")).expect("it is cut");
    let (code, said) = place.start_in_vain();
    assert_eq!(code, Some(10), "{said}");
    assert!(said.contains("acknowledged"), "{said}");
}
