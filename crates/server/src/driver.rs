//! One replica's turns, taken by whoever has an input when nobody else is taking one.
//!
//! There is no replica thread: a connection's task or the log thread puts its inputs into the inbox and
//! takes a turn if the replica is free; otherwise the one who holds it sees the inbox before leaving.
//! Lock order: replica, tree, connection, watches. The exclusive step holds watches while it reaches
//! connections; that is safe because connections take watches only under the tree's shared side.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;
use oxherd_metrics::{Metrics, Statistics};
use oxherd_proto::{ServerId, SessionId, Zxid};
use oxherd_replica::{
    ClientCommand, ClientOptions, Clients, Clock, Close, Connection, Exclusive, Grant, Input, Now, Output,
    Outstanding, Replica, SharedWatches, Side,
};
use oxherd_tree::{Change, ClientId, Tree, WalkId, WalkState, Watches};
use oxherd_zab::{EnsembleConfig, Role};
use parking_lot::{Condvar, Mutex, RwLock};
use tracing::{error, info};

use crate::client_ports::ClientPorts;
use crate::link::Link;
use crate::log_thread::{LogCommand, LogQueue};
use crate::measures::Measures;
use crate::membership::MembershipChange;
use crate::peers::{Inbox, Peers};
use crate::witness::Witness;

/// Bytes of the tree taken under its lock at once, to be sent to a learner.
const PEER_SLICE_BYTES: usize = 48 << 10;
/// Inputs that may wait before peers have to wait with theirs.
const INBOX_INPUTS_MAX: usize = 10_000;

/// Everything the tasks and threads of one server share.
#[derive(Debug)]
pub(crate) struct Driver {
    replica: Mutex<Replica>,
    inbox: Mutex<Vec<Input>>,
    tree: RwLock<Tree>,
    pub(crate) watches: SharedWatches,
    links: Mutex<HashMap<u32, Arc<Link>, foldhash::fast::FixedState>>,
    pub(crate) log: LogQueue,
    pub(crate) options: ClientOptions,
    pub(crate) statistics: Statistics,
    pub(crate) outstanding: Outstanding,
    pub(crate) clock: Clock,
    serving: AtomicBool,
    /// Only in an ensemble.
    member: OnceLock<Membership>,
    role_signal: Condvar,
    witness: OnceLock<(ServerId, Arc<dyn Witness>)>,
    /// Where clients are accepted; weak, for it holds the driver.
    clients: OnceLock<Weak<ClientPorts>>,
    snapshot_due: Mutex<bool>,
    snapshot_signal: Condvar,
    halted: Mutex<Option<String>>,
    halt_signal: tokio::sync::Notify,
    changes: Mutex<Vec<Change>>,
}

/// What a member of an ensemble has beside a server alone.
#[derive(Debug)]
struct Membership {
    peers: Weak<Peers>,
    role: Mutex<Role>,
    /// Whether clients are served while it leads (`leaderServes`).
    leader_serves: bool,
    /// Taken under the replica's lock alone.
    measures: Mutex<Measures>,
}

/// The links a turn reached and that are to be flushed after it.
struct Reached<'a> {
    links: &'a Mutex<HashMap<u32, Arc<Link>, foldhash::fast::FixedState>>,
    dirty: &'a mut Vec<Arc<Link>>,
}

impl Clients for Reached<'_> {
    fn with(&mut self, client: ClientId, act: &mut dyn FnMut(&mut Connection)) {
        let Some(link) = self.links.lock().get(&client.0).cloned() else { return };
        act(&mut link.connection.lock());
        if link.mark_dirty() {
            self.dirty.push(link);
        }
    }
}

impl Driver {
    pub(crate) fn new(replica: Replica, tree: Tree, options: ClientOptions, clock: Clock, seed: u64) -> Self {
        let outstanding = Outstanding::new(&options.limits, seed);
        Self {
            replica: Mutex::new(replica),
            inbox: Mutex::new(Vec::new()),
            tree: RwLock::new(tree),
            watches: SharedWatches::new(Watches::new(0)),
            links: Mutex::new(HashMap::with_hasher(foldhash::fast::FixedState::default())),
            log: LogQueue::default(),
            options,
            statistics: Statistics::default(),
            outstanding,
            clock,
            serving: AtomicBool::new(true),
            member: OnceLock::new(),
            role_signal: Condvar::new(),
            witness: OnceLock::new(),
            clients: OnceLock::new(),
            snapshot_due: Mutex::new(false),
            snapshot_signal: Condvar::new(),
            halted: Mutex::new(None),
            halt_signal: tokio::sync::Notify::new(),
            changes: Mutex::new(Vec::new()),
        }
    }

