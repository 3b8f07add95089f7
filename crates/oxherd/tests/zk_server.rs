//! The binary under the name `zkServer.sh`, as service units and hands call it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxherd_client::{Client, ClientOptions, open_acl};
use oxherd_proto::CreateMode;

/// A directory as the original is unpacked to: `bin`, `conf`, `logs`.
struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Self(tempfile::tempdir().expect("a directory"));
        for dir in ["bin", "conf"] {
            std::fs::create_dir(home.path(dir)).expect("made");
        }
        for name in ["zkServer.sh", "zkServer-initialize.sh", "zkCleanup.sh"] {
            symlink(env!("CARGO_BIN_EXE_oxherd"), home.path("bin").join(name)).expect("linked");
        }
        let text = format!("dataDir={}\n{config}", home.path("data").display());
        std::fs::write(home.path("conf/zoo.cfg"), text).expect("written");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn zk_server(&self, words: &[&str]) -> (Option<i32>, String) {
        self.run("bin/zkServer.sh", words)
    }

    fn run(&self, program: &str, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(self.path(program));
        for name in ["ZOOCFG", "ZOOCFGDIR", "ZOOPIDFILE", "ZOO_LOG_DIR"] {
            command.env_remove(name);
        }
        let Output { status, stdout, stderr } = command.args(words).output().expect("it runs");
        (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }

    fn pid(&self) -> Option<String> {
        std::fs::read_to_string(self.path("data/zookeeper_server.pid")).ok()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.zk_server(&["stop"]));
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("it is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

fn free_port() -> u16 {
    oxherd_server::test_port("127.0.0.1").expect("a port")
}

#[test]
fn a_server_is_started_once_asked_about_restarted_and_stopped() {
    let home = Home::new(&format!("clientPort={}\n", free_port()));
    let (code, said) = home.zk_server(&["stop"]);
    assert!(code == Some(0) && said.contains("no zookeeper to stop (could not find file"), "{said}");

    let (code, said) = home.zk_server(&["start"]);
    assert!(code == Some(0) && said.contains("Starting zookeeper ... STARTED"), "{said}");
    let first = home.pid().expect("the number of the process");
    let (code, said) = home.zk_server(&["start"]);
    assert!(code == Some(1) && said.contains(&format!("already running as process {first}")), "{said}");
    let (code, said) = home.zk_server(&["status"]);
    assert!(code == Some(0) && said.contains("Mode: standalone"), "{said}");

    let (code, said) = home.zk_server(&["restart", "zoo.cfg"]);
    assert!(code == Some(0) && said.contains("Stopping zookeeper ... STOPPED\nStarting"), "{said}");
    assert_ne!(home.pid().expect("another one"), first);
    let (code, said) = home.zk_server(&["stop"]);
    assert!(code == Some(0) && said.contains("STOPPED"), "{said}");
    assert_eq!(home.pid(), None);
    let (code, said) = home.zk_server(&["status"]);
    assert!(code == Some(1) && said.contains("nothing serves"), "{said}");
    let output = std::fs::read_dir(home.path("logs")).expect("made").next().expect("a file").expect("read");
    let log = std::fs::read_to_string(output.path()).expect("readable");
    assert_eq!(log.matches("serves ZooKeeper clients").count(), 2, "both starts are in it: {log}");
}

#[test]
fn a_server_that_cannot_start_is_said_to_have_failed() {
    let home = Home::new("clientPort=0\ndatadir.autocreate=false\n");
    let (code, said) = home.zk_server(&["start"]);
    assert!(code == Some(1) && said.contains("FAILED TO START"), "{said}");
    assert_eq!(home.pid(), None);
    let (code, said) = home.zk_server(&["sing"]);
    assert!(code == Some(2) && said.contains("usage: zkServer.sh"), "{said}");
}

#[test]
fn the_directory_of_configurations_may_be_named() {
    let home = Home::new("clientPort=0\n");
    let other = home.path("other");
    std::fs::create_dir(&other).expect("made");
    std::fs::copy(home.path("conf/zoo.cfg"), other.join("mine.cfg")).expect("copied");
    let dir = other.to_str().expect("text");
    let (code, said) = home.zk_server(&["--config", dir, "print-cmd", "mine.cfg"]);
    let config = Path::new(dir).join("mine.cfg");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!(" serve \"{}\" >> ", config.display())), "{said}");
    let (code, said) = home.zk_server(&["print-cmd", config.to_str().expect("text")]);
    assert!(code == Some(0) && said.contains(&format!("Using config: {}\n", config.display())), "{said}");
}

#[test]
fn directories_are_made_once_and_emptied_by_force_while_nobody_serves_from_them() {
    let home = Home::new(&format!("clientPort={}\n", free_port()));
    let initialize = |words: &[&str]| home.run("bin/zkServer-initialize.sh", words);
    let (code, said) = initialize(&["--myid=7"]);
    assert!(code == Some(0) && said.contains("Using myid of 7"), "{said}");
    assert_eq!(std::fs::read_to_string(home.path("data/myid")).expect("written"), "7\n");
    assert!(home.path("data/version-2").is_dir() && home.path("data/initialize").is_file());
    let (code, said) = initialize(&["--myid=8"]);
    assert!(code == Some(1) && said.contains("already exists at") && said.contains("--force"), "{said}");

    assert_eq!(home.zk_server(&["start"]).0, Some(0));
    let (code, said) = initialize(&["--force"]);
    assert!(code == Some(1) && said.contains("is in use by another server"), "{said}");
    assert_eq!(home.zk_server(&["stop"]).0, Some(0));
    let (code, said) = initialize(&["--force"]);
    assert!(code == Some(0) && said.contains("No myid provided"), "{said}");
    assert!(!home.path("data/myid").exists());
    assert_eq!(std::fs::read_dir(home.path("data/version-2")).expect("it is there").count(), 0);
    assert_eq!(initialize(&["--help"]).0, Some(1));
}

