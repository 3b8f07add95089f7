//! A server as a process of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use oxherd_client::{Client, ClientOptions, Events};

/// Bound of every wait: far above what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The directory of one test: configuration, data and what the servers said.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    extra: String,
}

impl Place {
    /// An empty directory; `extra` are more lines of its configuration.
    pub(crate) fn new(extra: &str) -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), extra: extra.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where snapshots and logs are.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data/version-2")
    }

    /// Writes the configuration; port 0 lets the system choose.
    pub(crate) fn configure(&self, port: u16) -> PathBuf {
        let file = self.path().join("zoo.cfg");
        let data = self.path().join("data");
        let text = format!(
            "tickTime=2000\nclientPortAddress=127.0.0.1\nclientPort={port}\ndataDir={}\n\
             preAllocSize=256\n4lw.commands.whitelist=*\n{}\n",
            data.display(),
            self.extra
        );
        fs::write(&file, text).expect("the configuration is written");
        file
    }

    /// The command that serves here.
    pub(crate) fn command(&self, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
        command.arg("serve").arg(self.configure(port));
        command
    }

    /// Starts a server that has to come up.
    pub(crate) fn start(&self, port: u16) -> Server {
        Server::spawn(self.command(port), self.path())
            .unwrap_or_else(|said| panic!("it did not start:\n{said}"))
    }

    /// Starts a server that has to give up; its exit code and what it said.
    pub(crate) fn start_in_vain(&self) -> (Option<i32>, String) {
        give_up(self.command(0), self.path())
    }

    /// Files of the data whose names begin so, in order of their zxids.
    pub(crate) fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data()).expect("the data is there");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let zxid = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            i64::from_str_radix(name.strip_prefix(prefix)?.split('.').next()?, 16).ok()
        };
        let mut files: Vec<(i64, PathBuf)> = paths.filter_map(|path| Some((zxid(&path)?, path))).collect();
        files.sort();
        files.into_iter().map(|(_, path)| path).collect()
    }
}

/// Runs a server that has to give up; its exit code and what it said.
pub(crate) fn give_up(mut command: Command, dir: &Path) -> (Option<i32>, String) {
    let said = dir.join("refusal.err");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said).expect("a file"));
    let mut child = command.spawn().expect("the binary is there");
    let status = wait(&mut child);
    (status.code(), fs::read_to_string(said).expect("what it said"))
}

/// A running server; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    said: PathBuf,
    /// Where clients connect.
    pub(crate) port: u16,
    /// From the start of the process to the line that says where it serves.
    pub(crate) ready: Duration,
}

impl Server {
    /// Starts a server and waits for its port; else what it said.
    pub(crate) fn spawn(mut command: Command, dir: &Path) -> Result<Self, String> {
        let said = dir.join("server.err");
        let begun = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&said).expect("a file"));
        let mut child = command.spawn().expect("the binary is there");
        let lines = lines_of(child.stdout.take().expect("piped above"));
        let mut server = Self { child, said, port: 0, ready: Duration::ZERO };
        let port = loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains("serves ZooKeeper clients on") => break port_of(&line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("no port after {PATIENCE:?}\n{}", server.said()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = wait(&mut server.child);
                    return Err(format!("{status}\n{}", server.said()));
                }
            }
        };
        server.port = port;
        server.ready = begun.elapsed();
        Ok(server)
    }

    /// What it logged so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("its log")
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As a power cut to the process: no handler runs.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        wait(&mut self.child);
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// As service managers do; how it ended, and all it said.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        let sent =
            Command::new("kill").arg(self.pid().to_string()).status().expect("kill is part of every system");
        assert!(sent.success(), "the server is gone already:\n{}", self.said());
        let status = wait(&mut self.child);
        (status, self.said())
    }

    /// A session that is connected.
    pub(crate) async fn session(&self) -> Client {
        self.session_with_events().await.0
    }

    /// A session that is connected, and its events.
    pub(crate) async fn session_with_events(&self) -> (Client, Events) {
        let (client, events) =
            Client::connect(&self.address(), &ClientOptions::default()).expect("an address");
        let state = tokio::time::timeout(PATIENCE, client.connected()).await.expect("it answers in time");
        assert!(state.is_connected(), "{state}");
        (client, events)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn lines_of(out: std::process::ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // Nobody listens any more once the port is known; the pipe is still drained.
            drop(sender.send(line));
        }
    });
    lines
}

fn port_of(line: &str) -> u16 {
    let digits = line.rsplit(':').next().expect("a split has a last part");
    digits.trim().parse().expect("the banner ends with the port")
}

/// Waits for the end of a process, in bounded time.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if begun.elapsed() > PATIENCE {
            drop(child.kill());
            panic!("the process did not end in {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
