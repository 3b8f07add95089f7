//! Whether a server at the election port is the one whose number it says.
//!
//! A hello names the number of its server and where that server can be dialled, by its own `zoo.cfg`. Names may differ
//! between members, and behind a NAT addresses may, so that a difference alone proves nothing: it is told, and the
//! server takes part. Refused is, as a voter of an ensemble that nobody can change without editing each `zoo.cfg`:
//!
//! - a server elsewhere than its line says, when nobody answers where the line says: a NAT would lead there;
//! - a server elsewhere, while one that is where the line says is connected under the same number.
// Java takes whoever comes: QuorumCnxManager.handleConnection

use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use oxherd_proto::{ElectionHello, ServerId};
use tracing::warn;

use super::Peers;
use super::address::{self, Place};

/// As often do links from two addresses end each other before it is told.
const RIVALRY_MIN: u32 = 3;
/// Longest time between two of those times; a server that comes back from another address is no rival of its own.
const RIVALRY_PAUSE_MAX: Duration = Duration::from_secs(600);

/// What the configuration may have wrong about a server; each is said once and not at every dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Its name has no address.
    Unknown,
    /// Whoever calls itself by its number is at another address.
    Elsewhere,
    /// So is whoever is refused for that.
    Refused,
}

/// How a hello goes together with the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It says the address of the configuration.
    Fits,
    /// It says none, another one, or the configuration does not name the server.
    Open,
    /// It is not the server of that number.
    Refused,
}

impl Peers {
    /// What a hello is worth; tells once what is wrong with it. May dial the place where the server should be, for
    /// at most `cnxTimeout`.
    pub(super) fn judge(&self, hello: &ElectionHello) -> Claim {
        let server = hello.server;
        let configured = self.election_places(server);
        let said: Vec<Place> = hello.addresses.iter().filter_map(|text| address::parse(text)).collect();
        if server == self.settings.server || configured.is_empty() || said.is_empty() {
            return Claim::Open;
        }
        if address::share_one(&configured, &said) {
            return Claim::Fits;
        }
        let (there, here) = (list(&said), list(&configured));
        let counts = self.settings.is_static && self.settings.ensemble.is_voter(server);
        let refused = if counts { self.why_not(server, &configured) } else { None };
        let number = server.0;
        match refused {
            Some(why) if self.is_news(server, Trouble::Refused) => warn!(
                "refusing a server at {there} that says that it is server {number}: the line server.{number} has it at \
                 {here}, {why}; check the file myid there; if server {number} has moved, correct that line in the \
                 zoo.cfg of this server and start it again"
            ),
            None if self.is_news(server, Trouble::Elsewhere) => warn!(
                "a server at {there} says that it is server {number}, which the line server.{number} has at {here}: \
                 check the file myid there, no two servers may have one number"
            ),
            _ => {}
        }
        if refused.is_some() { Claim::Refused } else { Claim::Open }
    }

    fn why_not(&self, server: ServerId, configured: &[Place]) -> Option<&'static str> {
        if self.elections.has_fitting_link(server) {
            return Some("where one is connected");
        }
        let answers = address::dial(configured, self.settings.connect_timeout).is_ok();
        (!answers).then_some("where nobody answers")
    }
}

fn list(places: &[Place]) -> String {
    places.iter().map(address::show).collect::<Vec<_>>().join(", ")
}

/// Links under one number that end each other.
#[derive(Debug, Default)]
pub(super) struct Rivalry {
    between: Option<[IpAddr; 2]>,
    count: u32,
    last: Option<Instant>,
}

impl Rivalry {
    /// A link that seemed alive ends for another one; tells once per pair of addresses when that goes on.
    ///
    /// Two servers with one number and one line in `zoo.cfg`, behind `quorumListenOnAllIPs` or a NAT, differ in
    /// nothing else. Two behind one address cannot be told apart.
    pub(super) fn note(&mut self, server: ServerId, ended: &TcpStream, by: &TcpStream) {
        let address = |socket: &TcpStream| socket.peer_addr().map(|address| address.ip().to_canonical());
        let (Ok(one), Ok(other)) = (address(ended), address(by)) else { return };
        if let Some([one, other]) = self.is_due(one, other, address::now()) {
            let number = server.0;
            warn!(
                "links of server {number} come from {one} and from {other} by turns, and each ends the other: two \
                 servers seem to have the number {number}; check the file myid at both"
            );
        }
    }

    fn is_due(&mut self, one: IpAddr, other: IpAddr, now: Instant) -> Option<[IpAddr; 2]> {
        if one == other {
            return None;
        }
        let between = [one.min(other), one.max(other)];
        let goes_on = self.last.is_some_and(|last| now.duration_since(last) <= RIVALRY_PAUSE_MAX);
        if self.between != Some(between) || (!goes_on && self.count < RIVALRY_MIN) {
            (self.between, self.count) = (Some(between), 0);
        }
        self.last = Some(now);
        self.count = self.count.saturating_add(1);
        (self.count == RIVALRY_MIN).then_some(between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn links_that_end_each_other_from_two_addresses_are_told_once() {
        let (mut rivalry, now) = (Rivalry::default(), address::now());
        let due: Vec<_> =
            (0..6).map(|turn| rivalry.is_due(host(1 + turn % 2), host(2 - turn % 2), now)).collect();
        let pair = Some([host(1), host(2)]);
        assert_eq!(due, [None, None, pair, None, None, None]);
    }

    #[test]
    fn a_server_that_comes_back_is_no_rival() {
        let (mut rivalry, now) = (Rivalry::default(), address::now());
        for turn in 0..9 {
            assert_eq!(rivalry.is_due(host(1), host(1), now), None, "from the same address");
            // As a pod does, which gets another address each time.
            assert_eq!(rivalry.is_due(host(10 + turn), host(11 + turn), now), None);
        }
        for turn in 0..9 {
            let later = now + (RIVALRY_PAUSE_MAX + Duration::from_secs(1)) * turn;
            assert_eq!(rivalry.is_due(host(1), host(2), later), None, "seldom");
        }
    }
}
