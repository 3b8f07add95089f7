//! Whether a server at the election port is the one whose number it says.
//!
//! A hello names the number of its server and where that server can be dialled, by its own `zoo.cfg`. Names may differ
//! between members, and behind a NAT addresses may, so that a difference alone proves nothing: it is told, and the
//! server takes part. Refused is, as a voter of an ensemble that nobody can change without editing each `zoo.cfg`:
//!
//! - a server elsewhere than its line says, when nobody answers where the line says: a NAT would lead there;
//! - a server elsewhere, while one that is where the line says is connected under the same number.
// Java takes whoever comes: QuorumCnxManager.handleConnection

use oxherd_proto::{ElectionHello, ServerId};
use tracing::warn;

use super::Peers;
use super::address::{self, Place};

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
