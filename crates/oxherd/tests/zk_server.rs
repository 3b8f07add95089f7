//! The binary under the name `zkServer.sh`, as service units and hands call it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory as the original is unpacked to: `bin`, `conf`, `logs`.
struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Self(tempfile::tempdir().expect("a directory"));
        for dir in ["bin", "conf"] {
            std::fs::create_dir(home.path(dir)).expect("made");
        }
        for name in ["zkServer.sh", "zkServer-initialize.sh"] {
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
