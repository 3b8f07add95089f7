//! Starts and stops a server; what an embedding program uses.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use oxherd_config::Config;
use oxherd_proto::Zxid;
use oxherd_replica::{AuditResult, Clock, Input, Replica, audit_server};
use oxherd_zab::Role;
use thiserror::Error;
use tracing::{info, warn};

use crate::client_port::{Admission, ClientPort};
use crate::client_ports::ClientPorts;
use crate::data::{self, Opened};
use crate::driver::Driver;
use crate::peers::{PeerListeners, Peers};
use crate::settings;
use crate::witness::Witness;
use crate::words::Words;
use crate::workers::Workers;
use crate::{log_thread, member, snapshot_thread};

/// How long a stopping server waits for writes on their way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A member's timers may come nearer while one is waited for, as in an election.
const MEMBER_PAUSE: Duration = Duration::from_millis(20);

/// What is most often wrong with a port.
pub(crate) const IN_USE_ADVICE: &str = "is another server running there?";

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Clients.
    Clients,
    /// Votes.
    Elections,
    /// Members that learn from a leader.
    Learners,
    /// Observers that learn from a follower.
    Observers,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clients => "clients",
            Self::Elections => "votes",
            Self::Learners => "learners",
            Self::Observers => "observers",
        })
    }
}

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting cannot be used.
    #[error("{0}")]
    Setting(String),
    /// A directory of the data cannot be used.
    #[error("the data directory {} cannot be used: {reason}", path.display())]
    DataDirectory {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What is on disk cannot be served.
    #[error("{0}")]
    Recovery(String),
    /// A port cannot be listened on.
    #[error("cannot listen for {purpose} on {address}: {source}; {advice}")]
    Listen {
        /// For whom.
        purpose: Purpose,
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
        /// What to check.
        advice: String,
    },
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
}

/// A server, to be built.
///
/// ```no_run
/// use oxherd_server::{Config, Server};
///
/// let mut config = Config::default();
/// config.client_port.port = Some(0);
/// config.storage.data_dir = "data".into();
/// let server = Server::builder(config).start()?;
/// println!("clients connect to {:?}", server.client_addr());
/// server.shutdown();
/// # Ok::<(), oxherd_server::StartError>(())
/// ```
#[derive(Debug)]
pub struct Server;

impl Server {
    /// A server that runs with this configuration.
    pub fn builder(config: Config) -> ServerBuilder {
        ServerBuilder { config, listener: None, workers: None, peer_listeners: None, witness: None }
    }
}

/// Settings beyond the configuration.
#[derive(Debug)]
pub struct ServerBuilder {
    config: Config,
    listener: Option<TcpListener>,
    workers: Option<usize>,
    peer_listeners: Option<PeerListeners>,
    witness: Option<Arc<dyn Witness>>,
}

impl ServerBuilder {
    /// Somebody hears what a member of an ensemble takes and does.
    #[must_use]
    pub fn witness(mut self, witness: Arc<dyn Witness>) -> Self {
        self.witness = Some(witness);
        self
    }