    /// The moment, by both clocks.
    pub(crate) fn now() -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { instant: Instant::now(), unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX) }
    }

    // ---- turns

    /// Hands over inputs; they are taken before this returns or by whoever holds the replica now.
    pub(crate) fn submit(&self, inputs: &mut Vec<Input>) {
        self.inbox.lock().append(inputs);
        self.take_turns();
    }

    /// Hands over one input.
    pub(crate) fn submit_one(&self, input: Input) {
        self.inbox.lock().push(input);
        self.take_turns();
    }

    fn take_turns(&self) {
        let mut dirty = Vec::new();
        while let Some(mut replica) = self.replica.try_lock() {
            self.drain_inbox(&mut replica, &mut dirty);
            drop(replica);
            for link in dirty.drain(..) {
                link.flush();
            }
            self.release_held();
            if self.inbox.lock().is_empty() {
                return;
            }
        }
    }

    fn drain_inbox(&self, replica: &mut Replica, dirty: &mut Vec<Arc<Link>>) {
        loop {
            let inputs = std::mem::take(&mut *self.inbox.lock());
            if inputs.is_empty() {
                return;
            }
            match self.witness.get() {
                None => self.turn(replica, inputs, dirty),
                Some((member, witness)) => {
                    for input in inputs {
                        witness.takes(*member, &input);
                        self.turn(replica, vec![input], dirty);
                        if self.is_serving() {
                            witness.shows(*member, self.tree.read().last_zxid());
                        }
                    }
                }
            }
        }
    }

    fn turn(&self, replica: &mut Replica, inputs: Vec<Input>, dirty: &mut Vec<Arc<Link>>) {
        let now = Self::now();
        self.handle(replica, now, inputs, dirty);
        if replica.has_ready() {
            self.apply(replica, now, dirty);
            self.route(replica, dirty);
        }
    }

    fn handle(&self, replica: &mut Replica, now: Now, inputs: Vec<Input>, dirty: &mut Vec<Arc<Link>>) {
        self.measure(|measures, metrics| inputs.iter().for_each(|input| measures.takes(input, now, metrics)));
        let tree = self.tree.read();
        for input in inputs {
            replica.handle(now, input, &tree);
        }
        drop(tree);
        self.route(replica, dirty);
    }

    fn apply(&self, replica: &mut Replica, now: Now, dirty: &mut Vec<Arc<Link>>) {
        let mut clients = Reached { links: &self.links, dirty };
        let mut changes = self.changes.lock();
        let mut tree = self.tree.write();
        replica.apply(&mut Exclusive {
            tree: &mut tree,
            clients: &mut clients,
            watches: &self.watches,
            options: &self.options,
            statistics: &self.statistics,
            outstanding: &self.outstanding,
            clock: &self.clock,
            now,
            changes: &mut changes,
        });
        let zxid = tree.last_zxid();
        self.measure(|measures, metrics| measures.applied(zxid, now, metrics));
    }

    fn measure(&self, act: impl FnOnce(&mut Measures, &Metrics)) {
        if let Some(member) = self.member.get() {
            act(&mut member.measures.lock(), &self.statistics.metrics);
        }
    }

    fn route(&self, replica: &mut Replica, dirty: &mut Vec<Arc<Link>>) {
        let mut commands = Vec::new();
        let mut told_peers = None;
        while let Some(output) = replica.poll_output() {
            if let Some((member, witness)) = self.witness.get() {
                witness.does(*member, &output);
            }
            if let Some(member) = self.member.get() {
                member.measures.lock().does(&output, Self::now(), &self.statistics);
            }
            match output {
                Output::Storage(command) => commands.push(LogCommand::Storage(command)),
                Output::Role(role) => self.set_role(role, dirty),
                Output::Peer(output) => {
                    commands.extend(change_of(&output).map(LogCommand::Membership));
                    if let Some(peers) = told_peers.take().or_else(|| self.peers()) {
                        peers.carry_out(output);
                        told_peers = Some(peers);
                    }
                }
                Output::WalkBegun { link, walk } => {
                    // Without links nobody could have asked for a walk, and the tree's lock is free here.
                    match self.peers() {
                        Some(peers) => peers.walk_begun(link, walk),
                        None => self.with_tree_mut(|tree| tree.end_walk(walk)),
                    }
                }
                Output::Client(client, command) => self.command(client, command, dirty),
                Output::Snapshot => self.request_snapshot(),
                Output::Halt(reason) => self.halt(reason),
            }
        }
        if let Some(peers) = told_peers {
            peers.send_queued();
        }
        self.log.push(commands);
    }

    fn command(&self, client: ClientId, command: ClientCommand, dirty: &mut Vec<Arc<Link>>) {
        let now_ms = self.clock.ms(Self::now().instant);
        let mut command = Some(command);
        Reached { links: &self.links, dirty }.with(client, &mut |connection| match command.take() {
            Some(ClientCommand::Ready { session, password, pulse, read_only }) => {
                let outstanding = &self.outstanding;
                connection.session_ready(session, password, pulse, now_ms, read_only, outstanding);
            }
            Some(ClientCommand::Expired) => connection.session_expired(),
            Some(ClientCommand::Close(how)) => connection.close(how),
            None => {}
        });
    }

    // ---- sides

    /// Runs `act` with the shared side of the tree.
    pub(crate) fn with_side<R>(&self, act: impl FnOnce(&Side<'_>) -> R) -> R {
        let now = Self::now();
        let tree = self.tree.read();
        act(&Side {
            tree: &tree,
            watches: &self.watches,
            options: &self.options,
            statistics: &self.statistics,
            outstanding: &self.outstanding,
            clock: &self.clock,
            now,
        })
    }

    /// Runs `act` alone with the tree, for a slice of a snapshot.
    pub(crate) fn with_tree_mut<R>(&self, act: impl FnOnce(&mut Tree) -> R) -> R {
        act(&mut self.tree.write())
    }

    /// Runs `act` with the replica and the tree, both alone.
    pub(crate) fn with_replica<R>(&self, act: impl FnOnce(&mut Replica, &mut Tree) -> R) -> R {
        let mut replica = self.replica.lock();
        let result = act(&mut replica, &mut self.tree.write());
        drop(replica);
        self.take_late_turn();
        result
    }

    /// An input that came while the replica was held for something else found nobody to take it.
    fn take_late_turn(&self) {
        if !self.inbox.lock().is_empty() {
            self.take_turns();
        }
    }

    /// When the replica wants to be woken, at the latest.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let timeout = self.replica.lock().poll_timeout();
        self.take_late_turn();
        timeout
    }

    // ---- links

    pub(crate) fn add_link(&self, link: &Arc<Link>) {
        self.links.lock().insert(link.client.0, Arc::clone(link));
    }

    /// Forgets a link that ended, with its watches; its session lives on.
    pub(crate) fn remove_link(&self, link: &Link) {
        let mut inputs = Vec::new();
        link.connection.lock().end(&self.options, &self.statistics, &self.outstanding, &mut inputs);
        self.links.lock().remove(&link.client.0);
        self.watches.lock().remove_client(link.client);
        let session = link.session();
        inputs.push(Input::Gone { client: link.client, session });
        self.submit(&mut inputs);
        self.release_held();
    }

    /// Lets links go on whose requests were held back, as far as there is room now.
    pub(crate) fn release_held(&self) {
        let now_ms = || self.clock.ms(Self::now().instant);
        let waited = &self.statistics.metrics.request_throttle_wait_count;
        let mut untaken = true;
        while untaken && self.outstanding.queued() > 0 {
            untaken = false;
            for grant in self.outstanding.poll_grants(now_ms(), &self.options.limits.requests, waited) {
                untaken |= !self.hand_out(grant);
            }
        }
    }

    /// False when the link has ended that was to have it.
    fn hand_out(&self, grant: Grant) -> bool {
        let (Grant::Go(client) | Grant::Drop(client)) = grant;
        let link = self.links.lock().get(&client.0).cloned();
        match (grant, link) {
            (Grant::Go(_), Some(link)) if link.grant() => true,
            (Grant::Go(_), _) => {
                self.outstanding.return_grant();
                false
            }
            (Grant::Drop(_), link) => {
                if let Some(link) = link {
                    link.drop_held(&self.statistics);
                }
                true
            }
        }
    }

    /// All links at the moment, in no order.
    pub(crate) fn all_links(&self) -> Vec<Arc<Link>> {
        self.links.lock().values().cloned().collect()
    }

    // ---- states

    /// Whether clients are served.
    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    /// Stops taking clients.
    pub(crate) fn stop_serving(&self) {
        self.serving.store(false, Ordering::Release);
    }

    /// Stops everything: nothing may be acknowledged after this.
    pub(crate) fn halt(&self, reason: String) {
        error!(%reason, "the server stops because it cannot be sure of its data");
        self.stop_serving();
        self.statistics.metrics.unrecoverable_error_count.add(1);
        self.halted.lock().get_or_insert(reason);
        self.halt_signal.notify_one();
    }

    /// Whether something halted the server.
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.lock().is_some()
    }

    /// Waits until something halts the server; why.
    pub(crate) async fn halted(&self) -> String {
        loop {
            if let Some(reason) = self.halted.lock().clone() {
                return reason;
            }
            self.halt_signal.notified().await;
        }
    }

    fn request_snapshot(&self) {
        *self.snapshot_due.lock() = true;
        self.snapshot_signal.notify_one();
    }

    /// Wakes the snapshot thread so that it can see that it is over.
    pub(crate) fn wake_snapshots(&self) {
        self.snapshot_signal.notify_one();
    }

    /// Waits until a snapshot is due, `until` comes or `over` turns true; whether a snapshot is due.
    pub(crate) fn wait_for_snapshot(&self, over: &AtomicBool, until: Option<Instant>) -> bool {
        let mut due = self.snapshot_due.lock();
        while !*due && !over.load(Ordering::Acquire) {
            let timed_out = match until {
                Some(until) => self.snapshot_signal.wait_until(&mut due, until).timed_out(),
                None => {
                    self.snapshot_signal.wait(&mut due);
                    false
                }
            };
            if timed_out {
                break;
            }
        }
        std::mem::take(&mut *due)
    }

    /// Whether writes are on their way that somebody waits for.
    pub(crate) fn has_unfinished_writes(&self) -> bool {
        let unfinished = self.outstanding.count() > 0 || self.replica.lock().has_unfinished_writes();
        self.take_late_turn();
        unfinished
    }

    /// The session each link carries.
    pub(crate) fn session_names(&self) -> std::collections::BTreeMap<ClientId, SessionId> {
        self.all_links().iter().map(|link| (link.client, link.session())).collect()
    }

    /// Digests of the tree, the last ones kept.
    pub(crate) fn digests(&self) -> Vec<(Zxid, u64)> {
        let digests = self.replica.lock().digests().collect();
        self.take_late_turn();
        digests
    }

    /// Notes what the server is. A member without a leader serves nobody: clients look for another.
    fn set_role(&self, role: Role, dirty: &mut Vec<Arc<Link>>) {
        let Some(member) = self.member.get() else {
            if let Role::Stopped { .. } = role {
                self.stop_serving();
            }
            return;
        };
        info!(?role, "the role of this server");
        let serves = match role {
            Role::Leading { .. } => member.leader_serves,
            Role::Following { .. } | Role::Observing { .. } | Role::ReadOnly => true,
            _ => false,
        };
        // Whoever waits for the role may connect at once.
        self.serving.store(serves, Ordering::Release);
        *member.role.lock() = role;
        self.role_signal.notify_all();
        if !serves {
            self.close_clients(dirty);
        }
        if let Role::Stopped { failed: true } = role {
            self.halt("the disk failed".to_owned());
        }
    }

    fn close_clients(&self, dirty: &mut Vec<Arc<Link>>) {
        for link in self.all_links() {
            let mut connection = link.connection.lock();
            if connection.is_greeting() {
                continue;
            }
            connection.close(Close::Now);
            drop(connection);
            if link.mark_dirty() {
                dirty.push(link);
            }
        }
    }
}

