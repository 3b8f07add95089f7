//! Where this server listens for its peers, and how that changes with the ensemble.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oxherd_zab::{LinkKind, PeerAddress};
use parking_lot::Mutex;
use tracing::{info, warn};

use super::Peers;
use crate::server::Purpose;

/// Connections that may wait to be accepted at a port for peers.
const BACKLOG: i32 = 128;
/// Pause before a port that is in use is tried again.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// Where a server listens for its peers.
#[derive(Debug, Default)]
pub(crate) struct PeerListeners {
    pub(crate) election: Vec<TcpListener>,
    pub(crate) peer: Vec<TcpListener>,
    pub(crate) observer_master: Vec<TcpListener>,
}

/// A port that is open.
#[derive(Debug)]
struct Open {
    purpose: Purpose,
    port: u16,
    listener: TcpListener,
    over: Arc<AtomicBool>,
}

impl Open {
    fn close(&self) {
        self.over.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        drop(socket2::SockRef::from(&self.listener).shutdown(std::net::Shutdown::Both));
    }
}

/// The open ports, and the addresses they belong to.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    open: Mutex<Vec<Open>>,
    addresses: Mutex<Vec<PeerAddress>>,
}

impl Listeners {
    pub(super) fn new(addresses: Vec<PeerAddress>) -> Self {
        Self { open: Mutex::default(), addresses: Mutex::new(addresses) }
    }

    pub(super) fn close_all(&self) {
        self.open.lock().drain(..).for_each(|open| open.close());
    }

    fn close(&self, purpose: Purpose, port: u16) {
        let mut open = self.open.lock();
        open.retain(|each| {
            let keeps = (each.purpose, each.port) != (purpose, port);
            if !keeps {
                each.close();
            }
            keeps
        });
    }
}

/// Listens on a port for peers.
pub(crate) fn open(host: Option<&str>, port: u16) -> io::Result<TcpListener> {
    crate::server::bind(host, port, BACKLOG)
}

impl Peers {
    /// Starts to accept; whoever carries out outputs must be there by now.
    pub(crate) fn listen(self: &Arc<Self>, listeners: PeerListeners) -> io::Result<()> {
        let PeerListeners { election, peer, observer_master } = listeners;
        let each = |list: Vec<TcpListener>, purpose| list.into_iter().map(move |one| (purpose, one));
        let all = each(election, Purpose::Elections)
            .chain(each(peer, Purpose::Learners))
            .chain(each(observer_master, Purpose::Observers));
        all.into_iter().try_for_each(|(purpose, listener)| self.serve(purpose, listener))
    }

    fn serve(self: &Arc<Self>, purpose: Purpose, listener: TcpListener) -> io::Result<()> {
        let over = Arc::new(AtomicBool::new(false));
        let (port, copy) = (listener.local_addr()?.port(), listener.try_clone()?);
        self.listeners.open.lock().push(Open { purpose, port, listener: copy, over: Arc::clone(&over) });
        match purpose {
            Purpose::Elections => {
                self.spawn("elections", move |peers| peers.accept_elections(&listener, &over))
            }
            Purpose::Learners => self
                .spawn("learners", move |peers| peers.accept_learners(&listener, &over, LinkKind::Learner)),
            Purpose::Observers => self.spawn("observers", move |peers| {
                peers.accept_learners(&listener, &over, LinkKind::ObserverMaster);
            }),
            Purpose::Clients => unreachable!("clients have a port of their own"),
        }
    }

    /// The ensemble says where this server listens: ports that it no longer names are closed, then the new
    /// ones are opened, again and again while they are in use.
    // Java: QuorumPeer.restartLeaderElection, Leader
    pub(super) fn listen_at(self: &Arc<Self>, addresses: &[PeerAddress]) {
        let mut current = self.listeners.addresses.lock();
        if *current == addresses {
            return;
        }
        let former = std::mem::replace(&mut *current, addresses.to_vec());
        drop(current);
        info!(?addresses, "peers reach this server at other addresses now");
        let gone = former.iter().filter(|address| !addresses.contains(address));
        for (purpose, port) in gone.flat_map(ports) {
            self.listeners.close(purpose, port);
        }
        let new: Vec<_> = addresses.iter().filter(|address| !former.contains(address)).cloned().collect();
        let started = self.spawn("listen", move |peers| peers.open_all(&new));
        if let Err(error) = started {
            warn!(%error, "cannot start a thread for the new ports");
        }
    }

    fn open_all(self: &Arc<Self>, addresses: &[PeerAddress]) {
        for address in addresses {
            let host = (!self.settings.listen_everywhere).then_some(address.host.as_str());
            for (purpose, port) in ports(address) {
                self.open_port(purpose, host, port, address);
            }
        }
    }

    fn open_port(self: &Arc<Self>, purpose: Purpose, host: Option<&str>, port: u16, of: &PeerAddress) {
        while !self.is_over() && self.listeners.addresses.lock().contains(of) {
            match open(host, port).and_then(|listener| self.serve(purpose, listener)) {
                Ok(()) => return,
                Err(error) => warn!(%error, port, "cannot listen for peers; trying again"),
            }
            std::thread::sleep(BIND_PAUSE);
        }
    }
}

fn ports(address: &PeerAddress) -> [(Purpose, u16); 2] {
    [(Purpose::Learners, address.peer_port), (Purpose::Elections, address.election_port)]
}
