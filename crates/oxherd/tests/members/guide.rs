//! `oxherd replace` beside a running ensemble. Beside Java servers the `swap` stage runs it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::member::Ensemble;

struct Told {
    code: Option<i32>,
    out: String,
    progress: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("one object")
    }

    fn rules(&self) -> Vec<String> {
        let json = self.json();
        let findings = json["findings"].as_array().expect("a list");
        findings.iter().map(|finding| finding["rule"].as_str().expect("a name").to_owned()).collect()
    }
}

fn replace(ensemble: &Ensemble, arguments: &[&str]) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    command.arg("replace").arg(ensemble.members[0].configuration()).args(arguments);
    for member in &ensemble.members {
        command.args(["--client", &format!("{}=127.0.0.1:{}", member.number, member.client_port)]);
    }
    let output = command.output().expect("the binary is there");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Told { code: output.status.code(), out: text(output.stdout), progress: text(output.stderr) }
}

#[test]
fn followers_go_first_and_a_member_that_is_down_forbids_the_step() {
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    let leader = ensemble.leader().expect("one leads") + 1;
    let follower = (1..=3).find(|number| *number != leader).expect("another one");

    let done = replace(&ensemble, &["--json"]);
    assert_eq!((done.code, done.json()["done"].as_bool()), (Some(0), Some(true)), "{}", done.out);

    let back = replace(&ensemble, &["--json", "--back"]);
    assert_eq!(
        (back.code, back.json()["next"]["server"].as_u64()),
        (Some(0), Some(follower as u64)),
        "{}",
        back.out
    );
    let equal = |number: usize| back.json()["members"][number - 1]["tree"]["equal"].as_bool();
    assert_eq!((equal(follower), equal(leader)), (Some(true), None));

    let text = replace(&ensemble, &["--back", "--for", "systemd"]).out;
    assert!(
        text.contains(&format!("Next: server {follower}, a follower that runs Oxherd; 2 left after it.")),
        "{text}"
    );
    assert!(text.contains("sudo systemctl disable --now oxherd") && !text.contains("docker"), "{text}");

    ensemble.members[follower - 1].kill();
    let refused = replace(&ensemble, &["--json", "--back", "--no-tree"]);
    assert_eq!((refused.code, refused.json()["next"].is_null()), (Some(1), true), "{}", refused.out);
    assert!(refused.rules().contains(&"down".to_owned()), "{}", refused.out);
}

#[test]
fn a_step_that_is_followed_has_its_time() {
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    let told = replace(&ensemble, &["--back", "--wait", "--timeout", "1"]);
    assert_eq!(told.code, Some(3), "{}", told.out);
    assert!(told.progress.contains("is still Oxherd, after 1s"), "{}", told.progress);
}

#[test]
fn a_time_without_end_is_no_panic_and_a_place_of_a_stranger_is_refused() {
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    let told = replace(&ensemble, &["--client", "9=127.0.0.1:1"]);
    assert_eq!(
        (told.code, told.progress.contains("names no server 9")),
        (Some(2), true),
        "{}",
        told.progress
    );

    let mut command = Command::new(env!("CARGO_BIN_EXE_oxherd"));
    command.arg("replace").arg(ensemble.members[0].configuration()).args(["--back", "--wait", "--no-tree"]);
    command.args(["--timeout", &u64::MAX.to_string()]).stderr(Stdio::piped()).stdout(Stdio::null());
    for member in &ensemble.members {
        command.args(["--client", &format!("{}=127.0.0.1:{}", member.number, member.client_port)]);
    }
    let mut following = command.spawn().expect("the binary is there");
    let lines = BufReader::new(following.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let waits = lines.into_iter().find(|line| line.contains("panicked") || line.contains("is still Oxherd"));
    following.kill().expect("it is ours");
    following.wait().expect("it ends");
    assert!(waits.as_ref().is_some_and(|line| line.starts_with("waiting")), "{waits:?}");
}

#[test]
fn a_file_that_is_not_there_and_an_unknown_way_of_running_are_told_apart_from_a_refusal() {
    let ensemble = Ensemble::new("");
    assert_eq!(replace(&ensemble, &["--for", "upstart"]).code, Some(2));
    let missing =
        Command::new(env!("CARGO_BIN_EXE_oxherd")).args(["replace", "no.cfg"]).output().expect("it runs");
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no.cfg"));
}
