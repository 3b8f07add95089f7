//! `oxherd config check` as a process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// A command that takes longer is ended, and the test with it.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("zoo.cfg");
    std::fs::write(&file, format!("dataDir={}\nclientPort=2181\n", dir.path().display())).expect("a file");
    let mut check = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    check.args(["config", "check"]).arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = check.spawn().expect("oxherd starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("oxherd ends");
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

#[test]
fn reconfig_enabled_and_ensemble_names_are_in_effect() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("zoo.cfg");
    let text = format!("dataDir={}\nclientPort=2181\nreconfigEnabled=true\n", dir.path().display());
    std::fs::write(&file, text).expect("a file");
    let mut check = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    check.args(["config", "check"]).arg(&file).env("JVMFLAGS", "-Dzookeeper.ensembleAuthName=herd");
    let output = check.output().expect("oxherd runs");
    let told = String::from_utf8_lossy(&output.stdout);
    for key in ["reconfigEnabled", "ensembleAuthName"] {
        let line = told.lines().find(|line| line.contains(key)).expect("the key is listed");
        assert!(line.contains("honoured"), "{line}");
    }
}

/// What a command says and its exit code; one that goes on for too long is ended.
fn run(arguments: &[&str], file: &Path, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    command.args(arguments).arg(file).envs(environment.iter().copied());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("oxherd starts");
    let pid = child.id().to_string();
    let (_guard, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            drop(Command::new("kill").args(["-KILL", &pid]).status());
        }
    });
    let output = child.wait_with_output().expect("oxherd ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn what_serve_refuses_the_check_refuses_too() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("zoo.cfg");
    let data = format!("dataDir={}\n", dir.path().display());
    let ensemble = "initLimit=5\nsyncLimit=2\nserver.1=127.0.0.1:1:2\nserver.2=127.0.0.1:3:4\n";
    std::fs::write(dir.path().join("myid"), "1\n").expect("a file");
    let cases = [
        ("clientPort", 2, String::new()),
        ("secureClientPort", 2, format!("{ensemble}secureClientPort=2182\n")),
        ("sslQuorum", 2, format!("clientPort=0\n{ensemble}sslQuorum=true\n")),
        ("enforce.auth.enabled", 2, "clientPort=0\nenforce.auth.enabled=true\n".to_owned()),
        (
            "enforce.auth.schemes",
            2,
            "clientPort=0\nenforce.auth.enabled=true\nenforce.auth.schemes=magic\n".to_owned(),
        ),
        (
            "DigestAuthenticationProvider.digestAlg",
            2,
            "clientPort=0\nDigestAuthenticationProvider.digestAlg=ROT13\n".to_owned(),
        ),
        ("dataDir", 3, "clientPort=0\ndatadir.autocreate=false\n".to_owned()),
        ("clientPortAddress", 1, "clientPort=0\nclientPortAddress=no.such.host.invalid\n".to_owned()),
    ];
    for (key, code, text) in cases {
        std::fs::write(&file, format!("{data}{text}")).expect("a file");
        let (checked, told) = run(&["config", "check"], &file, &[]);
        assert_eq!(checked, Some(2), "{key}: {told}");
        assert!(told.contains("The server would not start"), "{key}: {told}");
        let error = told.lines().find(|line| line.contains("error: ")).expect("an error");
        assert!(error.contains(&format!("error: {key}: ")), "{error}");
        let (served, told) = run(&["serve"], &file, &[]);
        assert_eq!(served, Some(code), "{key}: {told}");
    }
}

#[test]
fn repair_looks_where_the_server_would() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let other = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("zoo.cfg");
    for place in [&dir, &other] {
        std::fs::create_dir(place.path().join("version-2")).expect("a directory");
    }
    // What is wrong with the ports does not matter to a repair.
    std::fs::write(&file, format!("dataDir={}\nsecureClientPort=1\n", dir.path().display())).expect("a file");
    let (code, said) = run(&["repair"], &file, &[]);
    assert_eq!(code, Some(0), "{said}");
    let line = |why: &str, dir: &Path| format!("dataDir is {} ({why})", dir.display());
    assert!(said.starts_with(&line(&format!("{}:1", file.display()), dir.path())), "{said}");
    let elsewhere = other.path().display().to_string();
    let (code, said) = run(&["repair"], &file, &[("OXHERD_DATA_DIR", &elsewhere)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with(&line("OXHERD_DATA_DIR", other.path())), "{said}");
    assert!(said.contains(&format!("\n{elsewhere}/version-2")), "{said}");
}
