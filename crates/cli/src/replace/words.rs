//! Reads the answers to four-letter words, of either kind of server.

use std::collections::{BTreeMap, BTreeSet};

use oxherd_config::Member;
use oxherd_proto::Zxid;

use super::facts::{self, Answer, Kind, Mode, Server};

/// Java's servers and this one end a refusal with this.
const CLOSED: &str = "is not executed because it is not in the whitelist.";
/// Both answer so while they have no quorum.
const NOT_SERVING: &str = "not currently serving requests";
/// Stands in the version of this program, see `oxherd_admin`.
const OWN_MARK: &str = "-oxherd-";

/// Whether this is the refusal of a word that the whitelist lacks.
pub(crate) fn is_closed(text: &str) -> bool {
    text.trim_end().ends_with(CLOSED)
}

/// The answer to `srvr`, which no whitelist closes.
// Java: StatCommand, ServerStats.toString
pub(crate) fn read_srvr(text: &str) -> Answer {
    if text.contains(NOT_SERVING) {
        return Answer::NotServing;
    }
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let (Some(version), Some(mode), Some(zxid)) =
        (value("Zookeeper version:"), value("Mode:"), value("Zxid:").and_then(zxid_of))
    else {
        return Answer::Foreign(text.lines().next().unwrap_or_default().chars().take(80).collect());
    };
    let Some(mode) = mode_of(mode) else {
        return Answer::Foreign(format!("Mode: {mode}"));
    };
    let version = version.split(',').next().unwrap_or_default().to_owned();
    Answer::Serving(Box::new(Server {
        kind: if version.contains(OWN_MARK) { Kind::Oxherd } else { Kind::Java },
        release: release_of(&version),
        version,
        mode,
        zxid,
        nodes: number(value("Node count:")).unwrap_or(0),
        connections: number(value("Connections:")),
        watches: None,
        synced_followers: None,
        synced_observers: None,
        digest_mismatches: None,
        digests: BTreeMap::new(),
        sessions: None,
        number: None,
        members: None,
    }))
}

fn number(text: Option<&str>) -> Option<u64> {
    text.and_then(|text| text.parse().ok())
}

fn zxid_of(text: &str) -> Option<Zxid> {
    i64::from_str_radix(text.strip_prefix("0x")?, 16).ok().map(Zxid)
}

fn mode_of(text: &str) -> Option<Mode> {
    let modes = [Mode::Leader, Mode::Follower, Mode::Observer, Mode::Standalone, Mode::ReadOnly];
    modes.into_iter().find(|mode| mode.word() == text)
}

/// The digits of `3.9.5-…`.
fn release_of(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split('-').next()?.split('.').map(str::parse);
    let mut next = || parts.next()?.ok();
    Some([next()?, next()?, next()?])
}

/// Adds what `mntr` says.
// Java: ZooKeeperServer.dumpMonitorValues
pub(crate) fn add_mntr(server: &mut Server, text: &str) {
    let values: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    let value = |name: &str| {
        // Some gauges are printed as decimals.
        values.get(name).and_then(|text| text.split('.').next()).and_then(|text| text.trim().parse().ok())
    };
    server.watches = value("zk_watch_count");
    server.connections = value("zk_num_alive_connections").or(server.connections);
    server.synced_followers = value("zk_synced_followers");
    server.synced_observers = value("zk_synced_observers");
    server.digest_mismatches = value("zk_digest_mismatches_count");
}

/// Adds what `hash` says: a digest of the tree every so many txns.
// Java: HashCommand
pub(crate) fn add_hash(server: &mut Server, text: &str) {
    server.digests = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter_map(|(zxid, digest)| Some((i64::from_str_radix(zxid, 16).ok()?, digest.trim().to_owned())))
        .collect();
}

/// Adds the number and the members that `conf` tells.
// Java: ZooKeeperServer.dumpConf, QuorumZooKeeperServer.dumpConf
pub(crate) fn add_conf(server: &mut Server, text: &str) {
    server.number = text.lines().find_map(|line| line.strip_prefix("serverId=")?.trim().parse().ok());
    let Some((_, list)) = text.split_once("membership:") else {
        return;
    };
    let members = list.lines().filter_map(|line| {
        let (id, text) = line.trim().strip_prefix("server.")?.split_once('=')?;
        let peers = Member::parse(text).map(|member| member.addresses).unwrap_or_default();
        Some((id.parse().ok()?, facts::sorted(peers)))
    });
    server.members = Some(members.collect());
}

