//! A member that has less than it acknowledged: it is told apart, and learns before it votes.

use std::fs;
use std::time::{Duration, Instant};

use oxherd_client::{Client, open_acl};
use oxherd_proto::CreateMode;

use crate::member::{Ensemble, Member, PATIENCE, repair};

const NODES: usize = 20;
/// How long two members, one of which must not vote, are watched. Elections take a fraction of it.
pub(crate) const WATCHED: Duration = Duration::from_secs(4);

fn initialized(lines: &str) -> Ensemble {
    let ensemble = Ensemble::new(lines);
    for member in &ensemble.members {
        fs::write(member.data().join("initialize"), "").expect("a file");
    }
    ensemble
}

async fn write(member: &Member) {
    let client = member.session().await;
    for number in 0..NODES {
        let path = format!("/n{number:02}");
        client.create(&path, None, open_acl(), CreateMode::Persistent).await.expect("it serves");
    }
}

async fn has_everything(member: &Member) -> bool {
    let client: Client = member.session().await;
    client.sync("/").await.expect("it serves");
    let names = client.get_children("/", false).await.expect("it serves");
    names.iter().filter(|name| name.starts_with('n')).count() == NODES
}

/// The first member has lost something, and must not make a quorum with one other; with two others it learns.
async fn votes_only_after_it_has_learned(ensemble: &mut Ensemble, line: &str) {
    for member in &mut ensemble.members[..2] {
        member.start();
    }
    let said = ensemble.members[0].wait_for(line);
    assert!(said.contains("WARN") && said.contains("does not vote"), "{said}");
    assert!(said.contains(&ensemble.members[0].data().display().to_string()), "{said}");
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        for member in &ensemble.members[..2] {
            assert_eq!(member.mode(), None, "{} serves:\n{}", member.number, member.said());
        }
    }
    ensemble.members[2].start();
    ensemble.wait_for_leader();
    assert!(tokio::time::timeout(PATIENCE, has_everything(&ensemble.members[0])).await.expect("an answer"));
    // From now on it counts: it makes a quorum with one other.
    ensemble.kill();
    for member in &mut ensemble.members[..2] {
        member.start();
    }
    ensemble.wait_for_leader();
    let said = ensemble.members[0].said();
    assert!(!said.contains("does not vote"), "{said}");
    assert!(tokio::time::timeout(PATIENCE, has_everything(&ensemble.members[0])).await.expect("an answer"));
}

#[tokio::test]
async fn an_emptied_disk_does_not_vote_until_it_has_learned() {
    let mut ensemble = initialized("db.autocreate=false");
    ensemble.start();
    write(&ensemble.members[1]).await;
    ensemble.kill();
    fs::remove_dir_all(ensemble.members[0].files()).expect("its data");
    votes_only_after_it_has_learned(&mut ensemble, "is empty and db.autocreate=false").await;
}

/// Members with data, of which the first one's is gone.
async fn emptied(lines: &str) -> Ensemble {
    let mut ensemble = Ensemble::new(lines);
    ensemble.start();
    write(&ensemble.members[1]).await;
    ensemble.kill();
    fs::remove_dir_all(ensemble.members[0].files()).expect("its data");
    ensemble
}

#[tokio::test]
async fn an_emptied_disk_does_not_vote_among_those_that_have_a_history() {
    let mut ensemble = emptied("").await;
    votes_only_after_it_has_learned(&mut ensemble, "was empty at the start, and server").await;
}

#[tokio::test]
async fn an_emptied_disk_votes_where_the_configuration_says_so() {
    let mut ensemble = emptied("db.autocreate=true").await;
    for member in &mut ensemble.members[..2] {
        member.start();
    }
    ensemble.wait_for_leader();
    let said = ensemble.members[0].said();
    assert!(!said.contains("does not vote"), "{said}");
}

