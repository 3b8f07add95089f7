//! A sync that fails stops the server: nothing is acknowledged that may not be on the disk.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use oxherd_client::open_acl;
use oxherd_proto::CreateMode;
use tokio::time::timeout;

use crate::server::{PATIENCE, Place, Server};

/// Puts a device in place of a file that every new file of the log is synced with: the system refuses to sync it.
fn break_syncs(place: &Place) -> bool {
    let file = place.data().join("oxherd.durable");
    let device = fs::File::options().write(true).open("/dev/null");
    if device.is_ok_and(|device| device.sync_data().is_ok()) {
        return false;
    }
    fs::create_dir_all(place.data()).expect("a directory");
    symlink("/dev/null", file).expect("a link");
    true
}

#[tokio::test]
async fn a_sync_that_fails_stops_the_server_and_nothing_was_acknowledged() {
    let place = Place::new("");
    if !break_syncs(&place) {
        return println!("skipped: this system syncs /dev/null");
    }
    let mut server = place.start(0);
    let options = oxherd_client::ClientOptions::default();
    let (client, _) = oxherd_client::Client::connect(&server.address(), &options).expect("an address");
    let create = async {
        client.connected().await;
        client.create("/promised", None, open_acl(), CreateMode::Persistent).await
    };
    // The session alone is a txn: the server is gone before anything is answered.
    let answer = timeout(Duration::from_secs(2), create).await;
    assert!(!matches!(answer, Ok(Ok(_))), "acknowledged: {answer:?}");
    let status = server.wait_for_end();
    let said = server.said();
    assert_eq!(status.code(), Some(10), "{said}");
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert!(errors[0].contains("cannot sync") && errors[0].contains("oxherd.durable"), "{said}");
    drop(client);

    // The disk works again: the server starts with what was acknowledged, which is nothing.
    fs::remove_file(place.data().join("oxherd.durable")).expect("the link");
    let server: Server = place.start(0);
    let client = timeout(PATIENCE, server.session()).await.expect("it serves");
    client.create("/promised", None, open_acl(), CreateMode::Persistent).await.expect("it was never there");
}