/// What a change of the ensemble leaves to storage.
fn change_of(output: &oxherd_zab::Output) -> Option<MembershipChange> {
    match output {
        oxherd_zab::Output::ConfigSeen { text } => {
            EnsembleConfig::parse(text).ok().map(MembershipChange::Seen)
        }
        oxherd_zab::Output::ConfigActive { text } => {
            EnsembleConfig::parse(text).ok().map(MembershipChange::Active)
        }
        _ => None,
    }
}

/// What only members do.
impl Driver {
    /// The port for clients follows the ensemble from now on.
    pub(crate) fn may_move(&self, clients: &Arc<ClientPorts>) {
        drop(self.clients.set(Arc::downgrade(clients)));
    }

    /// Where clients are accepted, while the server runs.
    pub(crate) fn client_ports(&self) -> Option<Arc<ClientPorts>> {
        self.clients.get().and_then(Weak::upgrade)
    }

    /// Tells `witness` from now on; to be called before the first input.
    pub(crate) fn watched_by(&self, member: ServerId, witness: Arc<dyn Witness>) {
        drop(self.witness.set((member, witness)));
    }

    /// All threads have ended.
    pub(crate) fn ended(&self) {
        if let Some((member, witness)) = self.witness.get() {
            witness.ended(*member);
        }
    }

