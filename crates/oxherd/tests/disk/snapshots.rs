//! Snapshots while writes go on, and what is kept of them.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use oxherd_client::{Client, open_acl};
use oxherd_proto::CreateMode;
use tokio::time::timeout;

use crate::server::{PATIENCE, Place};

const NODES: usize = 900;

/// Creates nodes, several requests at a time.
async fn create(client: &Client, from: usize) {
    let mut waiting = Vec::new();
    for number in from..from + NODES {
        let path = format!("/n{number:05}");
        let client = client.clone();
        let created = async move {
            let data = Some(Bytes::from(path.clone()));
            client.create(&path, data, open_acl(), CreateMode::Persistent).await.expect("it serves");
        };
        waiting.push(tokio::spawn(created));
        if waiting.len() == 30 {
            for task in waiting.drain(..) {
                task.await.expect("no create fails");
            }
        }
    }
}

async fn check(client: &Client, count: usize) {
    let mut names = client.get_children("/", false).await.expect("it serves");
    names.retain(|name| name.starts_with('n'));
    assert_eq!(names.len(), count);
    for name in names.iter().step_by(37) {
        let (data, _) = client.get_data(&format!("/{name}"), false).await.expect("it is listed");
        assert_eq!(data.as_deref(), Some(format!("/{name}").as_bytes()));
    }
}

#[tokio::test]
async fn snapshots_are_taken_while_writes_go_on_and_three_are_kept() {
    for packing in ["", "gz", "snappy"] {
        let place = Place::new(&format!(
            "snapCount=120\nautopurge.snapRetainCount=3\nsnapshot.compression.method={packing}"
        ));
        let server = place.start(0);
        create(&server.session().await, 0).await;
        server.kill();
        assert!(place.files("snapshot.").len() > 3, "{:?}", place.files("snapshot."));

        // Old files go when a server starts, and hourly.
        let server = place.start(0);
        let purged = async {
            while place.files("snapshot.").len() > 3 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, purged).await.unwrap_or_else(|_| panic!("{:?}", place.files("snapshot.")));
        check(&server.session().await, NODES).await;
        server.kill();

        // The newest snapshot breaks: the one before and the logs have it all.
        let newest = place.files("snapshot.").pop().expect("three are kept");
        let bytes = fs::read(&newest).expect("the snapshot");
        fs::write(&newest, &bytes[..bytes.len() / 2]).expect("it is cut");
        let server = place.start(0);
        assert!(server.said().contains(&newest.display().to_string()), "it is reported: {}", server.said());
        check(&server.session().await, NODES).await;
        let (status, said) = server.terminate();
        assert_eq!(status.code(), Some(0), "{said}");
    }
}
