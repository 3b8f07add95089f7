//! A server as a member of its ensemble: what the configuration says about peers.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use oxherd_config::{Config, Member, Mode};
use oxherd_proto::ServerId;
use oxherd_replica::{Now, Recovered, Replica, ReplicaOptions};
use oxherd_storage::Layout;
use oxherd_zab::{DurableState, EnsembleConfig, PeerConfig};
use tracing::{info, warn};

use crate::driver::Driver;
use crate::membership;
use crate::peers::{self, Inbox, PeerListeners, PeerSettings, Peers, SnapshotPlace};
use crate::server::{IN_USE_ADVICE, Purpose, StartError};
use crate::{settings, snapshot_thread};

/// Pause between two attempts to open the election port.
const BIND_PAUSE: Duration = Duration::from_secs(1);
/// Pause between two attempts to look this server's own name up.
const NAME_PAUSE: Duration = Duration::from_millis(500);
/// Attempts from one warning to the next.
const NAME_TRIES_A_WARNING: u32 = 20;
/// Attempts where the setting makes no sense.
const BIND_RETRIES_DEFAULT: i32 = 3;
/// Bytes that may wait for one learner: minutes of writes, or what comes while it takes a large tree.
const QUEUE_BYTES_MAX: usize = 512 << 20;

/// Listens for peers, unless that was done; nothing for a server alone.
pub(crate) fn listen(
    config: &Config,
    given: Option<PeerListeners>,
) -> Result<Option<PeerListeners>, StartError> {
    if config.mode == Mode::Standalone {
        return Ok(None);
    }
    if given.is_some() {
        return Ok(given);
    }
    let id = server_id(config)?;
    let member = config.membership.members.get(&id).ok_or_else(|| not_a_member(id))?;
    let mut listeners = PeerListeners::default();
    for address in &member.addresses {
        let host = (!config.quorum.listen_everywhere).then_some(address.host.as_str());
        host.into_iter().for_each(|host| wait_for_name(id, member, host));
        listeners.peer.push(open(config, Purpose::Learners, host, address.quorum_port)?);
        listeners.election.push(open_election(config, host, address.election_port)?);
        if let Some(port) = observer_master_port(config) {
            listeners.observer_master.push(open(config, Purpose::Observers, host, port)?);
        }
        if host.is_none() {
            break;
        }
    }
    Ok(Some(listeners))
}

fn open(config: &Config, purpose: Purpose, host: Option<&str>, port: u16) -> Result<TcpListener, StartError> {
    let address = format!("{}:{port}", host.unwrap_or("*"));
    peers::open(host, port).map_err(|source| {
        let advice = listen_advice(config, source.kind());
        StartError::Listen { purpose, address, source, advice }
    })
}

/// Waits until this server's own name is known, for as long as it takes: an orchestrator may tell it only once the server
/// is there. ZooKeeper gives up with the attempts to open the election port.
// Java: QuorumCnxManager.Listener.ListenerHandler.createNewServerSocket, which looks it up anew at each attempt
fn wait_for_name(id: ServerId, member: &Member, host: &str) {
    let mut failures = 0_u32;
    while let Err(reason) = (host, 0).to_socket_addrs() {
        if failures.is_multiple_of(NAME_TRIES_A_WARNING) {
            warn!(%reason, "cannot look up {host}, this server's own name: waiting for it; the line is server.{}={member}", id.0);
        }
        failures = failures.wrapping_add(1);
        std::thread::sleep(NAME_PAUSE);
    }
    if failures > 0 {
        info!("{host} is known now");
    }
}

/// A member whose `myid` is that of another one tries to listen where that one should.
fn listen_advice(config: &Config, reason: io::ErrorKind) -> String {
    let Some(id) = config.server_id else { return IN_USE_ADVICE.to_owned() };
    let line = config.membership.members.get(&id).map(|member| format!("server.{}={member}", id.0));
    let line = line.unwrap_or_default();
    let (number, file) = (id.0, config.storage.data_dir.join("myid"));
    let file = file.display();
    match reason {
        io::ErrorKind::AddrNotAvailable => format!(
            "myid says {number}, whose line {line} is not an address of this machine: check {file}, or behind a NAT \
             set quorumListenOnAllIPs=true"
        ),
        io::ErrorKind::AddrInUse => {
            format!("{IN_USE_ADVICE} myid says {number}, whose line is {line}: check {file}")
        }
        _ => format!("check the line {line}"),
    }
}

/// Whoever held the election port may be about to end, as in a restart: it is tried again.
// Java: QuorumCnxManager.Listener.ListenerHandler.acceptConnections
fn open_election(config: &Config, host: Option<&str>, port: u16) -> Result<TcpListener, StartError> {
    let mut failures = 0;
    let attempts_max = match config.quorum.election_bind_retries {
        retries if retries >= 0 => retries,
        _ => BIND_RETRIES_DEFAULT,
    };
    loop {
        failures += 1;
        match open(config, Purpose::Elections, host, port) {
            Err(error) if attempts_max == 0 || failures < attempts_max => {
                warn!(%error, "trying the election port again");
                std::thread::sleep(BIND_PAUSE);
            }
            result => return result,
        }
    }
}

