//! kill -9 in the middle of writes, again and again: what was acknowledged is there, and so are the sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use oxherd_client::{Client, ClientOptions, open_acl};
use oxherd_proto::{CreateMode, ErrorCode};
use tokio::time::timeout;

use crate::server::{PATIENCE, Place, Server};

const WRITERS: usize = 4;
/// Acknowledged writes between two kills, at least.
const WRITES: usize = 60;
const KILLS_DEFAULT: usize = 10;

/// How far the writes of one node were acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Nothing,
    Created,
    Changed,
    Deleted,
}

/// A session that writes, and what was acknowledged to it.
struct Writer {
    client: Client,
    /// Its ephemeral node.
    mark: String,
    name: usize,
    next: usize,
    acknowledged: BTreeMap<String, Stage>,
}

impl Writer {
    async fn new(server: &Server, name: usize) -> Self {
        let client = server.session().await;
        let mark = format!("/live-{name}");
        client.create(&mark, None, open_acl(), CreateMode::Ephemeral).await.expect("a session's node");
        Self { client, mark, name, next: 0, acknowledged: BTreeMap::new() }
    }

    /// Writes until the server is gone.
    async fn write(mut self, done: Arc<AtomicUsize>) -> Self {
        loop {
            let path = format!("/load/{}-{:06}", self.name, self.next);
            self.next += 1;
            self.acknowledged.insert(path.clone(), Stage::Nothing);
            let last = if self.next.is_multiple_of(3) { Stage::Deleted } else { Stage::Changed };
            for stage in [Stage::Created, Stage::Changed, Stage::Deleted] {
                if stage > last {
                    break;
                }
                match self.step(&path, stage).await {
                    Ok(()) => {
                        self.acknowledged.insert(path.clone(), stage);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(ErrorCode::ConnectionLoss) => return self,
                    Err(code) => panic!("{path}: {code}"),
                }
            }
        }
    }

    async fn step(&self, path: &str, stage: Stage) -> Result<(), ErrorCode> {
        let text = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        let result = match stage {
            Stage::Nothing => Ok(()),
            Stage::Created => {
                self.client.create(path, text("new"), open_acl(), CreateMode::Persistent).await.map(drop)
            }
            Stage::Changed => self.client.set_data(path, text("changed"), 0).await.map(drop),
            Stage::Deleted => self.client.delete(path, 1).await,
        };
        result.map_err(|error| error.code().expect("the server's answers can be read"))
    }

    /// Nothing that was acknowledged is lost, and the session is the one it was.
    async fn check(&mut self, reader: &Client) {
        for (path, acknowledged) in &self.acknowledged {
            let found = stage_of(reader, path, *acknowledged).await;
            assert!(found >= *acknowledged, "{path}: acknowledged {acknowledged:?}, found {found:?}");
        }
        // What was checked stays as it is.
        let last = self.acknowledged.pop_last();
        self.acknowledged.clear();
        self.acknowledged.extend(last);
        let state = timeout(PATIENCE, self.client.connected()).await.expect("it finds the server again");
        assert!(state.is_connected(), "the session is lost: {state}");
        let stat = self.client.exists(&self.mark, false).await.expect("the session serves");
        let owner = stat.expect("the ephemeral node of a session that lives").ephemeral_owner;
        assert_eq!(owner, self.client.session_id());
    }
}

async fn stage_of(reader: &Client, path: &str, acknowledged: Stage) -> Stage {
    match reader.get_data(path, false).await {
        Ok((data, _)) if data.as_deref() == Some(b"new") => Stage::Created,
        Ok((data, _)) if data.as_deref() == Some(b"changed") => Stage::Changed,
        Ok((data, _)) => panic!("{path} holds {data:?}, which nobody wrote"),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => {
            // The delete may have been on its way; a create that was acknowledged is no longer missing then.
            if acknowledged >= Stage::Changed { Stage::Deleted } else { Stage::Nothing }
        }
        Err(error) => panic!("{path}: {error}"),
    }
}

fn kills() -> usize {
    std::env::var("OXHERD_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS_DEFAULT)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let place = Place::new("snapCount=150");
    let mut server = place.start(0);
    let port = server.port;
    let first = server.session().await;
    first.create("/load", None, open_acl(), CreateMode::Persistent).await.expect("an empty server");
    first.create("/over", None, open_acl(), CreateMode::Ephemeral).await.expect("an empty server");
    first.close().await.expect("the session ends");
    let mut writers = Vec::new();
    for name in 0..WRITERS {
        writers.push(Writer::new(&server, name).await);
    }
    let mut total = 0;
    for kill in 0..kills() {
        let done = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> =
            writers.into_iter().map(|writer| tokio::spawn(writer.write(Arc::clone(&done)))).collect();
        until(|| done.load(Ordering::Relaxed) >= WRITES + kill * 7 % 40).await;
        server.kill();
        writers = Vec::new();
        for task in tasks {
            writers
                .push(timeout(PATIENCE, task).await.expect("the loss is noticed").expect("no writer fails"));
        }
        total += done.load(Ordering::Relaxed);
        server = place.start(port);
        println!("kill {}: {total} writes acknowledged, ready again in {:?}", kill + 1, server.ready);
        let reader = server.session().await;
        assert_eq!(reader.exists("/over", false).await.expect("it serves"), None, "its session was closed");
        for writer in &mut writers {
            writer.check(&reader).await;
        }
        reader.close().await.expect("the session ends");
        let said = server.said();
        assert!(!said.contains("digest"), "recovery made another tree:\n{said}");
    }
    let (status, said) = server.terminate();
    assert_eq!(status.code(), Some(0), "{said}");
}

async fn until(reached: impl Fn() -> bool) {
    let wait = async {
        while !reached() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the writers come on");
}

#[tokio::test]
async fn sessions_that_died_with_the_server_expire_after_it_is_back() {
    let place = Place::new("tickTime=200\nminSessionTimeout=400");
    let server = place.start(0);
    let port = server.port;
    let options = ClientOptions { timeout_ms: 400, ..Default::default() };
    let (client, _events) = Client::connect(&server.address(), &options).expect("an address");
    client.create("/gone", None, open_acl(), CreateMode::Ephemeral).await.expect("an empty server");
    // Dropped, not closed: the session lives on without its client.
    drop(client);
    server.kill();
    let server = place.start(port);
    let reader = server.session().await;
    let expired = async { while reader.exists("/gone", false).await.expect("it serves").is_some() {} };
    timeout(PATIENCE, expired).await.expect("the session expires");
}
