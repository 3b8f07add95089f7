//! Links to the other servers of an ensemble: sockets and threads around `oxherd-zab`.
//!
//! There are few peers, so each link has threads of its own that block. What comes in goes into the
//! replica's inbox; what is to go out waits in bounded queues. A bad peer costs its link, never the
//! process.
//!
//! | module | holds |
//! |---|---|
//! | `address` | names, dialling |
//! | `directory` | where members are, by the ensembles known |
//! | `election_port`, `election_link` | votes |
//! | `identity` | whether a server is the one whose number it says |
//! | `peer_port`, `peer_link` | leader and learners |
//! | `listeners` | the ports themselves |
//! | `packets` | the stream of a peer link |
//! | `snapshot_in` | the tree as a leader sends it |

mod address;
mod directory;
mod election_link;
mod election_port;
mod identity;
mod listeners;
mod packets;
mod peer_link;
mod peer_port;
mod snapshot_file;
mod snapshot_in;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use oxherd_proto::ServerId;
use oxherd_tree::{TreeOptions, WalkId, WalkState};
use oxherd_zab::{CloseReason, EnsembleConfig, Input, LinkId, Output, PeerAddress};
use parking_lot::{Condvar, Mutex};
use tracing::{info, warn};

use self::address::Place;
use self::directory::Directory;
use self::election_port::Elections;
use self::listeners::Listeners;
pub(crate) use self::listeners::{PeerListeners, open};
use self::peer_link::PeerLink;
pub(crate) use self::snapshot_file::SnapshotPlace;
pub(crate) use self::snapshot_in::Installed;

/// Longest time a stalled peer may hold up a thread that writes to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where what peers say goes, and where the tree for them comes from.
pub(crate) trait Inbox: Debug + Send + Sync {
    /// Takes inputs in order.
    fn give(&self, inputs: Vec<Input>);
    /// Waits until what was given is taken, and what a leader brought to the disk is not too much.
    fn wait_for_room(&self, from_leader: bool);
    /// The next slice of a walk of the tree; `None` when there is no such walk any more.
    fn walk_slice(&self, walk: WalkId, out: &mut Vec<u8>) -> Option<WalkState>;
    /// The walk is over.
    fn end_walk(&self, walk: WalkId);
}

/// What links need to know.
#[derive(Clone, Debug)]
pub(crate) struct PeerSettings {
    /// This server.
    pub(crate) server: ServerId,
    /// Its data, for the operator (`dataDir`).
    pub(crate) data_dir: PathBuf,
    /// The ensemble at the start.
    pub(crate) ensemble: EnsembleConfig,
    /// A newer one that was proposed and kept.
    pub(crate) ensemble_seen: Option<EnsembleConfig>,
    /// Whether the ensemble changes only when somebody edits each `zoo.cfg`: a server that is elsewhere has not been
    /// moved by a change that this one has not seen.
    pub(crate) is_static: bool,
    /// Time to connect to an election port (`cnxTimeout`).
    pub(crate) connect_timeout: Duration,
    /// Time a new election link may take to say who it is.
    pub(crate) hello_timeout: Duration,
    /// Pause between two dials of a leader (`leaderConnectDelayDuringRetryMs`).
    pub(crate) leader_pause: Duration,
    /// Whether several addresses are named in hellos (`multiAddress.enabled`).
    pub(crate) several_addresses: bool,
    /// Whether the kernel probes idle election links (`tcpKeepAlive`).
    pub(crate) keep_alive: bool,
    /// Whether ports for peers are opened at every address (`quorumListenOnAllIPs`).
    pub(crate) listen_everywhere: bool,
    /// Port of an observer master; 0 for none.
    pub(crate) observer_master_port: u16,
    /// Most bytes of a packet's field.
    pub(crate) field_len_max: usize,
    /// Most bytes that may wait for one learner.
    pub(crate) queue_bytes_max: usize,
    /// How a tree that a leader sends is built.
    pub(crate) tree: TreeOptions,
    /// Where it is written.
    pub(crate) snapshots: SnapshotPlace,
    /// Longest silence of a leader within its tree (`tickTime * initLimit`).
    pub(crate) tree_silence: Duration,
}

/// All links to peers.
#[derive(Debug)]
pub(crate) struct Peers {
    settings: PeerSettings,
    inbox: Arc<dyn Inbox>,
    next_link: AtomicU64,
    elections: Elections,
    links: Mutex<BTreeMap<LinkId, Arc<PeerLink>>>,
    directory: Mutex<Directory>,
    /// Counts the dials of leaders: an older one gives up.
    dial_turn: AtomicU64,
    installs: Mutex<BTreeMap<LinkId, Result<Installed, String>>>,
    install_signal: Condvar,
    listeners: Listeners,
    over: AtomicBool,
}

impl Peers {
    /// No links yet; see [`Self::listen`].
    pub(crate) fn new(settings: PeerSettings, inbox: Arc<dyn Inbox>) -> Arc<Self> {
        Arc::new(Self {
            elections: Elections::new(&settings),
            inbox,
            next_link: AtomicU64::new(1),
            links: Mutex::new(BTreeMap::new()),
            directory: Mutex::new(Directory::new(&settings.ensemble, settings.ensemble_seen.clone())),
            dial_turn: AtomicU64::new(0),
            installs: Mutex::new(BTreeMap::new()),
            install_signal: Condvar::new(),
            listeners: Listeners::new(own_addresses(&settings.ensemble, settings.server)),
            over: AtomicBool::new(false),
            settings,
        })
    }

