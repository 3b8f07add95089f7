//! Members of an ensemble as the static or the dynamic file names them.

use std::collections::BTreeMap;
use std::fmt;

use oxherd_proto::ServerId;

/// Whether a member votes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Votes and acknowledges.
    #[default]
    Participant,
    /// Is informed only.
    Observer,
}

impl Role {
    /// Reads `participant` or `observer`, in any case.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "participant" => Ok(Self::Participant),
            "observer" => Ok(Self::Observer),
            _ => Err(format!("expected participant or observer, found \"{text}\"")),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}

/// One address of a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerAddress {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port on which a leader serves learners.
    pub quorum_port: u16,
    /// Port of the election.
    pub election_port: u16,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// At least one address.
    pub addresses: Vec<PeerAddress>,
    /// Whether it votes.
    pub role: Role,
    /// Host and port for clients, when the list says so.
    pub client: Option<(String, u16)>,
}

impl Member {
    /// Reads `host:quorumPort:electionPort[:role][|more addresses][;[host:]clientPort]`.
    // Java: QuorumPeer.QuorumServer.initializeWithAddressString
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = split(text, ';');
        if parts.len() > 2 {
            return Err(format!("expected at most one ';', found \"{text}\""));
        }
        let client = parts.get(1).map(|client| client_address(client)).transpose()?;
        let mut role = None;
        let mut addresses = Vec::new();
        for part in split(parts.first().copied().unwrap_or_default(), '|') {
            let (address, own_role) = peer_address(part)?;
            addresses.push(address);
            let own_role = own_role.or(role);
            if role.is_some() && own_role != role {
                return Err("the addresses of one member need the same role".to_owned());
            }
            role = own_role;
        }
        if addresses.is_empty() {
            return Err(format!("{FORM}, found \"{text}\""));
        }
        Ok(Self { addresses, role: role.unwrap_or_default(), client })
    }
}

const FORM: &str = "expected host:quorumPort:electionPort[:role][;[host:]clientPort]";

/// Java's split: empty parts at the end do not count.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

/// Splits `host:more`, where the host may stand in brackets.
// Java: ConfigUtils.getHostAndPort
fn host_and_rest(text: &str) -> Result<Vec<&str>, String> {
    let Some(inner) = text.strip_prefix('[') else {
        return Ok(split(text, ':'));
    };
    let (host, rest) = inner.split_once(']').ok_or_else(|| format!("'[' without ']' in \"{text}\""))?;
    let mut parts = vec![host];
    match rest.strip_prefix(':') {
        None if rest.is_empty() => {}
        Some(ports) if !ports.is_empty() => parts.extend(split(ports, ':')),
        _ => return Err(format!("expected ':' and a port after ']' in \"{text}\"")),
    }
    Ok(parts)
}

fn peer_address(text: &str) -> Result<(PeerAddress, Option<Role>), String> {
    let parts = host_and_rest(text)?;
    let (host, quorum, election, role) = match parts[..] {
        [host, quorum, election] => (host, quorum, election, None),
        [host, quorum, election, role] => (host, quorum, election, Some(Role::parse(role)?)),
        _ => return Err(format!("{FORM}, found \"{text}\"")),
    };
    let address =
        PeerAddress { host: host.to_owned(), quorum_port: port(quorum)?, election_port: port(election)? };
    if address.quorum_port == address.election_port {
        return Err(format!("quorum port and election port must differ, found {quorum} twice"));
    }
    Ok((address, role))
}

fn client_address(text: &str) -> Result<(String, u16), String> {
    match host_and_rest(text)?[..] {
        [number] => Ok(("0.0.0.0".to_owned(), port(number)?)),
        [host, number] => Ok((host.to_owned(), port(number)?)),
        _ => Err(format!("expected [host:]clientPort after ';', found \"{text}\"")),
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("expected a port from 0 to 65535, found \"{text}\""))
}