    /// Listens for clients here, in place of the configured port.
    #[must_use]
    pub fn client_listener(mut self, listener: TcpListener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// A member of an ensemble listens for learners and for votes here, in place of the configured ports.
    #[must_use]
    pub fn peer_listeners(mut self, learners: TcpListener, votes: TcpListener) -> Self {
        let listeners =
            PeerListeners { election: vec![votes], peer: vec![learners], ..PeerListeners::default() };
        self.peer_listeners = Some(listeners);
        self
    }

    /// Threads that carry client links; as many as there are cores when not given.
    #[must_use]
    pub fn worker_threads(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Reads the data, replays the log and starts serving. Blocks until clients can connect; works with
    /// or without an async runtime around it.
    pub fn start(self) -> Result<Handle, StartError> {
        let config = self.config;
        let listener = match self.listener {
            Some(listener) => Some(listener),
            None => listen(&config)?,
        };
        let now = Driver::now();
        let seed = now.unix_ms.cast_unsigned();
        let ports = member::listen(&config, self.peer_listeners)?;
        let Opened { tree, recovered, durable, files, times, written, lock } = data::open(&config, seed)?;
        let told = self.witness.zip(config.server_id).zip(durable.as_ref());
        if let Some(((witness, id), durable)) = &told {
            witness.started(*id, recovered.last_zxid, durable.accepted_epoch, durable.current_epoch);
        }
        let witness = told.map(|(who, _)| who);
        let options = settings::replica_options(&config, seed)?;
        let replica = match durable {
            None => Replica::standalone(options, &recovered, now),
            Some(durable) => member::replica(&config, options, durable, &recovered, now)?,
        };
        let options = settings::client_options(&config)?;
        let driver = Arc::new(Driver::new(replica, tree, options, Clock::new(now.instant), seed));
        times.tell(&driver.statistics.metrics);
        driver.statistics.metrics.write_per_namespace.absorb(&written);
        if let Some((witness, id)) = witness {
            driver.watched_by(id, witness);
        }
        let over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let snapshots =
            snapshot_thread::start(&config, files.layout.clone(), Arc::clone(&driver), Arc::clone(&over));
        threads.push(snapshots.map_err(StartError::Threads)?);
        let tree = settings::tree_options(&config, seed);
        let log = log_thread::start(files, &config, tree, Arc::clone(&driver));
        threads.push(log.map_err(StartError::Threads)?);
        let peers = ports.map(|ports| member::start(&config, seed, ports, &driver)).transpose()?;
        let count =
            self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let workers = Workers::start(count).map_err(StartError::Threads)?;
        workers.first().spawn(timers(Arc::clone(&driver), tick(&config)));
        let clients = Arc::new(client_ports(&config, &driver, &workers));
        if let Some(listener) = listener {
            let host = config.client_port.address.clone();
            clients.serve(listener, host).map_err(StartError::Threads)?;
        }
        driver.may_move(&clients);
        if peers.is_some() {
            driver.submit_one(Input::Timeout);
        }
        let held_drain_max = settings::held_drain_max(&config);
        audit(&driver, "serverStart", AuditResult::Success);
        Ok(Handle { driver, workers, threads, over, clients, peers, held_drain_max, _lock: lock })
    }
}

fn listen(config: &Config) -> Result<Option<TcpListener>, StartError> {
    let Some(port) = config.client_port.port else { return Ok(None) };
    let host = config.client_port.address.clone();
    let shown = format!("{}:{port}", host.as_deref().unwrap_or("*"));
    bind(host.as_deref(), port, backlog(config)).map(Some).map_err(|source| {
        let advice = match source.kind() {
            io::ErrorKind::AddrNotAvailable => "is clientPortAddress an address of this machine?",
            _ => IN_USE_ADVICE,
        };
        let (purpose, advice) = (Purpose::Clients, advice.to_owned());
        StartError::Listen { purpose, address: shown, source, advice }
    })
}

/// Without an address: every IPv6 and IPv4 address, or every IPv4 address where there is no IPv6.
pub(crate) fn bind(host: Option<&str>, port: u16, backlog: i32) -> io::Result<TcpListener> {
    use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs};
    let Some(host) = host else {
        let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        return bind_to(every, backlog)
            .or_else(|_| bind_to(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), backlog));
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in (host, port).to_socket_addrs()? {
        match bind_to(address, backlog) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_to(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

fn client_ports(config: &Config, driver: &Arc<Driver>, workers: &Workers) -> ClientPorts {
    let port = ClientPort {
        driver: Arc::clone(driver),
        admission: Arc::new(Admission::default()),
        limits: settings::port_limits(config),
        words: Arc::new(Words::new(config, Arc::clone(driver))),
        workers: workers.handles(),
    };
    ClientPorts::new(port, backlog(config))
}

fn backlog(config: &Config) -> i32 {
    if config.client_port.backlog > 0 { config.client_port.backlog } else { 1024 }
}

fn tick(config: &Config) -> Duration {
    Duration::from_millis(u64::try_from(config.session.tick_time_ms).unwrap_or(0).max(1))
}

/// Wakes the replica when it wants to be woken. No session can become due within a fraction of a tick,
/// so what changes meanwhile is seen in time.
async fn timers(driver: Arc<Driver>, tick: Duration) {
    let longest = if driver.role().is_some() { MEMBER_PAUSE } else { Duration::from_millis(250) };
    let longest = longest.min(driver.options.limits.stall().unwrap_or(longest));
    let pause_max = (tick / 4).min(longest).max(Duration::from_millis(5));
    loop {
        let now = Driver::now().instant;
        driver.release_held();
        let due = driver.next_timeout().unwrap_or(now + pause_max);
        if due <= now {
            driver.submit_one(Input::Timeout);
        } else {
            tokio::time::sleep((due - now).min(pause_max)).await;
        }
    }
}

/// A running server. Dropping it stops the server.
#[derive(Debug)]
pub struct Handle {
    driver: Arc<Driver>,
    workers: Workers,
    threads: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
    clients: Arc<ClientPorts>,
    peers: Option<Arc<Peers>>,
    /// How long requests that the throttle holds back are given (`request_throttler.shutdownTimeout`).
    held_drain_max: Duration,
    _lock: data::Lock,
}

impl Handle {
    /// Where clients connect; `None` without a client port.
    pub fn client_addr(&self) -> Option<SocketAddr> {
        self.clients.local_addr()
    }

    /// Waits until the server stops itself because it cannot be sure of its data; why.
    pub async fn halted(&self) -> String {
        self.driver.halted().await
    }

    /// Stops: takes no more requests, answers the writes on their way, syncs, ends.
    pub fn shutdown(self) {
        drop(self);
    }

    /// What a member of an ensemble is; `None` for a server alone.
    pub fn role(&self) -> Option<Role> {
        self.driver.role()
    }

    /// Waits until the role is as wanted, for some time; whether it is.
    pub fn wait_for_role(&self, wanted: impl Fn(Role) -> bool, within: Duration) -> bool {
        self.driver.wait_for_role(wanted, within)
    }

    /// The zxid of the last txn applied and the digest of the tree after it.
    pub fn state(&self) -> (Zxid, u64) {
        self.driver.with_side(|side| (side.tree.last_zxid(), side.tree.digest()))
    }

    fn stop(&mut self) {
        audit(&self.driver, "serverStop", AuditResult::Invoked);
        self.driver.stop_serving();
        // After a disk error no write on its way will ever be durable.
        let halted = self.driver.is_halted();
        if !halted {
            self.drain();
        }
        if let Some(peers) = &self.peers {
            if !halted {
                // A leader hands over first: it takes nothing new and lets the others catch up.
                self.driver.submit_one(Input::Peer(oxherd_zab::Input::Stop));
                self.driver.wait_for_role(|role| matches!(role, Role::Stopped { .. }), DRAIN_TIMEOUT);
            }
            peers.stop();
        }
        self.workers.stop();
        self.over.store(true, Ordering::Release);
        self.driver.wake_snapshots();
        self.driver.log.finish();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                warn!("a thread panicked");
            }
        }
        self.driver.ended();
        if !halted {
            info!(zxid = %self.driver.with_side(|side| side.tree.last_zxid()), "the log is complete");
        }
    }

    // Java: RequestThrottler.shutdown
    fn drain(&self) {
        wait_while(self.held_drain_max, || {
            self.driver.release_held();
            self.driver.outstanding.queued() > 0
        });
        wait_while(DRAIN_TIMEOUT, || self.driver.has_unfinished_writes());
    }
}

// Java: ZKAuditProvider.addZKStartStopAuditLog
fn audit(driver: &Driver, operation: &str, result: AuditResult) {
    if let Some(user) = &driver.options.audit {
        audit_server(user, operation, result);
    }
}

fn wait_while(limit: Duration, mut busy: impl FnMut() -> bool) {
    let start = Driver::now().instant;
    while busy() && Driver::now().instant - start < limit {
        std::thread::yield_now();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}