fn server_id(config: &Config) -> Result<ServerId, StartError> {
    config.server_id.ok_or_else(|| StartError::Setting("an ensemble needs the file myid".to_owned()))
}

fn not_a_member(id: ServerId) -> StartError {
    StartError::Setting(format!("myid says {}, but there is no line server.{}=host:port:port", id.0, id.0))
}

fn observer_master_port(config: &Config) -> Option<u16> {
    u16::try_from(config.quorum.observer_master_port).ok().filter(|port| *port > 0)
}

fn ensemble(config: &Config) -> Result<EnsembleConfig, StartError> {
    EnsembleConfig::parse(&config.membership.to_string())
        .map_err(|error| StartError::Setting(error.to_string()))
}

fn ensemble_seen(config: &Config) -> Result<Option<EnsembleConfig>, StartError> {
    if config.quorum.reconfig_enabled { membership::next(config) } else { Ok(None) }
}

/// The replica of a member.
pub(crate) fn replica(
    config: &Config,
    options: ReplicaOptions,
    durable: DurableState,
    recovered: &Recovered,
    now: Now,
) -> Result<Replica, StartError> {
    let peer = peer_config(config, options.seed)?;
    Ok(Replica::member(options, peer, durable, recovered, now))
}

/// What agreement is told.
pub(crate) fn peer_config(config: &Config, seed: u64) -> Result<PeerConfig, StartError> {
    let quorum = &config.quorum;
    let limit = |ticks: i32| u32::try_from(ticks).unwrap_or(0);
    Ok(PeerConfig {
        tick: tick(config),
        init_limit: limit(quorum.init_limit),
        sync_limit: limit(quorum.sync_limit),
        connect_limit: (quorum.connect_limit > 0).then(|| limit(quorum.connect_limit)),
        notify_again_min: milliseconds(quorum.notification_ms_min),
        notify_again_max: milliseconds(quorum.notification_ms_max),
        observer_delay_max: milliseconds(quorum.observer_election_ms),
        observer_dial_delay_max: Duration::from_millis(
            u64::try_from(quorum.observer_reconnect_ms).unwrap_or(0),
        ),
        commit_log_count: settings::positive_len(quorum.commit_log_count),
        log_sync: quorum.snapshot_size_factor >= 0.0,
        force_snapshot: quorum.force_snapshot,
        reconfig: quorum.reconfig_enabled,
        ensemble_seen: ensemble_seen(config)?,
        read_only: config.client_port.read_only_mode,
        snap_syncs_max: settings::positive_len(quorum.snap_syncs_max),
        diff_syncs_max: settings::positive_len(quorum.diff_syncs_max),
        epoch_wait: (quorum.epoch_wait_ms >= 0).then(|| milliseconds(quorum.epoch_wait_ms)),
        observer_log: quorum.observer_sync_enabled.unwrap_or(quorum.sync_enabled),
        observer_master: observer_master_port(config).is_some(),
        seed,
        ..PeerConfig::new(server_id(config)?, ensemble(config)?)
    })
}

/// Starts the links of a member.
pub(crate) fn start(
    config: &Config,
    seed: u64,
    listeners: PeerListeners,
    driver: &Arc<Driver>,
) -> Result<Arc<Peers>, StartError> {
    let inbox: Arc<dyn Inbox> = Arc::<Driver>::clone(driver);
    let peers = Peers::new(peer_settings(config, seed)?, inbox);
    driver.join(&peers, settings::leader_serves(config));
    peers.listen(listeners).map_err(StartError::Threads)?;
    Ok(peers)
}

/// What links to peers are told.
pub(crate) fn peer_settings(config: &Config, seed: u64) -> Result<PeerSettings, StartError> {
    let quorum = &config.quorum;
    let hello_timeout = match quorum.election_read_ms {
        1.. => milliseconds(quorum.election_read_ms),
        _ => tick(config) * u32::try_from(quorum.sync_limit).unwrap_or(1),
    };
    let field = i64::from(config.limits.frame_bytes_max) + i64::from(config.limits.extra_bytes.unwrap_or(0));
    Ok(PeerSettings {
        server: server_id(config)?,
        data_dir: config.storage.data_dir.clone(),
        ensemble: ensemble(config)?,
        ensemble_seen: ensemble_seen(config)?,
        is_static: !quorum.reconfig_enabled && config.membership.version == 0,
        connect_timeout: milliseconds(quorum.election_connect_ms),
        hello_timeout,
        leader_pause: milliseconds(quorum.leader_retry_ms),
        several_addresses: quorum.multi_address,
        keep_alive: quorum.election_keep_alive,
        listen_everywhere: quorum.listen_everywhere,
        observer_master_port: observer_master_port(config).unwrap_or(0),
        field_len_max: usize::try_from(field).unwrap_or(0),
        queue_bytes_max: QUEUE_BYTES_MAX,
        tree: settings::tree_options(config, seed),
        snapshots: SnapshotPlace {
            dir: Layout::new(&config.storage.data_dir, None).snap_dir,
            compression: snapshot_thread::compression(config),
        },
        tree_silence: (tick(config) * u32::try_from(quorum.init_limit).unwrap_or(1)).max(tick(config)),
    })
}

fn tick(config: &Config) -> Duration {
    milliseconds(config.session.tick_time_ms)
}

fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}
