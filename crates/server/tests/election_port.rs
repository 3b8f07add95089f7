//! An election port that is taken at the start.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use oxherd_server::{Config, Purpose, Role, Server, StartError};

const PATIENCE: Duration = Duration::from_secs(60);

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

/// The only member of an ensemble.
fn config(dir: &Path, peer_port: u16, election_port: u16, retries: i32) -> Config {
    std::fs::write(dir.join("myid"), "1\n").unwrap();
    let text = format!(
        "tickTime=500\ninitLimit=20\nsyncLimit=10\nstandaloneEnabled=false\ndataDir={}\n\
         electionPortBindRetry={retries}\nserver.1=127.0.0.1:{peer_port}:{election_port}\n",
        dir.display(),
    );
    let path = dir.join("zoo.cfg");
    std::fs::write(&path, text).unwrap();
    Config::from_file(&path).unwrap()
}

#[test]
fn the_election_port_is_tried_again_as_often_as_the_setting_says() {
    let dir = tempfile::tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer_port = oxherd_server::test_port("127.0.0.1").unwrap();
    let once = Server::builder(config(dir.path(), peer_port, port_of(&holder), 1)).start();
    assert!(matches!(once, Err(StartError::Listen { purpose: Purpose::Elections, .. })), "{once:?}");

    let config = config(dir.path(), peer_port, port_of(&holder), 0);
    let starting = std::thread::spawn(move || Server::builder(config).worker_threads(1).start());
    // The port for learners comes first.
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", peer_port)).is_err() {
        assert!(Instant::now() < end && !starting.is_finished(), "it goes on trying");
    }
    drop(holder);
    let server = starting.join().unwrap().unwrap();
    assert!(server.wait_for_role(|role| matches!(role, Role::Leading { .. }), PATIENCE));
}
