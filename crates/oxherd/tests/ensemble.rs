//! An ensemble of processes: the leader is killed, and made to go, while clients write.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oxherd_client::{Client, ClientOptions, open_acl};
use oxherd_proto::{CreateMode, ErrorCode};

/// Bound of every wait: far above what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
const WRITERS: usize = 4;

struct Member {
    config: PathBuf,
    client_port: u16,
    process: Option<Child>,
}

impl Member {
    fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.config.with_extension("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
        command.arg("serve").arg(&self.config).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// What the member says it is.
    fn mode(&self) -> Option<String> {
        let mut link = TcpStream::connect(("127.0.0.1", self.client_port)).ok()?;
        link.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        link.write_all(b"srvr").ok()?;
        let mut text = String::new();
        link.read_to_string(&mut text).ok()?;
        text.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports that nobody uses now.
fn free_ports(count: usize) -> Vec<u16> {
    (0..count).map(|_| oxherd_server::test_port("127.0.0.1").unwrap()).collect()
}

fn start(dir: &std::path::Path) -> Vec<Member> {
    let ports = free_ports(9);
    let mut members = Vec::new();
    for number in 1..=3 {
        let home = dir.join(number.to_string());
        fs::create_dir_all(home.join("data")).unwrap();
        fs::write(home.join("data/myid"), number.to_string()).unwrap();
        let client_port = ports[number - 1];
        let mut text = format!(
            "tickTime=1000\ninitLimit=20\nsyncLimit=10\nmaxClientCnxns=0\npreAllocSize=256\n\
             4lw.commands.whitelist=*\nskipACL=yes\nclientPortAddress=127.0.0.1\nclientPort={client_port}\ndataDir={}\n",
            home.join("data").display()
        );
        for (each, pair) in ports[3..].chunks(2).enumerate() {
            let _ = writeln!(text, "server.{}=127.0.0.1:{}:{}", each + 1, pair[0], pair[1]);
        }
        let config = home.join("zoo.cfg");
        fs::write(&config, text).unwrap();
        let mut member = Member { config, client_port, process: None };
        member.start();
        members.push(member);
    }
    members
}

/// Waits until so many members serve, one of them as leader; which that is.
fn wait_for_leader(members: &[Member], count: usize) -> usize {
    let end = Instant::now() + PATIENCE;
    loop {
        let modes: Vec<_> = members.iter().map(Member::mode).collect();
        let leader = modes.iter().position(|mode| mode.as_deref() == Some("leader"));
        if let (Some(leader), true) = (leader, modes.iter().flatten().count() == count) {
            return leader;
        }
        assert!(Instant::now() < end, "no leader: {modes:?}");
        std::thread::yield_now();
    }
}

fn connect(servers: &str) -> Client {
    Client::connect(servers, &ClientOptions { timeout_ms: 10_000, ..ClientOptions::default() }).unwrap().0
}

/// What writers and the story tell each other.
#[derive(Default)]
struct Progress {
    over: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Progress {
    /// Waits until so many more writes are acknowledged.
    fn wait_for(&self, more: usize) {
        let wanted = self.acknowledged.load(Ordering::Acquire) + more;
        let end = Instant::now() + PATIENCE;
        while self.acknowledged.load(Ordering::Acquire) < wanted {
            assert!(Instant::now() < end, "clients cannot write");
            std::thread::yield_now();
        }
    }
}

/// Creates nodes until it is over; the names of those that were acknowledged.
async fn write(servers: String, writer: usize, progress: Arc<Progress>) -> Vec<String> {
    let client = connect(&servers);
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if progress.over.load(Ordering::Acquire) {
            break;
        }
        let name = format!("w{writer}-{number}");
        let created = client.create(&format!("/{name}"), None, open_acl(), CreateMode::Persistent).await;
        match created.as_ref().map_err(|error| error.code()) {
            Ok(_) => {
                acknowledged.push(name);
                progress.acknowledged.fetch_add(1, Ordering::Release);
            }
            Err(Some(ErrorCode::ConnectionLoss | ErrorCode::NodeExists)) => {
                client.connected().await;
            }
            Err(_) => panic!("{name}: {created:?}"),
        }
    }
    acknowledged
}

/// Clients that write to an ensemble all the while.
struct Load {
    runtime: tokio::runtime::Runtime,
    servers: Vec<String>,
    progress: Arc<Progress>,
    writers: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(members: &[Member]) -> Self {
        let servers: Vec<String> =
            members.iter().map(|member| format!("127.0.0.1:{}", member.client_port)).collect();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let progress = Arc::<Progress>::default();
        let writers = (0..WRITERS)
            .map(|writer| runtime.spawn(write(servers.join(","), writer, Arc::clone(&progress))))
            .collect();
        Self { runtime, servers, progress, writers }
    }

    /// Ends the writers; every server has what any of them was told is written.
    fn end(self) {
        self.progress.over.store(true, Ordering::Release);
        let acknowledged: Vec<String> = self.runtime.block_on(async {
            let mut all = Vec::new();
            for writer in self.writers {
                all.extend(tokio::time::timeout(PATIENCE, writer).await.expect("writers end").unwrap());
            }
            all
        });
        for server in &self.servers {
            let names = self.runtime.block_on(async {
                let client = connect(server);
                client.sync("/").await.unwrap();
                client.get_children("/", false).await.unwrap()
            });
            let lost: Vec<_> = acknowledged.iter().filter(|name| !names.contains(name)).collect();
            assert!(lost.is_empty(), "{server} lost {} of {}: {lost:?}", lost.len(), acknowledged.len());
        }
    }
}

#[test]
fn what_was_acknowledged_survives_leaders_that_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut members = start(dir.path());
    wait_for_leader(&members, 3);
    let load = Load::on(&members);
    for _ in 0..3 {
        load.progress.wait_for(50);
        let leader = wait_for_leader(&members, 3);
        members[leader].kill();
        load.progress.wait_for(50);
        members[leader].start();
    }
    wait_for_leader(&members, 3);
    load.end();
}

/// What a hand-over that succeeds says.
fn lead(to: &str, servers: &[String]) -> String {
    let mut lead = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    let output = lead.args(["lead", "--to", to, "--server", &servers.join(",")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_leader_makes_way_for_each_of_the_others_on_command() {
    let dir = tempfile::tempdir().unwrap();
    let members = start(dir.path());
    wait_for_leader(&members, 3);
    let load = Load::on(&members);
    for next in [0, 1, 2, 0, 2, 1] {
        load.progress.wait_for(50);
        let leader = wait_for_leader(&members, 3);
        let to = (next + 1).to_string();
        let said = lead(&to, &load.servers);
        assert_eq!(said, format!("server {to} leads\n"), "{} led before", leader + 1);
        assert_eq!(wait_for_leader(&members, 3), next, "{said}");
        assert_eq!(lead(&to, &load.servers), format!("server {to} leads already\n"));
    }
    load.end();
}
