//! Every refusal, and every warning, against an ensemble that has nothing else wrong with it.

use std::collections::BTreeMap;

use super::*;
use crate::replace::facts::{Clock, Comparison, ConfigFact, Disk, Member};

const WANTED: Wanted = Wanted { to: Kind::Oxherd, i_know: false, trees: true };
const KNOWN: Wanted = Wanted { to: Kind::Oxherd, i_know: true, trees: true };

fn peers(id: i64) -> Peers {
    vec![PeerAddress { host: format!("zk{id}"), quorum_port: 2888, election_port: 3888 }]
}

/// Java 3.9.5 members 1, 2, 3…, in sync, doing these.
pub(crate) fn ensemble(modes: &[Mode]) -> Facts {
    let mut facts = Facts::default();
    let followers = modes.iter().filter(|mode| **mode == Mode::Follower).count() as u64;
    let observers = modes.iter().filter(|mode| **mode == Mode::Observer).count() as u64;
    for (id, mode) in (1..).zip(modes) {
        let leads = *mode == Mode::Leader;
        let server = Server {
            kind: Kind::Java,
            version: "3.9.5-a1b2".to_owned(),
            release: Some([3, 9, 5]),
            mode: *mode,
            zxid: Zxid(0x5_0000_ffff),
            nodes: 5,
            connections: Some(1),
            watches: Some(1),
            synced_followers: leads.then_some(followers),
            synced_observers: leads.then_some(observers),
            digest_mismatches: Some(0),
            digests: BTreeMap::from([(0x5_0000_0080, "1f".to_owned())]),
            sessions: None,
            number: Some(id),
            members: Some((1..=modes.len() as i64).map(|other| (other, peers(other))).collect()),
        };
        let member = Member {
            votes: *mode != Mode::Observer,
            peers: peers(id),
            place: Some(format!("zk{id}:2181")),
            answer: Answer::Serving(Box::new(server)),
            clock: Some(Clock { ahead_ms: 3, precision_ms: 2 }),
            tree: Tree::Compared(Comparison { nodes: 5, ..Comparison::default() }),
            ..Member::default()
        };
        facts.members.insert(id, member);
    }
    facts
}

pub(crate) fn server_mut(facts: &mut Facts, id: i64) -> &mut Server {
    match &mut member_mut(facts, id).answer {
        Answer::Serving(server) => server,
        other => panic!("server {id}: {other:?}"),
    }
}

fn member_mut(facts: &mut Facts, id: i64) -> &mut Member {
    facts.members.get_mut(&id).unwrap()
}

fn three() -> Facts {
    ensemble(&[Mode::Follower, Mode::Leader, Mode::Follower])
}

/// The only finding there is.
fn only(facts: &Facts, wanted: Wanted) -> (Severity, &'static str, Option<i64>, String) {
    let found = judge(facts, wanted);
    assert_eq!(found.len(), 1, "{found:?}");
    let one = found.into_iter().next().unwrap();
    (one.severity, one.rule, one.member, format!("{} | {}", one.text, one.way_out))
}

fn refused(facts: &Facts, rule: &str, said: &str) {
    let (severity, found, _, text) = only(facts, WANTED);
    assert_eq!((severity, found), (Refusal, rule), "{text}");
    assert!(text.contains(said), "{text}");
    assert!(!text.contains('\n'), "one line: {text}");
}

fn warned(facts: &Facts, wanted: Wanted, rule: &str, said: &str) {
    let (severity, found, _, text) = only(facts, wanted);
    assert_eq!((severity, found), (Warning, rule), "{text}");
    assert!(text.contains(said), "{text}");
}

#[test]
fn nothing_speaks_against_a_healthy_ensemble() {
    assert_eq!(judge(&three(), WANTED), []);
    assert_eq!(judge(&ensemble(&[Mode::Follower, Mode::Leader, Mode::Follower, Mode::Observer]), WANTED), []);
}

#[test]
fn a_file_without_members_is_refused() {
    refused(&Facts::default(), "ensemble", "names no members");
    refused(&ensemble(&[Mode::Standalone]), "ensemble", "names one member, which serves standalone");
}

#[test]
fn what_is_wrong_in_a_file_that_names_no_members_is_said_too() {
    let text = "zoo.cfg:1: error: garbage".to_owned();
    let facts = Facts { config: vec![ConfigFact { weight: ConfigWeight::Error, text }], ..Facts::default() };
    let rules: Vec<&str> = judge(&facts, WANTED).iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["ensemble", "config"]);
}

#[test]
fn a_file_that_oxherd_does_not_start_with_is_refused() {
    let mut facts = three();
    facts.config =
        vec![ConfigFact { weight: ConfigWeight::Error, text: "zoo.cfg:3: error: tickTime".to_owned() }];
    refused(&facts, "config", "oxherd config check");
    assert!(
        !refuses(&judge(&facts, Wanted { to: Kind::Java, i_know: false, trees: true })),
        "the way back is open"
    );
}

