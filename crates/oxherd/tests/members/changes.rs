//! The ensemble changes: a member moves to other ports, and servers are killed in the middle of a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use oxherd_client::{Client, ClientOptions, Reconfiguration, open_acl};
use oxherd_proto::{CreateMode, ErrorCode};

use crate::member::{Ensemble, Member, PATIENCE, free_ports};

const LINES: &str = "reconfigEnabled=true\nstandaloneEnabled=false\nskipACL=yes\nmaxClientCnxns=0";
/// Changes of which each loses a server.
const ROUNDS: usize = 4;

fn place(number: usize, ports: [u16; 3], kind: &str) -> String {
    let [peer, votes, client] = ports;
    format!("server.{number}=127.0.0.1:{peer}:{votes}:{kind};127.0.0.1:{client}")
}

fn joining(text: String) -> Reconfiguration {
    Reconfiguration { joining: Some(text), ..Reconfiguration::default() }
}

/// Asks until it is answered with success, as servers come and go.
async fn change(member: &Member, wanted: &Reconfiguration) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = tokio::time::timeout(PATIENCE, member.session().await.reconfig(wanted)).await;
        match answer.expect("an answer in time") {
            Ok((text, _)) => return String::from_utf8_lossy(&text).into_owned(),
            Err(error) => assert!(Instant::now() < end, "the ensemble does not change: {error:?}"),
        }
    }
}

async fn config(member: &Member) -> String {
    let (text, _) = member.session().await.get_data("/zookeeper/config", false).await.expect("it serves");
    String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
}

/// What a member says of the whole ensemble; the ports of one of them.
async fn ports_of(member: &Member, number: usize, client: u16) -> [u16; 3] {
    let text = config(member).await;
    let start = format!("server.{number}=127.0.0.1:");
    let line = text.lines().find_map(|line| line.strip_prefix(&start)).expect("it is a member");
    let mut ports = line.split(':').map_while(|port| port.parse().ok());
    [ports.next().expect("a port"), ports.next().expect("a port"), client]
}

