//! A disk without space: what grows is refused, all else goes on, and nobody has to restart anything.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use oxherd_client::{Client, open_acl};
use oxherd_proto::{CreateMode, ErrorCode};
use tokio::time::timeout;

use crate::server::{PATIENCE, Place, Server};

const DISK: &str = "24m";

/// A server on a small disk of its own, which vanishes with it; or why this system gives none.
fn start(place: &Place) -> Result<Server, String> {
    let disk = place.path().join("data");
    fs::create_dir_all(&disk).expect("a directory");
    let config = place.configure(0);
    let script =
        format!("mount -t tmpfs -o size={DISK} none '{}' || exit 77; exec \"$0\" \"$@\"", disk.display());
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    command.arg(env!("CARGO_BIN_EXE_oxherd")).arg("serve").arg(config);
    let probe = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).output();
    match probe {
        Err(error) => return Err(format!("unshare: {error}")),
        Ok(output) if !output.status.success() => {
            return Err(format!("unshare: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(_) => {}
    }
    Server::spawn(command, place.path())
}

/// A file that takes all the space there is.
fn fill(ballast: &PathBuf) {
    let mut file = fs::File::create(ballast).expect("the server's disk");
    for size in [64 << 10, 4 << 10] {
        let bytes = vec![1; size];
        while file.write_all(&bytes).is_ok() {}
    }
}

async fn create(client: &Client, path: &str, len: usize) -> Result<(), ErrorCode> {
    let data = Some(Bytes::from(vec![7; len]));
    let result = client.create(path, data, open_acl(), CreateMode::Persistent).await;
    result.map(drop).map_err(|error| error.code().expect("an answer that can be read"))
}

#[tokio::test]
async fn a_full_disk_refuses_growth_only_and_recovers_by_itself() {
    let place = Place::new("preAllocSize=2048");
    let server = match start(&place) {
        Ok(server) => server,
        Err(reason) if reason.contains("exit status: 77") || reason.starts_with("unshare") => {
            println!("skipped: no small disk can be mounted here: {reason}");
            return;
        }
        Err(reason) => panic!("{reason}"),
    };
    let client = server.session().await;
    let other = server.session().await;
    other.create("/session", None, open_acl(), CreateMode::Ephemeral).await.expect("there is space");
    for number in 0..50 {
        create(&client, &format!("/old{number}"), 1000).await.expect("there is space");
    }
    let ballast =
        PathBuf::from(format!("/proc/{}/root{}/data/ballast", server.pid(), place.path().display()));
    fill(&ballast);

    let mut refused = None;
    for number in 0..2000 {
        if let Err(code) = create(&client, &format!("/new{number}"), 10_000).await {
            refused = Some((number, code));
            break;
        }
    }
    let (number, code) = refused.expect("the disk is full");
    assert_eq!(code, ErrorCode::SystemError, "{}", server.said());
    println!("refused after {number} more creates");

    // What does not grow goes on: reads, deletes, new sessions and the end of sessions.
    client.get_data("/old0", false).await.expect("reads go on");
    for number in 0..50 {
        client.delete(&format!("/old{number}"), -1).await.expect("deletes go on");
    }
    let late = timeout(PATIENCE, server.session()).await.expect("sessions begin");
    late.close().await.expect("sessions end");
    other.close().await.expect("sessions end");
    assert_eq!(client.exists("/session", false).await.expect("reads go on"), None);
    assert_eq!(create(&client, "/more", 10_000).await, Err(ErrorCode::SystemError));
    assert!(server.said().contains("disk is full"), "{}", server.said());

    fs::remove_file(&ballast).expect("the server's disk");
    let recovered = async {
        while create(&client, "/more", 10_000).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, recovered).await.expect("it recovers by itself");
    assert!(server.said().contains("space on the log's disk again"), "{}", server.said());
    let (status, said) = server.terminate();
    assert_eq!(status.code(), Some(0), "{said}");
}

/// A small disk that stays while servers come and go on it; it vanishes with the process that holds it.
struct SmallDisk {
    holder: Child,
}

impl SmallDisk {
    /// Or why this system gives none.
    fn mount(place: &Place) -> Result<Self, String> {
        let disk = place.path().join("data");
        fs::create_dir_all(&disk).expect("a directory");
        let script =
            format!("mount -t tmpfs -o size={DISK} none '{}' && echo mounted && exec cat", disk.display());
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut said = String::new();
        let out = holder.stdout.as_mut().expect("piped above");
        let read = BufReader::new(out).read_line(&mut said);
        let disk = Self { holder };
        let entered = disk.inside().arg("true").output();
        match (read, entered) {
            (Ok(_), Ok(entered)) if said == "mounted\n" && entered.status.success() => Ok(disk),
            (_, entered) => Err(format!("unshare: {said} {entered:?}")),
        }
    }

    /// A command that sees the disk.
    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "--user", "--mount", "--target"]);
        command.arg(self.holder.id().to_string());
        command
    }

    fn start(&self, place: &Place) -> Server {
        let mut command = self.inside();
        command.arg(env!("CARGO_BIN_EXE_oxherd")).arg("serve").arg(place.configure(0));
        Server::spawn(command, place.path()).unwrap_or_else(|said| panic!("it did not start:\n{said}"))
    }

    fn ballast(&self, place: &Place) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}/data/ballast", self.holder.id(), place.path().display()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

#[tokio::test]
async fn a_server_starts_on_a_disk_that_is_full_and_recovers_by_itself() {
    let place = Place::new("preAllocSize=2048");
    let disk = match SmallDisk::mount(&place) {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: no small disk can be mounted here: {reason}"),
    };
    let server = disk.start(&place);
    let client = server.session().await;
    for number in 0..50 {
        create(&client, &format!("/old{number}"), 1000).await.expect("there is space");
    }
    let ballast = disk.ballast(&place);
    fill(&ballast);
    let mut acknowledged = 0;
    while create(&client, &format!("/new{acknowledged}"), 10_000).await.is_ok() {
        acknowledged += 1;
    }
    server.kill();
    fill(&disk.ballast(&place).with_extension("more"));

    // What the dead server had reserved is given back, and lets sessions begin.
    let server = disk.start(&place);
    let client = timeout(PATIENCE, server.session()).await.expect("sessions begin");
    let names = client.get_children("/", false).await.expect("reads go on");
    assert_eq!(names.iter().filter(|name| name.starts_with("old")).count(), 50);
    assert_eq!(names.iter().filter(|name| name.starts_with("new")).count(), acknowledged);
    for number in 0..50 {
        client.delete(&format!("/old{number}"), -1).await.expect("deletes go on");
    }
    let mut refused = None;
    for number in 0..2000 {
        if let Err(code) = create(&client, &format!("/late{number}"), 10_000).await {
            refused = Some(code);
            break;
        }
    }
    assert_eq!(refused, Some(ErrorCode::SystemError), "{}", server.said());
    assert!(server.said().contains("disk is full"), "{}", server.said());

    fs::remove_file(&ballast).expect("the server's disk");
    let recovered = async {
        while create(&client, "/more", 10_000).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, recovered).await.expect("it recovers by itself");
    assert!(server.said().contains("space on the log's disk again"), "{}", server.said());
}