#[test]
fn security_that_oxherd_lacks_is_refused() {
    let mut facts = three();
    facts.config = vec![ConfigFact { weight: ConfigWeight::Unserved, text: "sslQuorum: waits".to_owned() }];
    refused(&facts, "config", "stay with Java");
}

#[test]
fn an_unknown_key_is_a_warning() {
    let mut facts = three();
    facts.config = vec![ConfigFact { weight: ConfigWeight::Harmless, text: "unknown key".to_owned() }];
    warned(&facts, WANTED, "config", "unknown key");
}

#[test]
fn a_name_that_does_not_resolve_is_refused() {
    let mut facts = three();
    member_mut(&mut facts, 3).unresolved = vec!["zk3: no such name".to_owned()];
    refused(&facts, "names", "zk3: no such name");
}

#[test]
fn a_member_that_is_down_is_refused() {
    let mut facts = three();
    member_mut(&mut facts, 3).answer = Answer::Silent("connection refused".to_owned());
    refused(&facts, "down", "server 3 does not answer on zk3:2181: connection refused");
    member_mut(&mut facts, 3).answer = Answer::NotServing;
    refused(&facts, "down", "runs without a quorum");
    member_mut(&mut facts, 3).answer = Answer::Foreign("SSH-2.0".to_owned());
    refused(&facts, "down", "no ZooKeeper server");
    member_mut(&mut facts, 3).answer = Answer::Foreign(String::new());
    refused(&facts, "down", "closed the connection without an answer | it may take no more");
}

#[test]
fn a_member_that_nobody_can_find_is_refused() {
    let mut facts = three();
    member_mut(&mut facts, 1).answer = Answer::NotAsked;
    refused(&facts, "down", "--client 1=HOST:PORT");
}

#[test]
fn a_closed_mntr_is_refused_and_other_closed_words_are_warnings() {
    let mut facts = three();
    member_mut(&mut facts, 1).closed = BTreeSet::from(["mntr", "cons"]);
    refused(&facts, "words", "does not answer cons and mntr");
    member_mut(&mut facts, 1).closed = BTreeSet::from(["hash"]);
    warned(&facts, WANTED, "words", "4lw.commands.whitelist=srvr,mntr,conf,cons,hash,dump");
}

#[test]
fn releases_that_lose_data_are_refused_unless_the_user_knows() {
    for (release, reason) in [
        ([3, 9, 3], "4925"),
        ([3, 5, 10], "4026"),
        ([3, 7, 1], "4026"),
        ([3, 8, 0], "4026"),
        ([3, 8, 1], "4026"),
    ] {
        let mut facts = three();
        server_mut(&mut facts, 1).release = Some(release);
        refused(&facts, "version", reason);
        warned(&facts, KNOWN, "version", reason);
    }
    let mut facts = three();
    server_mut(&mut facts, 1).release = None;
    refused(&facts, "version", "cannot be read");
}

#[test]
fn releases_before_3_9_4_are_warnings_and_later_ones_are_not() {
    for release in [[3, 7, 2], [3, 8, 2], [3, 8, 6], [3, 9, 2]] {
        let mut facts = three();
        server_mut(&mut facts, 1).release = Some(release);
        warned(&facts, WANTED, "version", "3.9.4 or later");
    }
    for release in [[3, 9, 4], [3, 10, 0], [4, 0, 0]] {
        let mut facts = three();
        server_mut(&mut facts, 1).release = Some(release);
        assert_eq!(judge(&facts, WANTED), []);
    }
}

#[test]
fn no_leader_and_two_leaders_are_refused() {
    refused(&ensemble(&[Mode::Follower; 3]), "leader", "no member leads");
    refused(&ensemble(&[Mode::Leader, Mode::Leader, Mode::Follower]), "leader", "servers 1, 2 all say");
}

#[test]
fn a_member_that_was_not_asked_itself_is_refused() {
    let mut facts = three();
    server_mut(&mut facts, 1).number = Some(3);
    refused(&facts, "identity", "what answers on zk1:2181 is server 3, not server 1 | --client 1=HOST:PORT");
    let mut facts = three();
    server_mut(&mut facts, 3).number = None;
    assert_eq!(judge(&facts, WANTED), [], "`conf` is closed");
    member_mut(&mut facts, 3).place = Some("zk1:2181".to_owned());
    refused(&facts, "identity", "servers 1 and 3 were both asked on zk1:2181");
}

