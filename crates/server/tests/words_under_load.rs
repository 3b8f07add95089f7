//! Whoever watches a server by its words must not stop it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use oxherd_client::{Client, ClientOptions, open_acl};
use oxherd_proto::CreateMode;
use oxherd_server::{Config, Server};

const PATIENCE: Duration = Duration::from_secs(30);
const WRITERS: usize = 8;
const WRITES: usize = 400;
const WORDS: [&str; 9] = ["mntr", "srvr", "stat", "cons", "dump", "wchs", "wchp", "wchc", "hash"];

/// The answer to a four-letter word; none when it does not come to its end in time.
fn word(address: SocketAddr, word: &str) -> Option<String> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.write_all(word.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Writes, each with a watch that it fires.
async fn write(address: SocketAddr, writer: usize) {
    let (client, _events) = Client::connect(&address.to_string(), &ClientOptions::default()).unwrap();
    let path = format!("/{writer}");
    client.create(&path, None, open_acl(), CreateMode::Persistent).await.unwrap();
    for _ in 0..WRITES {
        client.get_data(&path, true).await.unwrap();
        client.set_data(&path, Some(Bytes::from_static(b"x")), -1).await.unwrap();
    }
    client.close().await.unwrap();
}

#[test]
fn words_asked_all_the_time_do_not_stop_the_writes() {
    let data = tempfile::TempDir::new().unwrap();
    let mut config = Config::default();
    config.client_port.port = Some(0);
    config.client_port.address = Some("127.0.0.1".to_owned());
    config.client_port.words = "*".to_owned();
    config.storage.data_dir = data.path().to_owned();
    let server = Server::builder(config).worker_threads(4).start().unwrap();
    let address = server.client_addr().unwrap();
    let over = AtomicBool::new(false);
    let over = &over;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let written = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        for name in WORDS {
                            if word(address, name).is_none() {
                                return Some(name);
                            }
                        }
                    }
                    None
                })
            })
            .collect();
        let written = runtime.block_on(async {
            let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(address, writer))).collect();
            let all = async {
                for writer in writers {
                    writer.await.unwrap();
                }
            };
            tokio::time::timeout(PATIENCE, all).await
        });
        over.store(true, Ordering::Relaxed);
        let unanswered: Vec<&str> = askers.into_iter().filter_map(|asker| asker.join().unwrap()).collect();
        (written.is_ok(), unanswered)
    });
    if written != (true, Vec::new()) {
        // A server that hangs would not stop either.
        std::mem::forget(server);
        panic!("all is written: {}; not answered: {:?}", written.0, written.1);
    }
}
