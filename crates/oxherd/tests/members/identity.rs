//! Who a member is: its number, its name, its ensemble.

use std::fmt::Write as _;
use std::fs;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Instant;

use oxherd_client::open_acl;
use oxherd_proto::{CreateMode, ElectionHello, ServerId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream as TokioStream};

use crate::member::{Ensemble, Member, PATIENCE, free_ports};
use crate::votes::WATCHED;

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
fn a_member_waits_for_its_own_name_and_says_which_line_it_waits_for() {
    let mut ensemble = Ensemble::new("");
    let member = &mut ensemble.members[0];
    let text = fs::read_to_string(member.configuration()).expect("a file");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("server.")).collect();
    let unknown = lines.join("\n").replace("server.1=127.0.0.1", "server.1=zk-1.invalid");
    member.configure(&format!("{unknown}\n"));
    member.start();
    let said = member.wait_for("cannot look up zk-1.invalid");
    assert!(said.contains("WARN") && said.contains("server.1=zk-1.invalid:"), "{said}");
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

/// The lines of all members, but with the third at other ports; those for learners and votes.
fn with_third_elsewhere(ensemble: &Ensemble) -> (String, [u16; 2]) {
    let ports = free_ports(2);
    let mut lines = String::new();
    for line in lines_of(ensemble).lines() {
        let moved = format!("server.3=127.0.0.1:{}:{}", ports[0], ports[1]);
        let _ = writeln!(lines, "{}", if line.starts_with("server.3=") { &moved } else { line });
    }
    (lines, [ports[0], ports[1]])
}

fn lines_of(ensemble: &Ensemble) -> String {
    let text = fs::read_to_string(ensemble.members[2].configuration()).expect("a file");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("server.")).collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_second_server_with_a_number_is_named_and_the_ensemble_serves_on() {
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    create(&ensemble.members[0], "/before").await;
    // Somebody copied the configuration of the third server, but its own line is right.
    let mut double = Ensemble::new("");
    let (lines, [_, votes]) = with_third_elsewhere(&ensemble);
    double.members[2].configure(&lines);
    double.members[2].start();
    let said = ensemble.members[0].wait_for("says that it is server 3");
    assert!(said.contains("refusing") && said.contains("where one is connected"), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{votes}")) && said.contains("myid"), "{said}");
    double.members[2].kill();
    ensemble.wait_for_leader();
    create(&ensemble.members[1], "/after").await;
}

#[tokio::test]
async fn a_second_server_with_a_number_makes_no_quorum_while_the_first_is_down() {
    let mut ensemble = Ensemble::new("");
    ensemble.start();
    create(&ensemble.members[0], "/before").await;
    ensemble.members[1].kill();
    ensemble.members[2].kill();
    // Nothing but its place speaks against it: it is a copy of the second server under the wrong number.
    let mut double = Ensemble::new("");
    let (lines, [_, votes]) = with_third_elsewhere(&ensemble);
    let double = &mut double.members[2];
    double.configure(&lines);
    fs::rename(ensemble.members[1].files(), double.files()).expect("it is moved");
    double.start();
    let said = ensemble.members[0].wait_for("says that it is server 3");
    for part in [
        "WARN",
        "refusing",
        &format!("127.0.0.1:{votes}"),
        "where nobody answers",
        "the file myid",
        "zoo.cfg",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        assert_eq!(ensemble.members[0].mode(), None, "{}", ensemble.members[0].said());
        assert_eq!(double.mode(), None, "{}", double.said());
    }
    let said = ensemble.members[0].said();
    assert_eq!(said.matches("says that it is server 3").count(), 1, "{said}");
    double.kill();
    ensemble.members[2].start();
    ensemble.wait_for_leader();
    create(&ensemble.members[0], "/after").await;
}

/// Carries whatever comes to one port to another, as a NAT does, until the process ends.
fn forward(from: u16, to: u16) {
    let listener = TcpListener::bind(("127.0.0.1", from)).expect("a free port");
    let carry = |mut from: TcpStream, mut to: TcpStream| {
        drop(std::io::copy(&mut from, &mut to));
        // The other direction ends as well.
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    };
    std::thread::spawn(move || {
        for outer in listener.incoming().map_while(Result::ok) {
            let Ok(inner) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let copies = (outer.try_clone().expect("a socket"), inner.try_clone().expect("a socket"));
            std::thread::spawn(move || carry(outer, inner));
            std::thread::spawn(move || carry(copies.1, copies.0));
        }
    });
}

#[tokio::test]
async fn a_server_behind_a_nat_is_elsewhere_by_its_own_line_and_votes() {
    let mut ensemble = Ensemble::new("");
    let text = lines_of(&ensemble);
    let outer = text.lines().find_map(|line| line.strip_prefix("server.3=127.0.0.1:")).expect("its line");
    let outer: Vec<u16> = outer.split(':').map(|port| port.parse().expect("a port")).collect();
    let (lines, inner) = with_third_elsewhere(&ensemble);
    outer.iter().zip(inner).for_each(|(outer, inner)| forward(*outer, inner));
    ensemble.members[2].configure(&lines);
    ensemble.start();
    let said = ensemble.members[0].wait_for("says that it is server 3");
    assert!(said.contains(&format!("127.0.0.1:{}", inner[1])) && !said.contains("refusing"), "{said}");
    ensemble.members[1].kill();
    ensemble.wait_for_leader();
    create(&ensemble.members[0], "/through").await;
}

/// Where a member listens for votes by its line.
fn place(lines: &str, number: usize) -> String {
    let start = format!("server.{number}=127.0.0.1:");
    let line = lines.lines().find_map(|line| line.strip_prefix(&start)).expect("its line");
    format!("127.0.0.1:{}", line.split(':').nth(1).expect("a port"))
}

/// Says hello to a member, from an address of this machine; the link, which the member may close.
async fn say_hello(from: &str, to: &str, number: usize, said: &str) -> TokioStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(format!("{from}:0").parse().expect("an address")).expect("an address of this machine");
    let mut link = socket.connect(to.parse().expect("an address")).await.expect("it listens");
    let server = ServerId(i64::try_from(number).expect("a number"));
    let hello = ElectionHello { server, addresses: vec![said.to_owned()] };
    link.write_all(&hello.to_bytes(false)).await.expect("it reads");
    link
}

