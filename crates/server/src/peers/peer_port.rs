//! The port for learners, and the way to the leader.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oxherd_proto::ServerId;
use oxherd_zab::{Input, LinkKind};
use tracing::{debug, info, warn};

use super::address::{self, Place};
use super::peer_link::PeerLink;
use super::{Peers, prepare};

/// Links at a time that a port takes.
const LINKS_MAX: usize = 1024;
/// Dials of one leader before a new election.
// Java: Learner.connectToLeader
const DIALS_MAX: u32 = 5;

impl Peers {
    pub(super) fn accept_learners(
        self: &Arc<Self>,
        listener: &TcpListener,
        over: &AtomicBool,
        kind: LinkKind,
    ) {
        self.accept(listener, over, |socket| {
            if self.links.lock().len() >= LINKS_MAX {
                return warn!("too many links at the peer port: refusing one");
            }
            if let Err(error) = prepare(&socket, self.settings.keep_alive) {
                return debug!(%error, "a learner is gone before it was served");
            }
            let link = PeerLink::new(self.new_link(), kind, socket);
            if let Err(error) = self.spawn("peer-in", move |peers| peers.serve_peer(link)) {
                warn!(%error, "cannot start a thread for a peer");
            }
        });
    }

    /// Dials until it succeeds, is not worth it, or a newer dial is asked for.
    pub(super) fn dial_leader(
        self: &Arc<Self>,
        server: ServerId,
        observer_master: bool,
        after: Duration,
        within: Duration,
    ) {
        let turn = self.dial_turn.fetch_add(1, Ordering::AcqRel) + 1;
        let started = self.spawn("leader", move |peers| {
            std::thread::sleep(after);
            if !peers.reach_leader(server, observer_master, within, turn) {
                peers.inbox.give(vec![Input::DialFailed { kind: LinkKind::Leader(server) }]);
            }
        });
        if let Err(error) = started {
            warn!(%error, "cannot start a thread to reach the leader");
        }
    }

    /// False when the leader was not reached; otherwise serves the link.
    fn reach_leader(
        self: &Arc<Self>,
        server: ServerId,
        observer_master: bool,
        within: Duration,
        turn: u64,
    ) -> bool {
        let deadline = address::now() + within;
        for attempt in 1..=DIALS_MAX {
            let left = deadline.saturating_duration_since(address::now());
            if left.is_zero() || self.is_over() {
                break;
            }
            let places = self.leader_places(server, observer_master);
            match address::dial(&places, left) {
                Ok(_) if self.dial_turn.load(Ordering::Acquire) != turn => return true,
                Ok(socket) if prepare(&socket, self.settings.keep_alive).is_ok() => {
                    self.serve_peer(PeerLink::new(self.new_link(), LinkKind::Leader(server), socket));
                    return true;
                }
                Ok(_) => {}
                Err(error) => info!(leader = server.0, attempt, %error, "cannot reach the leader yet"),
            }
            if self.dial_turn.load(Ordering::Acquire) != turn {
                return true;
            }
            std::thread::sleep(self.settings.leader_pause.min(left));
        }
        false
    }

    fn leader_places(&self, server: ServerId, observer_master: bool) -> Vec<Place> {
        let port = self.settings.observer_master_port;
        self.places(server, |address| if observer_master { port } else { address.peer_port })
    }
}