#[tokio::test]
async fn a_damaged_log_is_refused_and_when_repaired_does_not_vote_until_it_has_learned() {
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    write(&ensemble.members[1]).await;
    ensemble.kill();
    let member = &ensemble.members[0];
    let names = fs::read_dir(member.files()).expect("its data");
    let paths = names.map(|entry| entry.expect("an entry").path());
    let log = paths.filter(|path| path.display().to_string().contains("/log.")).max().expect("a log");
    let mut bytes = fs::read(&log).expect("its log");
    // In the second record: what is kept of the log is of no use without the rest either.
    let len = u32::from_be_bytes(bytes[16 + 8..16 + 12].try_into().expect("a length"));
    let second = 16 + 12 + usize::try_from(len).expect("a length") + 1;
    bytes[second + 30] ^= 1;
    fs::write(&log, bytes).expect("its log");

    let (code, said) = member.start_in_vain();
    assert_eq!(code, Some(10), "{said}");
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    let command = format!("oxherd repair '{}'", member.data().display());
    assert!(errors[0].contains(&log.display().to_string()) && errors[0].contains(&command), "{said}");
    // A configuration names the directories as well.
    let (code, said) = repair(&member.configuration(), &["--apply"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("LOST HERE") && said.contains("does not vote"), "{said}");
    votes_only_after_it_has_learned(&mut ensemble, "acknowledged txns or epochs are missing").await;
    assert!(!ensemble.members[0].files().join("oxherd.incomplete").exists());
}

#[tokio::test]
async fn forgotten_epochs_are_refused_and_when_repaired_it_does_not_vote_until_it_has_learned() {
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    write(&ensemble.members[1]).await;
    ensemble.kill();
    let member = &ensemble.members[0];
    for name in ["acceptedEpoch", "currentEpoch"] {
        fs::write(member.files().join(name), "0").expect("a file");
    }
    let (code, said) = member.start_in_vain();
    assert_eq!(code, Some(10), "{said}");
    let (code, said) = repair(&member.configuration(), &["--apply"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("no txn is lost") && said.contains("does not vote"), "{said}");
    votes_only_after_it_has_learned(&mut ensemble, "acknowledged txns or epochs are missing").await;
    assert!(!ensemble.members[0].files().join("oxherd.incomplete").exists());
}

#[tokio::test]
async fn data_of_another_ensemble_does_not_vote_until_it_has_learned() {
    let mut other = Ensemble::new("");
    for member in &other.members {
        let text = fs::read_to_string(member.configuration()).expect("a file");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("server.")).collect();
        member.configure(&format!("{}\n", lines.join("\n").replace("127.0.0.1", "127.0.0.2")));
    }
    other.start();
    // More than the ensemble it comes to has.
    for number in 0..2 * NODES {
        let client = other.members[0].session().await;
        let path = format!("/other{number}");
        client.create(&path, None, open_acl(), CreateMode::Persistent).await.expect("it serves");
    }
    other.kill();
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    write(&ensemble.members[1]).await;
    ensemble.kill();
    let files = ensemble.members[0].files();
    fs::remove_dir_all(&files).expect("its data");
    fs::rename(other.members[0].files(), &files).expect("it is moved");
    votes_only_after_it_has_learned(&mut ensemble, "holds data of another ensemble").await;
    let client = ensemble.members[0].session().await;
    let names = client.get_children("/", false).await.expect("it serves");
    assert!(names.iter().all(|name| !name.starts_with("other")), "{names:?}");
}

#[tokio::test]
async fn epochs_of_different_times_are_refused() {
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    write(&ensemble.members[1]).await;
    ensemble.kill();
    let member = &ensemble.members[0];
    for (accepted, current, reason) in [
        ("3", "5", "older than the current one"),
        ("0", "0", "the current epoch (0) is older than that of the last zxid (0x1"),
        ("5", "five", "is no epoch"),
        ("", "5", "is no epoch"),
    ] {
        fs::write(member.files().join("acceptedEpoch"), accepted).expect("a file");
        fs::write(member.files().join("currentEpoch"), current).expect("a file");
        let (code, said) = member.start_in_vain();
        assert_eq!(code, Some(10), "{said}");
        let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
        assert_eq!(errors.len(), 1, "{said}");
        assert!(errors[0].contains(reason) && errors[0].contains("oxherd repair"), "{said}");
    }
}
