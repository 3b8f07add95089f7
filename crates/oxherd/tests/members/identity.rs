//! Who a member is: its number, its name, its ensemble.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;

use oxherd_client::open_acl;
use oxherd_proto::CreateMode;

use crate::member::{Ensemble, Member, free_ports};

async fn create(member: &Member, path: &str) {
    let client = member.session().await;
    client.create(path, None, open_acl(), CreateMode::Persistent).await.expect("it serves");
}

#[test]
fn a_number_that_is_missing_or_wrong_is_refused_with_2_and_its_file() {
    let ensemble = Ensemble::new("");
    let member = &ensemble.members[0];
    let file = member.data().join("myid");
    for (number, reason) in
        [(None, "myid"), (Some("one"), "expected a whole number"), (Some("7"), "server.7")]
    {
        match number {
            Some(number) => fs::write(&file, number).expect("a file"),
            None => fs::remove_file(&file).expect("it is there"),
        }
        let (code, said) = member.start_in_vain();
        assert_eq!(code, Some(2), "{number:?}: {said}");
        let line = said.lines().find(|line| line.contains("ERROR") && line.contains("myid"));
        assert!(line.is_some_and(|line| line.contains(reason)), "{number:?}: {said}");
    }
}

/// A server with the number of another member, which lives elsewhere or on the same machine.
#[test]
fn the_number_of_another_member_is_refused_with_that_members_line_and_the_file() {
    let mut ensemble = Ensemble::new("");
    let text = fs::read_to_string(ensemble.members[0].configuration()).expect("a file");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("server.")).collect();
    ensemble.members[1].start();
    ensemble.members[1].wait_for("recovered");
    let double = &ensemble.members[0];
    let file = double.data().join("myid");
    fs::write(&file, "2\n").expect("a file");
    let elsewhere = lines.join("\n").replace("server.2=127.0.0.1", "server.2=192.0.2.7");
    for (lines, line, reason) in [
        (lines.join("\n"), "server.2=127.0.0.1", "is another server running there?"),
        (elsewhere, "server.2=192.0.2.7", "is not an address of this machine"),
    ] {
        double.configure(&format!("{lines}\n"));
        let (code, said) = double.start_in_vain();
        assert!(code.is_some_and(|code| code > 0), "{said}");
        let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
        let check = format!("check {}", file.display());
        assert_eq!(errors.len(), 1, "{said}");
        for part in ["myid says 2", line, reason, &check] {
            assert!(errors[0].contains(part), "{part}: {said}");
        }
    }
}

#[test]
fn a_port_for_votes_that_is_taken_ends_the_start_with_14() {
    let ensemble = Ensemble::new("electionPortBindRetry=1");
    let member = &ensemble.members[0];
    let text = fs::read_to_string(member.configuration()).expect("a file");
    let votes = text.lines().find(|line| line.starts_with("server.1=")).expect("its line");
    let votes: u16 = votes.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let _holder = TcpListener::bind(("127.0.0.1", votes)).expect("a free port");
    let (code, said) = member.start_in_vain();
    assert_eq!(code, Some(14), "{said}");
    assert!(said.contains(&format!("cannot listen for votes on 127.0.0.1:{votes}")), "{said}");
}

#[tokio::test]
async fn a_second_server_with_a_number_is_named_and_the_ensemble_serves_on() {
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    create(&ensemble.members[0], "/before").await;
    // Somebody copied the configuration of the third server, but its own line is right.
    let mut double = Ensemble::new("");
    let ports = free_ports(2);
    let text = fs::read_to_string(ensemble.members[2].configuration()).expect("a file");
    let mut lines = String::new();
    for line in text.lines().filter(|line| line.starts_with("server.")) {
        if line.starts_with("server.3=") {
            let _ = writeln!(lines, "server.3=127.0.0.1:{}:{}", ports[0], ports[1]);
        } else {
            let _ = writeln!(lines, "{line}");
        }
    }
    double.members[2].configure(&lines);
    double.members[2].start();
    let said = ensemble.members[0].wait_for("says that it is server 3");
    assert!(said.contains(&format!("127.0.0.1:{}", ports[1])) && said.contains("myid"), "{said}");
    double.members[2].kill();
    ensemble.wait_for_leader();
    create(&ensemble.members[1], "/after").await;
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_said_once_and_waited_for() {
    let mut ensemble = Ensemble::new("");
    let text = fs::read_to_string(ensemble.members[0].configuration()).expect("a file");
    let mut lines = String::new();
    for line in text.lines().filter(|line| line.starts_with("server.")) {
        let line = match line.starts_with("server.3=") {
            true => line.replace("127.0.0.1", "not-there.invalid"),
            false => line.to_owned(),
        };
        let _ = writeln!(lines, "{line}");
    }
    for member in &mut ensemble.members[..2] {
        member.configure(&lines);
        member.start();
    }
    ensemble.wait_for_leader();
    create(&ensemble.members[0], "/without").await;
    let said = ensemble.members[0].wait_for("cannot look up server 3");
    assert!(said.contains("not-there.invalid") && said.contains("check the line server.3"), "{said}");
    let said = ensemble.members[0].said();
    assert_eq!(said.matches("cannot look up server 3").count(), 1, "{said}");
}

#[tokio::test]
async fn data_of_another_ensemble_does_not_vote() {
    let mut ensemble = Ensemble::new("snapCount=10");
    ensemble.start();
    for number in 0..40 {
        create(&ensemble.members[0], &format!("/n{number}")).await;
    }
    ensemble.kill();
    // Other machines, as far as the data knows.
    for member in &mut ensemble.members {
        let text = fs::read_to_string(member.configuration()).expect("a file");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("server.")).collect();
        member.configure(&format!("{}\n", lines.join("\n").replace("127.0.0.1", "127.0.0.2")));
        member.start();
    }
    let said = ensemble.members[0].wait_for("holds data of another ensemble");
    assert!(said.contains("127.0.0.1") && said.contains("initialize"), "{said}");
    assert!(ensemble.members.iter().all(|member| member.mode().is_none()), "nobody votes");
    // It is meant: they were moved.
    ensemble.kill();
    for member in &ensemble.members {
        fs::write(member.data().join("initialize"), "").expect("a file");
    }
    ensemble.start();
    create(&ensemble.members[0], "/moved").await;
    // Once is enough.
    ensemble.kill();
    ensemble.start();
    create(&ensemble.members[0], "/still-there").await;
}

#[test]
fn a_leader_that_missed_a_change_of_the_ensemble_says_which_and_the_way_out() {
    let mut ensemble = Ensemble::new("");
    let text = fs::read_to_string(ensemble.members[0].configuration()).expect("a file");
    let servers: String =
        text.lines().filter(|line| line.starts_with("server.")).map(|line| format!("{line}\n")).collect();
    let file = ensemble.members[0].data().join("zoo.cfg.dynamic.100000000");
    fs::write(&file, servers).expect("a file");
    ensemble.members[0].configure(&format!("dynamicConfigFile={}\n", file.display()));
    for member in &mut ensemble.members[1..] {
        member.start();
    }
    ensemble.wait_for_leader();
    let leader = ensemble.leader().expect("one of the two");
    ensemble.members[0].start();
    let said = ensemble.members[leader].wait_for("closing the link to a peer");
    for part in
        ["WARN", "server 1 holds version 100000000", "this leader version 0", "zoo.cfg.dynamic.100000000"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}