/// The least that passes for a snapshot.
const SNAPSHOT: &[u8] = b"ZKSN............\0\0\0\x01/";

#[test]
fn old_snapshots_and_their_logs_are_removed_and_named() {
    let home = Home::new("");
    let (data, logs) = (home.path("data/version-2"), home.path("logs/version-2"));
    let text =
        format!("dataDir={}\ndataLogDir={}\n", home.path("data").display(), home.path("logs").display());
    std::fs::create_dir(home.path("other")).expect("made");
    std::fs::write(home.path("other/mine.cfg"), text).expect("written");
    for dir in [&data, &logs] {
        std::fs::create_dir_all(dir).expect("made");
    }
    for name in ["snapshot.1", "snapshot.3", "snapshot.5", "snapshot.7", "snapshot.9", "currentEpoch"] {
        std::fs::write(data.join(name), SNAPSHOT).expect("written");
    }
    std::fs::write(data.join("snapshot.7"), b"torn").expect("written");
    for name in ["log.1", "log.2", "log.4", "log.8"] {
        std::fs::write(logs.join(name), b"").expect("written");
    }
    let mut command = Command::new(home.path("bin/zkCleanup.sh"));
    command.arg("--config").arg(home.path("other")).args(["-n", "3"]);
    command.env("ZOOCFG", "mine.cfg").env("TZ", "UTC").env_remove("ZOOCFGDIR");
    let old = std::fs::File::open(data.join("snapshot.1")).expect("there");
    old.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_709_650_985)).expect("set");
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let removed: Vec<_> =
        said.lines().map(|line| line.split_once('\t').expect("a path").1.to_owned()).collect();
    let want = [data.join("snapshot.1"), logs.join("log.1")];
    assert_eq!(removed, want.map(|path| path.display().to_string()));
    assert!(said.starts_with("Removing file: Mar 5, 2024, 3:03:05 PM\t"), "{said}");
    assert_eq!(names(&logs), ["log.2", "log.4", "log.8"], "log.2 may hold what follows snapshot.3");
    assert_eq!(names(&data), ["currentEpoch", "snapshot.3", "snapshot.5", "snapshot.7", "snapshot.9"]);
}

#[test]
fn a_clean_up_beside_a_server_leaves_what_its_next_start_needs() {
    let port = free_port();
    let config = format!("clientPort={port}\nsnapCount=4\nautopurge.purgeInterval=0\n");
    let home = Home::new(&config);
    let data = home.path("data/version-2");
    let count = |prefix: &str| names(&data).iter().filter(|name| name.starts_with(prefix)).count();
    assert_eq!(home.zk_server(&["start"]).0, Some(0));
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let address = format!("127.0.0.1:{port}");
    let connect = || Client::connect(&address, &ClientOptions::default()).expect("an address").0;
    let until = Instant::now() + Duration::from_secs(60);
    let made = runtime.block_on(async {
        let client = connect();
        let mut made = 0;
        while count("snapshot.") < 6 {
            assert!(Instant::now() < until, "{:?}", names(&data));
            let data = Some(Bytes::from_static(b"x"));
            client
                .create(&format!("/n{made}"), data, open_acl(), CreateMode::Persistent)
                .await
                .expect("made");
            made += 1;
        }
        made
    });
    let (code, said) = home.run("bin/zkCleanup.sh", &["-n", "3"]);
    assert!(code == Some(0) && said.contains("/log.1\n"), "{said}");
    assert!(count("snapshot.") >= 3 && count("log.") >= 1, "{:?}", names(&data));
    let (code, said) = home.zk_server(&["restart"]);
    assert_eq!(code, Some(0), "{said}");
    let found = runtime.block_on(async { connect().get_children("/", false).await.expect("answered") });
    assert_eq!(found.len(), made + 1, "all of them and /zookeeper");
}

#[test]
fn a_clean_up_is_told_how_many_to_keep_and_of_what() {
    let home = Home::new("");
    let cleanup = |words: &[&str]| home.run("bin/zkCleanup.sh", words);
    let (code, said) = cleanup(&["-n", "3"]);
    assert!(
        code == Some(1) && said.contains(&format!("Path '{}' does", home.path("data").display())),
        "{said}"
    );
    std::fs::create_dir(home.path("data")).expect("made");
    assert_eq!(cleanup(&["-n", "3"]), (Some(0), String::new()), "nothing is there yet");
    for words in [&["-n", "2"][..], &[], &["-n"], &["3"]] {
        let (code, said) = cleanup(words);
        assert!(code == Some(1) && said.contains("PurgeTxnLog dataLogDir [snapDir] -n count"), "{said}");
    }
    std::fs::remove_file(home.path("conf/zoo.cfg")).expect("removed");
    let (code, said) = cleanup(&["-n", "3"]);
    assert!(code == Some(1) && said.contains("zoo.cfg"), "{said}");
}