    /// Carries out what concerns peers, packets only up to their queues; never blocks.
    pub(crate) fn carry_out(self: &Arc<Self>, output: Output) {
        match output {
            Output::Notify { server, body } => self.notify(server, body),
            Output::DialLeader { server, observer_master, after_ms, within_ms } => {
                let [after, within] = [after_ms, within_ms].map(Duration::from_millis);
                self.dial_leader(server, observer_master, after, within);
            }
            Output::Send { link, packet } => {
                if let Some(link) = self.link(link) {
                    link.send(&packet, self.settings.queue_bytes_max);
                }
            }
            Output::SendSnapshot { link, .. } => {
                if let Some(link) = self.link(link) {
                    link.send_snapshot();
                }
            }
            Output::Close { link, reason } => self.close(link, &reason),
            Output::ConfigSeen { text } => {
                if let Ok(config) = EnsembleConfig::parse(&text) {
                    self.directory.lock().see(config);
                }
            }
            Output::ConfigActive { text } => {
                if let Ok(config) = EnsembleConfig::parse(&text) {
                    self.directory.lock().activate(&config);
                }
                self.follow_own_addresses();
            }
            Output::VoteGivenUp { known_by, has_leader } => self.say_no_vote(known_by, has_leader),
            _ => {}
        }
    }

    /// Lets the packets of a whole turn go out, in one write a link.
    pub(crate) fn send_queued(&self) {
        self.links.lock().values().for_each(|link| link.wake());
    }

    /// The walk for the oldest snapshot that this link waits for has begun.
    pub(crate) fn walk_begun(&self, link: LinkId, walk: WalkId) {
        match self.link(link) {
            Some(link) if link.walk_begun(walk) => {}
            _ => self.inbox.end_walk(walk),
        }
    }

    /// Ends all links and stops listening.
    pub(crate) fn stop(&self) {
        self.over.store(true, Ordering::Release);
        self.listeners.close_all();
        self.elections.close_all();
        let links: Vec<_> = self.links.lock().values().cloned().collect();
        links.iter().for_each(|link| link.close_when_sent());
        self.install_signal.notify_all();
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn new_link(&self) -> LinkId {
        LinkId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    fn link(&self, link: LinkId) -> Option<Arc<PeerLink>> {
        self.links.lock().get(&link).cloned()
    }

    fn close(&self, link: LinkId, reason: &CloseReason) {
        let open = self.link(link);
        match reason {
            CloseReason::RoleChanged => {
                if let Some(open) = open {
                    open.close_when_sent();
                }
                return;
            }
            CloseReason::Misbehaved(why) => warn!(link = link.0, %why, "closing the link to a peer"),
            CloseReason::TimedOut(why) => info!(link = link.0, %why, "closing the link to a peer"),
        }
        match open {
            Some(open) => open.close_now(),
            None => self.elections.close(link),
        }
    }

    fn say_no_vote(&self, known_by: ServerId, has_leader: bool) {
        let dir = self.settings.data_dir.display();
        if has_leader {
            return info!(
                "{dir} was empty at the start, and server {} has a leader: this server learns everything from it and \
                 votes then",
                known_by.0
            );
        }
        warn!(
            "{dir} was empty at the start, and server {} has a history: this server does not vote until it has learned \
             everything from a leader; start a quorum of the other servers, and only if they are lost for good start \
             this one once with db.autocreate=true",
            known_by.0
        );
    }

    fn follow_own_addresses(self: &Arc<Self>) {
        let addresses = self.directory.lock().active(self.settings.server);
        self.elections.introduce_as(&self.settings, &addresses);
        self.listen_at(&addresses);
    }

    fn election_places(&self, server: ServerId) -> Vec<Place> {
        self.places(server, |address| address.election_port)
    }

    fn places(&self, server: ServerId, port: impl Fn(&PeerAddress) -> u16) -> Vec<Place> {
        let addresses = self.directory.lock().all(server);
        addresses
            .into_iter()
            .map(|address| {
                let port = port(&address);
                (address.host, port)
            })
            .collect()
    }

    /// Runs `act` on a thread of its own.
    fn spawn(self: &Arc<Self>, name: &str, act: impl FnOnce(&Arc<Self>) + Send + 'static) -> io::Result<()> {
        let peers = Arc::clone(self);
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(move || act(&peers)).map(|_| ())
    }

    /// Accepts until it is over; `take` must not block.
    fn accept(&self, listener: &TcpListener, over: &AtomicBool, mut take: impl FnMut(TcpStream)) {
        let is_over = || self.is_over() || over.load(Ordering::Acquire);
        while !is_over() {
            match listener.accept() {
                Ok((socket, _)) if !is_over() => take(socket),
                Ok(_) => return,
                Err(error) if !is_over() => {
                    warn!(%error, "cannot accept a peer; raise the limit of open files if that is the reason");
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(_) => return,
            }
        }
    }
}

fn own_addresses(ensemble: &EnsembleConfig, server: ServerId) -> Vec<PeerAddress> {
    ensemble.members.get(&server).map(|member| member.addresses.clone()).unwrap_or_default()
}

/// Prepares an accepted or dialled socket.
fn prepare(socket: &TcpStream, keep_alive: bool) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
    socket2::SockRef::from(socket).set_keepalive(keep_alive)
}

/// Wakes whoever reads or writes the socket; that it is gone already is fine.
fn shut(socket: &TcpStream) {
    drop(socket.shutdown(std::net::Shutdown::Both));
}
