//! What the audit log says of a server's life, against the lines that ZooKeeper 3.9.5 wrote for
//! the same steps, taken by hand.
// Java: AuditHelper, ZKAuditProvider, DataTree.deleteNodes

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

/// A server that lives longer is ended, and the test with it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server as a process, which logs changes.
struct Server {
    process: Child,
    address: String,
    _data: tempfile::TempDir,
    _guard: Sender<()>,
}

/// Ends the process when the answer is not dropped in time.
fn guard(pid: u32) -> Sender<()> {
    let (guard, ended) = mpsc::channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            drop(Command::new("kill").args(["-KILL", &pid.to_string()]).status());
        }
    });
    guard
}

impl Server {
    fn start(log: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let mut process = Command::new(env!("CARGO_BIN_EXE_oxherd"))
            .args(["serve", "--client-port", "0", "--data-dir"])
            .arg(data.path())
            .env("OXHERD_AUDIT_ENABLE", "true")
            .env("USER", "keeper")
            .env("OXHERD_LOG", log)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server is started");
        let guard = guard(process.id());
        let mut banner = String::new();
        let said = process.stdout.as_mut().expect("it is piped");
        BufReader::new(said).read_line(&mut banner).expect("the banner");
        let port = banner.trim().rsplit(':').next().expect("a port");
        Self { address: format!("127.0.0.1:{port}"), process, _data: data, _guard: guard }
    }

    /// Runs one command of the shell in a session of its own.
    fn shell(&self, words: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
        command.args(["shell", "-server", &self.address]).args(words);
        let _ = command.output().expect("the shell runs");
    }

    /// Asks it to stop; the lines of its audit log, without their heads and with the session's number masked.
    fn audit_lines(self) -> Vec<String> {
        self.log().lines().filter(|line| line.contains("\tresult=")).map(masked).collect()
    }

    /// Asks it to stop; its log.
    fn log(mut self) -> String {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let mut said = String::new();
        self.process.stderr.as_mut().expect("it is piped").read_to_string(&mut said).expect("its log");
        self.process.wait().expect("it ends");
        said
    }
}

fn masked(line: &str) -> String {
    let start = line.find("session=").or_else(|| line.find("user=")).expect("a line begins so");
    let fields = line[start..].split('\t').map(|field| match field.split_once('=') {
        Some(("session", id)) if id.starts_with("0x") => "session=*".to_owned(),
        _ => field.to_owned(),
    });
    fields.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_change_leaves_a_line_and_so_do_start_stop_and_ephemeral_nodes() {
    let server = Server::start("info");
    server.shell(&["create", "/a", "data"]);
    server.shell(&["create", "/a", "again"]);
    server.shell(&["create", "-e", "/brief", "data"]);
    server.shell(&["setAcl", "/a", "world:anyone:cdrwa"]);
    server.shell(&["get", "/a"]);
    server.shell(&["delete", "/a"]);
    let client = "session=* user=127.0.0.1 ip=127.0.0.1";
    assert_eq!(
        server.audit_lines(),
        [
            "user=keeper operation=serverStart result=success".to_owned(),
            format!("{client} operation=create znode=/a znode_type=persistent result=success"),
            format!("{client} operation=create znode=/a znode_type=persistent result=failure"),
            format!("{client} operation=create znode=/brief znode_type=ephemeral result=success"),
            "session=* user=keeper operation=ephemeralZNodeDeletionOnSessionCloseOrExpire znode=/brief \
             result=success"
                .to_owned(),
            format!("{client} operation=setAcl znode=/a acl=world:anyone:cdrwa result=success"),
            format!("{client} operation=delete znode=/a result=success"),
            "user=keeper operation=serverStop result=invoked".to_owned(),
        ]
    );
}

#[test]
fn audit_lines_name_their_target_and_pass_a_filter_that_is_silent_about_them() {
    let server = Server::start("warn");
    server.shell(&["create", "/a", "data"]);
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("\tresult=")).collect();
    assert!(lines.iter().any(|line| line.contains("operation=create")), "{log}");
    assert!(lines.iter().all(|line| line.contains(" audit: ")), "{log}");
    assert!(!log.lines().any(|line| line.contains("stopping")), "warn holds for the rest: {log}");
}

#[test]
fn a_filter_that_speaks_of_audit_lines_has_its_way() {
    let server = Server::start("info,audit=off");
    server.shell(&["create", "/a", "data"]);
    let log = server.log();
    assert!(!log.contains("\tresult=") && log.contains("stopping"), "{log}");
}