#[tokio::test]
async fn a_server_is_refused_only_where_no_change_can_have_moved_it() {
    for (line, refused) in [("reconfigEnabled=false", true), ("reconfigEnabled=true", false)] {
        let mut ensemble = Ensemble::new(line);
        let lines = lines_of(&ensemble);
        let member = &mut ensemble.members[0];
        member.start();
        member.wait_for("recovered");
        let elsewhere = format!("127.0.0.1:{}", free_ports(1)[0]);
        let mut link = say_hello("127.0.0.1", &place(&lines, 1), 3, &elsewhere).await;
        // Whoever is taken for server 3 hears a vote.
        let heard = tokio::time::timeout(PATIENCE, link.read(&mut [0])).await.expect("in time");
        assert_eq!(heard.is_ok_and(|count| count > 0), !refused, "{line}: {}", member.said());
        let said = member.wait_for("says that it is server 3");
        assert_eq!(said.contains("refusing"), refused, "{line}: {said}");
    }
}

/// Two servers with one number and one line, on two machines: each ends the other's links, of which a third says it.
async fn rivals_are_named(ensemble: &Ensemble, member: &Member, number: usize) {
    let lines = lines_of(ensemble);
    let (to, said) = (place(&lines, member.number), place(&lines, number));
    let named = format!("two servers seem to have the number {number}");
    let mut links = Vec::new();
    let end = Instant::now() + PATIENCE;
    while !member.said().contains(&named) {
        assert!(Instant::now() < end, "{}", member.said());
        for from in ["127.0.0.2", "127.0.0.1"] {
            links.push(say_hello(from, &to, number, &said).await);
        }
        tokio::task::yield_now().await;
    }
    let line = member.wait_for(&named);
    for part in ["WARN", "from 127.0.0.1 and from 127.0.0.2", "the file myid"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(member.said().matches(&named).count(), 1, "{}", member.said());
}

#[tokio::test]
async fn two_servers_that_differ_in_nothing_but_where_they_dial_from_are_named() {
    let mut ensemble = Ensemble::new("");
    // Of the larger number, which dials; and of the smaller one, which is dialled back.
    ensemble.members[0].start();
    ensemble.members[0].wait_for("recovered");
    rivals_are_named(&ensemble, &ensemble.members[0], 3).await;
    ensemble.members[2].start();
    ensemble.wait_for_leader();
    rivals_are_named(&ensemble, &ensemble.members[2], 1).await;
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
async fn names_that_are_put_right_before_the_first_write_make_no_other_ensemble() {
    let mut ensemble = Ensemble::new("");
    let right = lines_of(&ensemble);
    for lines in [right.replace("127.0.0.1", "127.0.0.2"), right] {
        ensemble.kill();
        ensemble.members.iter().for_each(|member| member.configure(&format!("{lines}\n")));
        ensemble.start();
        assert!(ensemble.members[0].files().join("snapshot.0").exists());
    }
    create(&ensemble.members[0], "/right").await;
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