#[tokio::test]
async fn a_member_moves_to_other_ports_for_clients_learners_and_votes() {
    let mut ensemble = Ensemble::new(LINES);
    ensemble.start();
    let leader = ensemble.leader().expect("it has one");
    let (moving, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let ports = free_ports(3);
    let wanted = place(moving + 1, [ports[0], ports[1], ports[2]], "participant");
    let told = change(&ensemble.members[leader], &joining(wanted.clone())).await;
    assert!(told.contains(&wanted), "{told}");
    ensemble.members[moving].client_port = ports[2];
    ensemble.wait_for_leader();
    // Without the third nothing goes on unless the one that moved is reached at its new ports, both ways.
    ensemble.members[third].kill();
    ensemble.wait_for_leader();
    let client = ensemble.members[moving].session().await;
    client.create("/moved", None, open_acl(), CreateMode::Persistent).await.expect("it serves");
    ensemble.members[leader].kill();
    ensemble.members[third].start();
    ensemble.wait_for_leader();
    assert!(config(&ensemble.members[moving]).await.contains(&wanted));
    ensemble.members[moving].session().await.get_data("/moved", false).await.expect("it is still there");
}

#[tokio::test]
async fn an_ensemble_grows_from_one_to_five_and_shrinks_to_one_again() {
    let mut ensemble = Ensemble::of(5, "");
    let ports = free_ports(10);
    let spec = |number: usize, client: u16| {
        place(number, [ports[2 * number - 2], ports[2 * number - 1], client], "participant")
    };
    let specs: Vec<String> =
        ensemble.members.iter().map(|member| spec(member.number, member.client_port)).collect();
    for (size, former) in [(1, 0), (3, 1), (5, 3), (3, 5), (1, 3)] {
        let changed = former.min(size)..former.max(size);
        for number in changed.clone().filter(|_| size > former) {
            // A joiner knows those that are there, and itself.
            let known = [&specs[..former], &specs[number..=number]].concat().join("\n");
            ensemble.members[number].configure(&format!("{LINES}\n{known}\n"));
            ensemble.members[number].start();
        }
        let wanted = match changed {
            _ if former == 0 => None,
            changed if size > former => Some(joining(specs[changed].join(","))),
            changed => {
                let leaving = changed.map(|number| (number + 1).to_string()).collect::<Vec<_>>().join(",");
                Some(Reconfiguration { leaving: Some(leaving), ..Reconfiguration::default() })
            }
        };
        if let Some(wanted) = wanted {
            change(&ensemble.members[0], &wanted).await;
        }
        for member in &mut ensemble.members[size..] {
            member.kill();
        }
        ensemble.wait_for_leader();
        let told = config(&ensemble.members[0]).await;
        let members: Vec<&str> = told.lines().filter(|line| line.starts_with("server.")).collect();
        assert_eq!(members, specs[..size], "of {size}");
        let client = ensemble.members[size - 1].session().await;
        let path = format!("/of{size}-after{former}");
        client.create(&path, None, open_acl(), CreateMode::Persistent).await.expect("it serves");
    }
}

/// Writes until it is over; how many were acknowledged.
async fn write(servers: String, over: Arc<AtomicBool>) -> usize {
    let options = ClientOptions { timeout_ms: 10_000, ..ClientOptions::default() };
    let mut client = Client::connect(&servers, &options).expect("addresses").0;
    let mut acknowledged = 0;
    for number in 0.. {
        if over.load(Ordering::Acquire) {
            break;
        }
        let path = format!("/w{number}");
        match client
            .create(&path, None, open_acl(), CreateMode::Persistent)
            .await
            .map_err(|error| error.code())
        {
            Ok(_) => acknowledged += 1,
            Err(Some(ErrorCode::SessionExpired)) => {
                client = Client::connect(&servers, &options).expect("addresses").0;
            }
            Err(_) => {}
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_killed_in_the_middle_of_a_change_lose_no_write_and_the_ensemble_goes_on() {
    let mut ensemble = Ensemble::new(LINES);
    ensemble.start();
    let over = Arc::new(AtomicBool::new(false));
    let addresses: Vec<String> =
        ensemble.members.iter().map(|member| format!("127.0.0.1:{}", member.client_port)).collect();
    let writer = tokio::spawn(write(addresses.join(","), Arc::clone(&over)));
    for round in 0..ROUNDS {
        let leader = ensemble.leader().expect("it has one");
        let changing = (leader + 1) % 3;
        let ports =
            ports_of(&ensemble.members[leader], changing + 1, ensemble.members[changing].client_port).await;
        let client = ensemble.members[(leader + 2) % 3].session().await;
        let observes = joining(place(changing + 1, ports, "observer"));
        // In its middle the leader dies, or the one that changes; what becomes of it is not known.
        let (asked, killed) = tokio::join!(client.reconfig(&observes), async {
            tokio::task::yield_now().await;
            let victim = if round % 2 == 0 { leader } else { changing };
            ensemble.members[victim].kill();
            victim
        });
        drop(asked);
        ensemble.members[killed].start();
        ensemble.wait_for_leader();
        // And back again, whatever it was.
        let voter = place(changing + 1, ports, "participant");
        let told = change(&ensemble.members[(leader + 2) % 3], &joining(voter.clone())).await;
        assert!(told.contains(&voter), "{told}");
        ensemble.wait_for_leader();
    }
    over.store(true, Ordering::Release);
    let acknowledged = tokio::time::timeout(PATIENCE, writer).await.expect("it ends").expect("no panic");
    for member in &ensemble.members {
        let client = member.session().await;
        client.sync("/").await.expect("it serves");
        let names = client.get_children("/", false).await.expect("it serves");
        let written = names.iter().filter(|name| name.starts_with('w')).count();
        assert!(written >= acknowledged && acknowledged > 0, "{written} of {acknowledged} writes are there");
    }
}
