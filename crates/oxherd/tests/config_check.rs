//! `oxherd config check` as a process.

use std::process::{Command, Stdio};

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
