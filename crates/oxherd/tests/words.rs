//! The smaller commands as processes: what they say, and the exit codes that scripts go by.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

/// A process that lives longer is ended, and the test with it.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// What a run of the binary left.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn oxherd(words: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    command.args(words).envs(environment.iter().copied()).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("oxherd starts");
    let _guard = guard(child.id());
    let output = child.wait_with_output().expect("oxherd ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A server alone, with its files in a directory of its own.
struct Server {
    process: Child,
    address: String,
    dir: tempfile::TempDir,
    _guard: Sender<()>,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut process = Command::new(env!("CARGO_BIN_EXE_oxherd"))
            .args(["serve", "--client-port", "0", "--data-dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server is started");
        let _guard = guard(process.id());
        let mut banner = String::new();
        let said = process.stdout.as_mut().expect("it is piped");
        BufReader::new(said).read_line(&mut banner).expect("the banner");
        let port = banner.trim().rsplit(':').next().expect("a port");
        Self { address: format!("127.0.0.1:{port}"), process, dir, _guard }
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().expect("a port")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address where nobody listens.
fn nowhere() -> String {
    format!("127.0.0.1:{}", oxherd_server::test_port("127.0.0.1").expect("a port"))
}

fn zoo_cfg(dir: &Path, port: &str) -> String {
    let file = dir.join("zoo.cfg");
    let text = format!("dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n", dir.display());
    std::fs::write(&file, text).expect("a file");
    file.display().to_string()
}

/// The lines are those that the class of ZooKeeper 3.9.5 printed for the same arguments.
#[test]
fn a_digest_is_what_java_makes_of_it() {
    let said = oxherd(&["digest", "super:superpw", "bob:a:b"], &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(
        said.out,
        "super:superpw->super:g9oN2HttPfn8MMWJZ2r45Np/LIA=\nbob:a:b->bob:J4+K+FVuB1hEWvxpNRVKdRWAekY=\n"
    );
    let sha256 = oxherd(&["digest", "--algorithm", "sha-256", "super:superpw"], &[]);
    let flags = [("JVMFLAGS", "-Dzookeeper.DigestAuthenticationProvider.digestAlg=SHA-256")];
    let by_environment = oxherd(&["digest", "super:superpw"], &flags);
    assert_eq!(sha256.out, "super:superpw->super:NhrDsglBUaCwNy464nxjg/Ig/dwhOCotNQxX54rqg50=\n");
    assert_eq!((by_environment.code, by_environment.out), (Some(0), sha256.out));
    assert_eq!(oxherd(&["digest", "--algorithm", "rot13", "a:b"], &[]).code, Some(2));
    assert_eq!(oxherd(&["digest", "nobody"], &[]).code, Some(2));
}

#[test]
fn the_status_of_a_server_is_its_mode_or_a_failure() {
    let server = Server::start();
    let file = zoo_cfg(server.dir.path(), server.port());
    let said = oxherd(&["status", &file], &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let port = server.port();
    assert_eq!(
        said.out,
        format!(
            "Client port found: {port}. Client address: 127.0.0.1. Client SSL: false.\nMode: standalone\n"
        )
    );
    let by_environment = oxherd(&["status"], &[("OXHERD_CLIENT_PORT", port)]);
    assert_eq!(by_environment.code, Some(0), "{}", by_environment.err);
    let dir = tempfile::tempdir().expect("a directory");
    let nowhere = nowhere();
    let file = zoo_cfg(dir.path(), nowhere.rsplit(':').next().expect("a port"));
    let said = oxherd(&["status", &file], &[]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(
        said.err.contains(&format!("Error contacting service: nothing serves on {nowhere}")),
        "{}",
        said.err
    );
    assert_eq!(oxherd(&["status", "/no/such/file"], &[]).code, Some(1));
}

#[test]
fn a_lost_connection_says_what_could_not_be_reached() {
    let nowhere = nowhere();
    let said = oxherd(&["shell", "-server", &nowhere, "ls", "/"], &[]);
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.err,
        format!(
            "KeeperErrorCode = ConnectionLoss for /\n\
             cannot reach {nowhere}: connection refused; is a server running there?\n"
        )
    );
    let said = oxherd(&["shell", "-server", &nowhere, "--json", "ls", "/"], &[]);
    assert!(said.out.contains(&format!("cannot reach {nowhere}: connection refused")), "{}", said.out);
}

#[test]
fn the_commands_of_one_run_end_as_in_java() {
    let server = Server::start();
    let shell = |words: &[&str]| oxherd(&[&["shell", "-server", &server.address], words].concat(), &[]);
    let closed = shell(&["close"]);
    assert_eq!(closed.code, Some(0), "{}", closed.err);
    let redone = shell(&["redo", "0"]);
    assert_eq!((redone.code, redone.err.as_str()), (Some(1), "Command index out of range\n"));
}

#[test]
fn a_server_alone_hands_over_to_nobody() {
    let server = Server::start();
    let said = oxherd(&["lead", "--to", "2", "--server", &server.address], &[]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert_eq!(said.err, "this server is alone: there is no other that could lead\n");
}

#[test]
fn a_hand_over_that_reaches_nobody_says_whom() {
    let said = oxherd(&["lead", "--to", "2", "--server", "127.0.0.1:1"], &[]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.err.starts_with("cannot reach 127.0.0.1:1: "), "{}", said.err);
    let said = oxherd(&["lead", "--to", "2", "--auth", "super"], &[]);
    assert_eq!(said.code, Some(2), "{}", said.err);
}

#[test]
fn serve_is_offered_to_those_who_leave_it_out() {
    for words in [&["zoo.cfg"][..], &["--client-port", "2191"]] {
        let said = oxherd(words, &[]);
        assert_eq!(said.code, Some(2), "{}", said.err);
        let meant = format!("to start a server: oxherd serve {}", words.join(" "));
        assert!(said.err.contains(&meant), "{}", said.err);
    }
    assert!(!oxherd(&["srve"], &[]).err.contains("to start a server"));
}