#[test]
fn a_leader_that_does_not_say_who_is_in_sync_is_refused() {
    let mut facts = three();
    server_mut(&mut facts, 2).synced_followers = None;
    refused(&facts, "sync", "did not say how many of 2 followers are in sync");
    member_mut(&mut facts, 2).closed = BTreeSet::from(["mntr"]);
    refused(&facts, "words", "does not answer mntr");
    let mut facts = ensemble(&[Mode::Follower, Mode::Leader, Mode::Follower, Mode::Observer]);
    server_mut(&mut facts, 2).synced_observers = None;
    warned(&facts, WANTED, "sync", "did not say how many of 1 observers");
}

#[test]
fn a_file_unlike_the_ensemble_is_refused() {
    let mut facts = three();
    server_mut(&mut facts, 2).members.as_mut().unwrap().insert(4, peers(4));
    refused(&facts, "membership", "knows the members 1, 2, 3, 4, this file 1, 2, 3");
    let mut facts = ensemble(&[Mode::Follower, Mode::Leader, Mode::Follower, Mode::Observer]);
    member_mut(&mut facts, 4).votes = true;
    let found = judge(&facts, WANTED);
    assert!(
        found.iter().any(|one| one.text == "server 4 is a voter in this file, and says observer"),
        "{found:?}"
    );
}

#[test]
fn a_file_with_other_ports_is_refused_and_one_with_other_names_a_warning() {
    let with = |host: &str, election_port| {
        let mut facts = three();
        let elsewhere = vec![PeerAddress { host: host.to_owned(), quorum_port: 2888, election_port }];
        server_mut(&mut facts, 1).members.as_mut().unwrap().insert(3, elsewhere);
        facts
    };
    let said = "server 1 finds server 3 at zk3:2888:3889, by this file it is at zk3:2888:3888";
    refused(&with("zk3", 3889), "membership", said);
    refused(&with("0.0.0.0", 3889), "membership", "0.0.0.0:2888:3889");
    warned(&with("10.0.0.3", 3888), WANTED, "membership", "server 3 at 10.0.0.3:2888:3888");
    for host in ["ZK3", "0.0.0.0", "::"] {
        assert_eq!(judge(&with(host, 3888), WANTED), []);
    }
    let mut facts = three();
    server_mut(&mut facts, 1).members.as_mut().unwrap().insert(3, Vec::new());
    assert_eq!(judge(&facts, WANTED), [], "an entry that cannot be read");
}

#[test]
fn nobody_is_kept_from_going_back_by_what_became_of_the_data() {
    let mut facts = three();
    let differs = Comparison { nodes: 5, different: vec!["/a".to_owned()], ..Comparison::default() };
    member_mut(&mut facts, 1).tree = Tree::Compared(differs);
    server_mut(&mut facts, 3).digests = BTreeMap::from([(0x5_0000_0080, "2f".to_owned())]);
    facts.disk = Some(Disk { member: 1, dir: "/data".into(), free: 9, data: 1 << 20 });
    let severities = |to| -> Vec<_> {
        let found = judge(&facts, Wanted { to, ..WANTED });
        found.into_iter().map(|finding| (finding.rule, finding.severity)).collect()
    };
    assert_eq!(severities(Kind::Oxherd), [("disk", Refusal), ("trees", Refusal), ("digests", Warning)]);
    assert_eq!(severities(Kind::Java), [("disk", Warning), ("digests", Warning), ("trees", Warning)]);
}

#[test]
fn a_member_that_serves_by_itself_is_refused() {
    for mode in [Mode::ReadOnly, Mode::Standalone] {
        let mut facts = three();
        server_mut(&mut facts, 3).mode = mode;
        refused(&facts, "membership", mode.word());
    }
}

#[test]
fn followers_and_observers_out_of_sync_are_refused() {
    let mut facts = ensemble(&[Mode::Follower, Mode::Leader, Mode::Follower, Mode::Observer]);
    server_mut(&mut facts, 2).synced_followers = Some(1);
    refused(&facts, "sync", "server 2, has 1 of 2 followers in sync");
    server_mut(&mut facts, 2).synced_followers = Some(2);
    server_mut(&mut facts, 2).synced_observers = Some(0);
    refused(&facts, "sync", "0 of 1 observers");
}

#[test]
fn a_member_far_behind_or_in_a_later_epoch_is_refused() {
    let mut facts = three();
    server_mut(&mut facts, 1).zxid.0 -= LAG_MAX;
    assert_eq!(judge(&facts, WANTED), []);
    server_mut(&mut facts, 1).zxid.0 -= 1;
    refused(&facts, "sync", "20001 txns behind");
    server_mut(&mut facts, 1).zxid = Zxid(0x4_0000_ffff);
    refused(&facts, "sync", "65535 txns behind");
    server_mut(&mut facts, 1).zxid = Zxid(0x6_0000_0000);
    refused(&facts, "sync", "later epoch");
}

