//! Starting and stopping: what a service manager and an operator see.

use std::fs;
use std::process::Command;

use bytes::Bytes;
use oxherd_client::open_acl;
use oxherd_proto::CreateMode;

use crate::server::{Place, Server, give_up};

#[tokio::test]
async fn a_clean_stop_ends_with_0_and_the_next_start_has_everything() {
    let place = Place::new("");
    let server = place.start(0);
    println!("ready on an empty directory in {:?}", server.ready);
    let client = server.session().await;
    for number in 0..100 {
        let data = Some(Bytes::from(format!("{number}")));
        client
            .create(&format!("/n{number}"), data, open_acl(), CreateMode::Persistent)
            .await
            .expect("it serves");
    }
    let (_, before) = client.get_children2("/", false).await.expect("it serves");
    let (status, said) = server.terminate();
    assert_eq!(status.code(), Some(0), "{said}");

    let server = place.start(0);
    println!("ready with a short log in {:?}", server.ready);
    let client = server.session().await;
    let (_, after) = client.get_children2("/", false).await.expect("it serves");
    assert_eq!(before, after);
    let (data, _) = client.get_data("/n99", false).await.expect("it was acknowledged");
    assert_eq!(data.as_deref(), Some(&b"99"[..]));
}

#[tokio::test]
async fn a_second_server_is_kept_out_of_the_directory_in_one_line() {
    let place = Place::new("");
    let server = place.start(0);
    let (code, said) = place.start_in_vain();
    assert_eq!(code, Some(3), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("in use by another server"), "{said}");
    assert!(lines[0].contains(&place.path().display().to_string()), "{said}");
    // The first one does not notice.
    server.session().await.exists("/", false).await.expect("it serves");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("it listens").port();
    let place = Place::new("");
    let (code, said) = give_up(place.command(port), place.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("another server"), "{said}");
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_with_2_and_the_reason() {
    for (line, named) in [
        ("tickTime=soon", "tickTime"),
        ("syncEnabled=perhaps", "syncEnabled"),
        ("enforce.auth.enabled=true", "enforce.auth"),
    ] {
        let place = Place::new(line);
        let (code, said) = place.start_in_vain();
        assert_eq!(code, Some(2), "{line}: {said}");
        assert!(said.contains(named), "{line}: {said}");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let place = Place::new("");
    let missing = place.path().join("none.cfg");
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    command.arg("serve").arg(&missing);
    let (code, said) = give_up(command, place.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("none.cfg"), "{said}");
}

#[test]
fn a_data_directory_that_is_a_file_is_refused_with_3() {
    let place = Place::new("");
    fs::write(place.path().join("data"), "not a directory").expect("a file");
    let (code, said) = place.start_in_vain();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("check the path"), "{said}");
    assert!(said.contains(&place.path().join("data").display().to_string()), "{said}");
}

#[test]
fn logs_without_their_snapshot_are_not_served() {
    let place = Place::new("");
    drop(Server::spawn(place.command(0), place.path()).expect("it starts"));
    let log = place.data().join("log.1");
    if !log.exists() {
        fs::write(&log, []).expect("a file");
    }
    for snapshot in place.files("snapshot.") {
        fs::remove_file(snapshot).expect("it is there");
    }
    let (code, said) = place.start_in_vain();
    assert_eq!(code, Some(10), "{said}");
    assert!(said.contains("snapshot.trust.empty"), "the way out is named: {said}");
}

#[test]
fn snapshots_of_which_none_is_whole_are_named_with_a_way_out() {
    let place = Place::new("");
    drop(Server::spawn(place.command(0), place.path()).expect("it starts"));
    let snapshot = place.files("snapshot.").pop().expect("there is one from the start");
    let bytes = fs::read(&snapshot).expect("the snapshot");
    fs::write(&snapshot, &bytes[..bytes.len() / 2]).expect("it is cut");
    let (code, said) = place.start_in_vain();
    assert_eq!(code, Some(10), "{said}");
    assert!(said.contains(&snapshot.display().to_string()), "{said}");
    assert!(said.contains("backup"), "{said}");
}
