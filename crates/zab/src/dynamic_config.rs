//! The configuration text that peers exchange and that `/zookeeper/config` holds.
//!
//! ```text
//! server.N=host:peer:election[|host:peer:election…][:participant|:observer][;[host:]client]
//! group.G=N:N…
//! weight.N=W
//! version=HEX
//! ```
//! Hosts are names or addresses, an IPv6 address in brackets. The order of printing is by number.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use oxherd_proto::ServerId;
use thiserror::Error;

/// One place where a server listens for its peers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerAddress {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port for learners.
    pub peer_port: u16,
    /// Port for notifications.
    pub election_port: u16,
}

/// One server of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where it listens, at least one.
    pub addresses: Vec<PeerAddress>,
    /// Whether it votes.
    pub voter: bool,
    /// Where clients go, when the text says so.
    pub client: Option<(String, u16)>,
}

impl Member {
    /// Reads one server's value, the part behind `server.N=`; `None` when it has another shape.
    // Java: QuorumPeer.QuorumServer.initializeWithAddressString
    pub fn parse(value: &str) -> Option<Self> {
        member(value)
    }
}

/// Who belongs to an ensemble and what makes a quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnsembleConfig {
    /// All servers.
    pub members: BTreeMap<ServerId, Member>,
    /// Group of each voter; empty for plain majorities.
    pub groups: BTreeMap<ServerId, i64>,
    /// Weights as written; 1 where nothing is.
    pub weights: BTreeMap<ServerId, i64>,
    /// The zxid that made it, 0 for one from a file.
    pub version: i64,
}

/// Why a configuration text is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Not `key=value`.
    #[error("line {line}: expected key=value, found {text:?}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A key nobody knows.
    #[error("line {line}: unknown key {key:?}; expected server.N, group.N, weight.N or version")]
    Key {
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// A number that is none.
    #[error("line {line}: {text:?} is not a number")]
    Number {
        /// Counted from 1.
        line: usize,
        /// What stood there.
        text: String,
    },
    /// A server's value has another shape.
    #[error("line {line}: {text:?} is not host:port:port[:participant|:observer][;[host:]port]")]
    Server {
        /// Counted from 1.
        line: usize,
        /// The value.
        text: String,
    },
    /// A server is in two groups, or a voter is in none.
    #[error("server {0} must be in exactly one group")]
    Group(ServerId),
    /// A weight below zero.
    #[error("server {0} has a weight below 0")]
    Weight(ServerId),
    /// Nobody votes.
    #[error("no voter is named")]
    NoVoters,
}