    /// Makes this the server of a member: it serves once it leads or has learned.
    pub(crate) fn join(&self, peers: &Arc<Peers>, leader_serves: bool) {
        let membership = Membership {
            peers: Arc::downgrade(peers),
            role: Mutex::new(Role::Looking),
            leader_serves,
            measures: Mutex::default(),
        };
        membership.measures.lock().joined(Self::now().instant, &self.statistics.metrics);
        self.stop_serving();
        drop(self.member.set(membership));
    }

    pub(crate) fn peers(&self) -> Option<Arc<Peers>> {
        self.member.get().and_then(|member| member.peers.upgrade())
    }

    /// What a member is; `None` for a server alone.
    pub(crate) fn role(&self) -> Option<Role> {
        self.member.get().map(|member| *member.role.lock())
    }

    /// Waits until the role is as wanted, for some time.
    pub(crate) fn wait_for_role(&self, wanted: impl Fn(Role) -> bool, within: Duration) -> bool {
        let Some(member) = self.member.get() else { return false };
        let until = Self::now().instant + within;
        let mut role = member.role.lock();
        while !wanted(*role) {
            if self.role_signal.wait_until(&mut role, until).timed_out() {
                return wanted(*role);
            }
        }
        true
    }

    /// Another tree takes the place of this one; walks of the former end.
    pub(crate) fn replace_tree(&self, mut tree: Tree, sessions: &[(SessionId, i32)]) {
        let now = Self::now().instant;
        self.with_replica(|replica, current| {
            tree.follow(current);
            std::mem::swap(current, &mut tree);
            replica.tree_replaced(now, sessions);
        });
    }

    /// The next slice of a walk; `None` when there is no such walk any more.
    pub(crate) fn walk_slice(&self, walk: WalkId, out: &mut Vec<u8>, bytes_max: usize) -> Option<WalkState> {
        self.with_tree_mut(|tree| {
            tree.walk_point(walk)?;
            Some(tree.walk_slice(walk, out, bytes_max))
        })
    }
}

impl Inbox for Driver {
    fn give(&self, inputs: Vec<oxherd_zab::Input>) {
        self.submit(&mut inputs.into_iter().map(Input::Peer).collect());
    }

    fn wait_for_room(&self, from_leader: bool) {
        if self.inbox.lock().len() > INBOX_INPUTS_MAX {
            drop(self.replica.lock());
            self.take_late_turn();
        }
        // A leader goes on without its own disk as long as a quorum has others: it must hear them.
        if from_leader {
            self.log.wait_for_room();
        }
    }

    fn walk_slice(&self, walk: WalkId, out: &mut Vec<u8>) -> Option<WalkState> {
        Self::walk_slice(self, walk, out, PEER_SLICE_BYTES)
    }

    fn end_walk(&self, walk: WalkId) {
        self.with_tree_mut(|tree| tree.end_walk(walk));
    }
}