/// All members, with groups and weights of a hierarchical quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Members by number.
    pub members: BTreeMap<ServerId, Member>,
    /// Group of a server, for hierarchical quorums.
    pub groups: BTreeMap<ServerId, i64>,
    /// Weight of a server, for hierarchical quorums; 1 when absent.
    pub weights: BTreeMap<ServerId, i64>,
    /// Version of the configuration.
    pub version: i64,
}

impl Membership {
    /// Reads the texts of `server.*`, `group.*` and `weight.*`, each by the part after the dot.
    ///
    /// The error names the key.
    // Java: QuorumMaj and QuorumHierarchical.parse
    pub fn parse(
        servers: &BTreeMap<String, String>,
        groups: &BTreeMap<String, String>,
        weights: &BTreeMap<String, String>,
    ) -> Result<Self, (String, String)> {
        let mut membership = Self::default();
        for (id, text) in servers {
            let fail = |error| (format!("server.{id}"), error);
            let member = Member::parse(text).map_err(fail)?;
            membership.members.insert(ServerId(number(id).map_err(fail)?), member);
        }
        for (id, text) in groups {
            membership.add_group(id, text).map_err(|error| (format!("group.{id}"), error))?;
        }
        for (id, text) in weights {
            let fail = |error| (format!("weight.{id}"), error);
            membership.weights.insert(ServerId(number(id).map_err(fail)?), number(text).map_err(fail)?);
        }
        if !groups.is_empty() || !weights.is_empty() {
            membership.check_groups()?;
        }
        Ok(membership)
    }

    fn add_group(&mut self, id: &str, text: &str) -> Result<(), String> {
        let group = number(id)?;
        for server in split(text, ':') {
            let server = ServerId(number(server)?);
            if self.groups.insert(server, group).is_some() {
                return Err(format!("server {} is in two groups", server.0));
            }
        }
        Ok(())
    }

    fn check_groups(&self) -> Result<(), (String, String)> {
        match self.participants().find(|id| !self.groups.contains_key(id)) {
            Some(id) => Err((
                format!("server.{}", id.0),
                "a hierarchical quorum needs every participant in a group".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// Numbers of the members that vote.
    pub fn participants(&self) -> impl Iterator<Item = ServerId> {
        self.members.iter().filter(|(_, member)| member.role == Role::Participant).map(|(id, _)| *id)
    }

    /// Numbers of the members that do not vote.
    pub fn observers(&self) -> impl Iterator<Item = ServerId> {
        self.members.iter().filter(|(_, member)| member.role == Role::Observer).map(|(id, _)| *id)
    }

    /// Weight of a server; 1 when none is given.
    pub fn weight(&self, id: ServerId) -> i64 {
        self.weights.get(&id).copied().unwrap_or(1)
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("expected a whole number, found \"{text}\""))
}

/// Writes a host, in brackets when it is an IPv6 address.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for Member {
    // Java: QuorumPeer.QuorumServer.toString
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut addresses: Vec<&PeerAddress> = self.addresses.iter().collect();
        addresses.sort_by(|left, right| left.host.cmp(&right.host));
        for (at, address) in addresses.iter().enumerate() {
            let bar = if at == 0 { "" } else { "|" };
            write!(
                out,
                "{bar}{}:{}:{}",
                bracketed(&address.host),
                address.quorum_port,
                address.election_port
            )?;
        }
        write!(out, ":{}", self.role)?;
        match &self.client {
            Some((host, port)) => write!(out, ";{}:{port}", bracketed(host)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Membership {
    /// The text of `/zookeeper/config`, without a newline at the end.
    // Java: QuorumMaj.toString and QuorumHierarchical.toString
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, member) in &self.members {
            writeln!(out, "server.{}={member}", id.0)?;
        }
        let mut groups: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (server, group) in &self.groups {
            groups.entry(*group).or_default().push(server.0.to_string());
        }
        for (group, servers) in &groups {
            writeln!(out, "group.{group}={}", servers.join(":"))?;
        }
        let weighted = self.participants().filter(|_| !self.groups.is_empty());
        for id in weighted {
            writeln!(out, "weight.{}={}", id.0, self.weight(id))?;
        }
        write!(out, "version={:x}", self.version)
    }
}

#[cfg(test)]
mod tests;