impl EnsembleConfig {
    /// Reads the text. Empty lines and lines that start with `#` are passed over.
    // Java: QuorumPeerConfig.parseDynamicConfig
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                config.take_line(index + 1, line)?;
            }
        }
        config.check()?;
        Ok(config)
    }

    /// Whether this server votes.
    pub fn is_voter(&self, server: ServerId) -> bool {
        self.members.get(&server).is_some_and(|member| member.voter)
    }

    /// Whether this server is named as one that does not vote. One that is not named at all learns as a
    /// follower, and its acknowledgements do not count.
    // Java: QuorumPeer.updateLearnerType
    pub fn is_observer(&self, server: ServerId) -> bool {
        self.members.get(&server).is_some_and(|member| !member.voter)
    }

    /// Whether both name the same servers and quorums; their versions may differ.
    // Java: QuorumMaj.equals, QuorumHierarchical.equals
    pub fn is_same_ensemble(&self, other: &Self) -> bool {
        self.members == other.members && self.groups == other.groups && self.weights == other.weights
    }

    /// Where learners of this server go, when it votes; sorted.
    pub(crate) fn voter_places(&self, server: ServerId) -> Option<Vec<(&str, u16)>> {
        let member = self.members.get(&server).filter(|member| member.voter)?;
        let places = member.addresses.iter().map(|address| (address.host.as_str(), address.peer_port));
        let mut places: Vec<_> = places.collect();
        places.sort_unstable();
        Some(places)
    }

    /// All voters, in order.
    pub fn voters(&self) -> impl Iterator<Item = ServerId> {
        self.members.iter().filter(|(_, member)| member.voter).map(|(server, _)| *server)
    }

    /// Weight of a server, 1 where nothing is written; servers it does not know weigh nothing.
    // Java fails on a server without an entry: QuorumHierarchical.getWeight
    pub fn weight(&self, server: ServerId) -> i64 {
        if !self.is_voter(server) {
            return 0;
        }
        if self.groups.is_empty() { 1 } else { self.weights.get(&server).copied().unwrap_or(1) }
    }

    fn take_line(&mut self, line: usize, text: &str) -> Result<(), ConfigError> {
        let wrong = || ConfigError::Line { line, text: text.to_owned() };
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let (key, value) = (key.trim(), value.trim());
        if key == "version" {
            let wrong = |_| ConfigError::Number { line, text: value.to_owned() };
            self.version = i64::from_str_radix(value, 16).map_err(wrong)?;
            return Ok(());
        }
        let (kind, number) = key.split_once('.').unwrap_or((key, ""));
        let number = || parse_number(line, number);
        match kind {
            "server" => {
                self.members.insert(ServerId(number()?), parse_member(line, value)?);
            }
            "group" => self.take_group(line, number()?, value)?,
            "weight" => {
                self.weights.insert(ServerId(number()?), parse_number(line, value)?);
            }
            _ => return Err(ConfigError::Key { line, key: key.to_owned() }),
        }
        Ok(())
    }

    fn take_group(&mut self, line: usize, group: i64, value: &str) -> Result<(), ConfigError> {
        for part in value.split(':') {
            let server = ServerId(parse_number(line, part)?);
            if self.groups.insert(server, group).is_some() {
                return Err(ConfigError::Group(server));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.voters().next().is_none() {
            return Err(ConfigError::NoVoters);
        }
        if let Some((server, _)) = self.weights.iter().find(|(_, weight)| **weight < 0) {
            return Err(ConfigError::Weight(*server));
        }
        if self.groups.is_empty() && self.weights.is_empty() {
            return Ok(());
        }
        match self.voters().find(|server| !self.groups.contains_key(server)) {
            Some(server) => Err(ConfigError::Group(server)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for EnsembleConfig {
    /// The text as Java prints it, no line end after the version.
    // Java: QuorumMaj.toString, QuorumHierarchical.toString
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (server, member) in &self.members {
            writeln!(f, "server.{server}={member}")?;
        }
        if !self.groups.is_empty() {
            let mut groups: BTreeMap<i64, String> = BTreeMap::new();
            for (server, group) in &self.groups {
                let text = groups.entry(*group).or_default();
                let colon = if text.is_empty() { "" } else { ":" };
                write!(text, "{colon}{server}")?;
            }
            for (group, text) in groups {
                writeln!(f, "group.{group}={text}")?;
            }
            for server in self.voters() {
                writeln!(f, "weight.{server}={}", self.weight(server))?;
            }
        }
        write!(f, "version={:x}", self.version)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<_> = self.addresses.iter().collect();
        sorted.sort_by(|a, b| a.host.cmp(&b.host));
        for (index, address) in sorted.into_iter().enumerate() {
            let bar = if index == 0 { "" } else { "|" };
            let PeerAddress { host, peer_port, election_port } = address;
            write!(f, "{bar}{}:{peer_port}:{election_port}", bracketed(host))?;
        }
        f.write_str(if self.voter { ":participant" } else { ":observer" })?;
        if let Some((host, port)) = &self.client {
            write!(f, ";{}:{port}", bracketed(host))?;
        }
        Ok(())
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn parse_number(line: usize, text: &str) -> Result<i64, ConfigError> {
    text.trim().parse().map_err(|_| ConfigError::Number { line, text: text.to_owned() })
}

// Java: QuorumPeer.QuorumServer.initializeWithAddressString
fn parse_member(line: usize, value: &str) -> Result<Member, ConfigError> {
    member(value).ok_or_else(|| ConfigError::Server { line, text: value.to_owned() })
}

fn member(value: &str) -> Option<Member> {
    let mut halves = value.split(';');
    let peers = halves.next()?;
    let client = match halves.next() {
        None | Some("") => None,
        Some(text) => Some(client_address(text)?),
    };
    // A third part, the secure client port of the trunk, is passed over.
    let mut addresses = Vec::new();
    let mut voter = None;
    for text in peers.split('|') {
        let parts = split_host(text)?;
        let [host, peer, election, kind @ ..] = parts.as_slice() else { return None };
        let (peer_port, election_port) = (peer.parse().ok()?, election.parse().ok()?);
        if peer_port == election_port {
            return None;
        }
        addresses.push(PeerAddress { host: host.clone(), peer_port, election_port });
        if let [kind] = kind {
            let votes = is_participant(kind)?;
            if voter.is_some_and(|other| other != votes) {
                return None;
            }
            voter = Some(votes);
        } else if !kind.is_empty() {
            return None;
        }
    }
    Some(Member { addresses, voter: voter.unwrap_or(true), client })
}

fn is_participant(kind: &str) -> Option<bool> {
    match kind.trim().to_ascii_lowercase().as_str() {
        "participant" => Some(true),
        "observer" => Some(false),
        _ => None,
    }
}

fn client_address(text: &str) -> Option<(String, u16)> {
    let parts = split_host(text)?;
    match parts.as_slice() {
        [port] => Some(("0.0.0.0".to_owned(), port.parse().ok()?)),
        [host, port] => Some((host.clone(), port.parse().ok()?)),
        _ => None,
    }
}

/// Splits at colons; a host in brackets is one part, without them.
// Java: ConfigUtils.getHostAndPort
fn split_host(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('[') else {
        return Some(text.split(':').map(str::to_owned).collect());
    };
    let (host, rest) = inner.split_once(']')?;
    let mut parts = vec![host.to_owned()];
    if let Some(rest) = rest.strip_prefix(':') {
        parts.extend(rest.split(':').map(str::to_owned));
    } else if !rest.is_empty() {
        return None;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> EnsembleConfig {
        let config = EnsembleConfig::parse(text).unwrap();
        assert_eq!(config.to_string(), text);
        config
    }

    #[test]
    fn a_usual_configuration_prints_as_it_was_read() {
        let config = round_trip(
            "server.1=a.example:2888:3888:participant;0.0.0.0:2181\n\
             server.2=[::1]:2888:3888:observer;[::]:2181\n\
             server.3=h1:2888:3888|h2:2889:3889:participant\nversion=10000000a",
        );
        assert_eq!(config.version, 0x1_0000_000a);
        assert!(!config.is_voter(ServerId(2)));
        assert_eq!(config.members[&ServerId(2)].addresses[0].host, "::1");
        assert_eq!(config.members[&ServerId(3)].addresses.len(), 2);
    }

    #[test]
    fn groups_and_weights_are_kept() {
        let config = round_trip(
            "server.1=a:1:2:participant\nserver.2=b:1:2:participant\n\
             group.1=1\ngroup.2=2\nweight.1=1\nweight.2=0\nversion=0",
        );
        assert_eq!((config.weight(ServerId(1)), config.weight(ServerId(2))), (1, 0));
        assert_eq!(config.weight(ServerId(9)), 0, "a server it does not know");
    }

    #[test]
    fn short_forms_get_their_defaults() {
        let config = EnsembleConfig::parse("server.1=a:2888:3888;2181\n").unwrap();
        assert_eq!(config.members[&ServerId(1)].client, Some(("0.0.0.0".to_owned(), 2181)));
        assert!(config.is_voter(ServerId(1)));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let wrong = |text: &str| EnsembleConfig::parse(text).unwrap_err().to_string();
        assert!(wrong("server.1=a:2888").starts_with("line 1: \"a:2888\" is not host"));
        assert!(wrong("server.1=a:1:2\nservr.2=b:1:2").contains("unknown key \"servr.2\""));
        assert!(wrong("server.1=a:7:7").contains("is not host"));
        assert_eq!(wrong("version=0"), "no voter is named");
        assert!(wrong("server.1=a:1:2\ngroup.1=2").contains("exactly one group"));
    }
}