#[test]
fn a_follower_that_has_seen_no_write_of_the_epoch_is_in_sync() {
    let mut facts = three();
    server_mut(&mut facts, 2).zxid = Zxid(0x6_0000_0000);
    assert_eq!(judge(&facts, WANTED), []);
}

#[test]
fn two_voters_have_none_to_spare() {
    let facts = ensemble(&[Mode::Follower, Mode::Leader]);
    refused(&facts, "quorum", "no quorum while one of them is stopped");
    warned(&facts, KNOWN, "quorum", "clients wait");
    let mut facts = facts;
    server_mut(&mut facts, 1).kind = Kind::Oxherd;
    server_mut(&mut facts, 2).kind = Kind::Oxherd;
    assert_eq!(judge(&facts, WANTED), [], "nobody is left to be stopped");
}

#[test]
fn a_voter_that_groups_and_weights_cannot_spare_is_refused() {
    let mut facts = three();
    facts.weights = BTreeMap::from([(1, (1, 1)), (2, (1, 1)), (3, (1, 1))]);
    assert_eq!(judge(&facts, WANTED), []);
    facts.weights.insert(3, (1, 3));
    refused(&facts, "quorum", "while server 3 is stopped");
    warned(&facts, KNOWN, "quorum", "while server 3 is stopped");
    server_mut(&mut facts, 3).kind = Kind::Oxherd;
    assert_eq!(judge(&facts, WANTED), []);
    // Three groups: one may fail, whoever is in it; a group without weight does not count.
    let mut facts = three();
    facts.weights = BTreeMap::from([(1, (1, 1)), (2, (2, 1)), (3, (3, 1))]);
    assert_eq!(judge(&facts, WANTED), []);
    facts.weights.insert(3, (3, 0));
    refused(&facts, "quorum", "while server 1 or 2 is stopped");
}

#[test]
fn clocks_apart_are_a_warning_only_beyond_what_can_be_measured() {
    let mut facts = three();
    member_mut(&mut facts, 3).clock = Some(Clock { ahead_ms: 3 + CLOCK_MS_MAX + 4, precision_ms: 2 });
    assert_eq!(judge(&facts, WANTED), []);
    member_mut(&mut facts, 3).clock = Some(Clock { ahead_ms: 3 + CLOCK_MS_MAX + 5, precision_ms: 2 });
    warned(&facts, WANTED, "clocks", "(± 4 ms)");
}

#[test]
fn too_little_disk_is_refused() {
    let mut facts = three();
    let needed = 2 * 1000 + DISK_RESERVE;
    let mut disk = Disk { member: 1, dir: "/data".into(), free: needed, data: 1000 };
    facts.disk = Some(disk.clone());
    assert_eq!(judge(&facts, WANTED), []);
    disk.free -= 1;
    facts.disk = Some(disk);
    refused(&facts, "disk", "/data has 128 MiB free");
}

#[test]
fn unlike_digests_are_refused_until_the_trees_are_seen_to_be_equal() {
    let mut facts = three();
    server_mut(&mut facts, 1).digests.insert(0x5_0000_0080, "2f".to_owned());
    warned(&facts, WANTED, "digests", "the trees are equal");
    for seen in [
        Comparison { nodes: 9, hidden: 1, ..Comparison::default() },
        Comparison { nodes: 9, changing: 1, ..Comparison::default() },
    ] {
        member_mut(&mut facts, 1).tree = Tree::Compared(seen);
        assert!(refuses(&judge(&facts, WANTED)), "what was not read may be what differs");
    }
    member_mut(&mut facts, 1).tree = Tree::NotCompared;
    refused(&facts, "digests", "servers 1 and 2 differ at zxid 0x500000080");
}

#[test]
fn trees_that_differ_or_cannot_be_read_are_refused() {
    let mut facts = three();
    let different = vec!["/a".to_owned(), "/b".to_owned()];
    member_mut(&mut facts, 3).tree =
        Tree::Compared(Comparison { nodes: 9, different, ..Comparison::default() });
    refused(&facts, "trees", "2 nodes of server 3 differ from those of the leader, server 2: /a, /b");
    member_mut(&mut facts, 3).tree = Tree::Unreadable("connection lost".to_owned());
    refused(&facts, "trees", "connection lost");
    warned(&facts, Wanted { trees: false, ..WANTED }, "trees", "gives no session");
}

#[test]
fn trees_that_were_not_wholly_compared_are_warnings() {
    let mut facts = three();
    member_mut(&mut facts, 3).tree = Tree::TooBig(1_000_000);
    warned(&facts, WANTED, "trees", "1000000 nodes");
    member_mut(&mut facts, 3).tree =
        Tree::Compared(Comparison { nodes: 9, hidden: 2, ..Comparison::default() });
    warned(&facts, WANTED, "trees", "may not be read");
}
