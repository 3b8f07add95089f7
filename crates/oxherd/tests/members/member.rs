//! Members of an ensemble, a process each.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oxherd_client::{Client, ClientOptions};

/// Bound of every wait: far above what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Members that are not started yet.
pub(crate) struct Ensemble {
    pub(crate) members: Vec<Member>,
    _dir: tempfile::TempDir,
}

pub(crate) struct Member {
    home: PathBuf,
    pub(crate) number: usize,
    pub(crate) client_port: u16,
    process: Option<Child>,
}

impl Ensemble {
    /// Three members; `lines` are more lines of every configuration.
    pub(crate) fn new(lines: &str) -> Self {
        Self::of(3, lines)
    }

    /// So many members.
    pub(crate) fn of(count: usize, lines: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ports = free_ports(3 * count);
        let mut servers = String::new();
        for (each, pair) in ports[count..].chunks(2).enumerate() {
            let _ = writeln!(servers, "server.{}=127.0.0.1:{}:{}", each + 1, pair[0], pair[1]);
        }
        let member = |number: usize| {
            let member = Member {
                home: dir.path().join(number.to_string()),
                number,
                client_port: ports[number - 1],
                process: None,
            };
            fs::create_dir_all(member.data()).expect("a directory");
            fs::write(member.data().join("myid"), format!("{number}\n")).expect("a file");
            member.configure(&format!("{servers}{lines}\n"));
            member
        };
        Self { members: (1..=count).map(member).collect(), _dir: dir }
    }

    pub(crate) fn start(&mut self) {
        self.members.iter_mut().for_each(Member::start);
        self.wait_for_leader();
    }

    /// Which member leads.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.members.iter().position(|member| member.mode().as_deref() == Some("leader"))
    }

    /// Waits until all members that run serve.
    pub(crate) fn wait_for_leader(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let running = || self.members.iter().filter(|member| member.process.is_some());
            let modes: Vec<_> = running().map(Member::mode).collect();
            if modes.iter().all(Option::is_some) && modes.contains(&Some("leader".to_owned())) {
                return;
            }
            let said = || running().map(Member::said).collect::<String>();
            assert!(Instant::now() < end, "no leader: {modes:?}\n{}", said());
            std::thread::yield_now();
        }
    }

    pub(crate) fn kill(&mut self) {
        self.members.iter_mut().for_each(Member::kill);
    }
}

impl Member {
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.data().join("version-2")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.home.join("zoo.cfg")
    }

    /// Writes the configuration; `lines` name the members.
    pub(crate) fn configure(&self, lines: &str) {
        let text = format!(
            "tickTime=1000\ninitLimit=20\nsyncLimit=10\npreAllocSize=64\n4lw.commands.whitelist=*\n\
             clientPortAddress=127.0.0.1\nclientPort={}\ndataDir={}\n{lines}",
            self.client_port,
            self.data().display()
        );
        fs::write(self.configuration(), text).expect("a file");
    }

    fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    fn command(&self) -> Command {
        let log = File::create(self.log()).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
        command.arg("serve").arg(self.configuration()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(log);
        command
    }

    pub(crate) fn start(&mut self) {
        self.process = Some(self.command().spawn().expect("the binary is there"));
    }

    /// Starts a member that has to give up; its exit code and what it said.
    pub(crate) fn start_in_vain(&self) -> (Option<i32>, String) {
        let mut child = self.command().spawn().expect("the binary is there");
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("our child") {
                return (status.code(), self.said());
            }
            if Instant::now() > end {
                drop(child.kill());
                panic!("it did not give up:\n{}", self.said());
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// What it logged since it was started last.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).expect("its log")
    }

    /// Waits until it has said something; that line.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.said().lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            assert!(Instant::now() < end, "{part}: {}", self.said());
            std::thread::yield_now();
        }
    }

    /// What it says it is, if it serves.
    pub(crate) fn mode(&self) -> Option<String> {
        let mut link = TcpStream::connect(("127.0.0.1", self.client_port)).ok()?;
        link.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        link.write_all(b"srvr").ok()?;
        let mut text = String::new();
        link.read_to_string(&mut text).ok()?;
        text.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }

    pub(crate) async fn session(&self) -> Client {
        let address = format!("127.0.0.1:{}", self.client_port);
        let (client, _) = Client::connect(&address, &ClientOptions::default()).expect("an address");
        let state = tokio::time::timeout(PATIENCE, client.connected()).await.expect("it answers in time");
        assert!(state.is_connected(), "{state}");
        client
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `oxherd repair`; exit code and what it said.
pub(crate) fn repair(path: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    let output = command.arg("repair").arg(path).args(arguments).output().expect("the binary is there");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

/// Ports that nobody uses now.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    (0..count).map(|_| oxherd_server::test_port("127.0.0.1").expect("a port")).collect()
}