/// Adds the sessions that a leader's `dump` lists.
// Java: DumpCommand, SessionTrackerImpl.dumpSessions
pub(crate) fn add_dump(server: &mut Server, text: &str) {
    let sessions = text.split("ephemeral nodes dump").next().unwrap_or_default();
    let ids = sessions.lines().filter_map(|line| line.trim().strip_prefix("0x")).filter_map(|line| {
        let digits = line.split_whitespace().next()?;
        u64::from_str_radix(digits, 16).ok().map(u64::cast_signed)
    });
    server.sessions = Some(ids.collect::<BTreeSet<_>>());
}

/// When `cons` says that this session's connection was accepted, in milliseconds since 1970 by the server's clock.
// Java: ServerCnxn.dumpConnectionInfo
pub(crate) fn established_ms(text: &str, session: i64) -> Option<i64> {
    let mark = format!(",sid=0x{session:x},");
    let line = text.lines().find(|line| line.contains(&mark))?;
    line.split_once(",est=")?.1.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use oxherd_config::PeerAddress;

    use super::*;

    const SRVR: &str = "Zookeeper version: 3.9.5-a1b2, built on 2026-02-11 20:18 UTC\nLatency min/avg/max: 0/0.5/9\n\
                        Received: 10\nSent: 9\nConnections: 3\nOutstanding: 0\nZxid: 0x100000004\nMode: follower\n\
                        Node count: 7\n";

    fn server(text: &str) -> Server {
        match read_srvr(text) {
            Answer::Serving(server) => *server,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_java_member_and_an_oxherd_member_are_told_apart_by_the_version_they_say() {
        let java = server(SRVR);
        assert_eq!(
            (java.kind, java.release, java.version.as_str()),
            (Kind::Java, Some([3, 9, 5]), "3.9.5-a1b2")
        );
        assert_eq!((java.mode, java.zxid, java.nodes), (Mode::Follower, Zxid(0x1_0000_0004), 7));
        let own = server(&SRVR.replace("3.9.5-a1b2", "3.9.5-oxherd-0.1.0"));
        assert_eq!((own.kind, own.release), (Kind::Oxherd, Some([3, 9, 5])));
    }

    #[test]
    fn a_member_without_a_quorum_and_a_stranger_are_no_servers() {
        let text = "This ZooKeeper instance is not currently serving requests\n";
        assert_eq!(read_srvr(text), Answer::NotServing);
        assert_eq!(read_srvr("SSH-2.0-x"), Answer::Foreign("SSH-2.0-x".to_owned()));
        assert_eq!(
            read_srvr(&SRVR.replace("follower", "dancer")),
            Answer::Foreign("Mode: dancer".to_owned())
        );
        assert!(
            is_closed("mntr is not executed because it is not in the whitelist.\n") && !is_closed("imok")
        );
    }

    #[test]
    fn the_other_words_add_to_it() {
        let mut server = server(SRVR);
        add_mntr(&mut server, "zk_version\t3.9.5\nzk_watch_count\t12\nzk_synced_followers\t2.0\n");
        add_hash(&mut server, "1000000a0: 1f3\n100000120: 2ab\nnonsense\n");
        add_conf(
            &mut server,
            "tickTime=2000\nserverId=30\nmembership: \nserver.1=a:1:2\nserver.30=c:1:2:observer|b:3:4:observer;c:1\nversion=0",
        );
        add_dump(
            &mut server,
            "SessionTracker dump:\nSession Sets (1)/(2):\n2 expire at Mon Nov 23 00:00:00 UTC 2026:\n\t0xff\n\t0x8000000000000001\n\
             ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x77:\n\t/a\n",
        );
        assert_eq!(
            (server.watches, server.synced_followers, server.synced_observers),
            (Some(12), Some(2), None)
        );
        assert_eq!(server.digests.get(&0x1_0000_0120).map(String::as_str), Some("2ab"));
        let at = |host: &str, quorum_port, election_port| PeerAddress {
            host: host.to_owned(),
            quorum_port,
            election_port,
        };
        let members = BTreeMap::from([(1, vec![at("a", 1, 2)]), (30, vec![at("b", 3, 4), at("c", 1, 2)])]);
        assert_eq!((server.number, server.members), (Some(30), Some(members)));
        assert_eq!(server.sessions, Some(BTreeSet::from([0xff, i64::MIN + 1])));
    }

    #[test]
    fn the_moment_of_a_connection_is_found_by_its_session() {
        let text = " /127.0.0.1:5[1](queued=0,recved=1,sent=0)\n \
                    /127.0.0.1:6[1](queued=0,recved=1,sent=1,sid=0x10a,lop=SESS,est=1795394694933,to=10000,lcxid=0x1)\n";
        assert_eq!(established_ms(text, 0x10a), Some(1_795_394_694_933));
        assert_eq!(established_ms(text, 0x10), None);
    }
}
