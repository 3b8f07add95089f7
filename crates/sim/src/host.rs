//! One living server: a replica with its tree, its client links and its files, as the shell drives it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use oxherd_metrics::Statistics;
use oxherd_proto::{SessionId, Zxid};
use oxherd_replica::{
    ClientCommand, ClientOptions, Clients, Clock, Close, Connection, Exclusive, Input, Now, Output,
    Outstanding, Replica, SharedWatches, Side, ip_identities,
};
use oxherd_storage::{Compression, Layout, Seal, SnapshotWriter, StorageError, purge};
use oxherd_tree::{Change, ClientId, Tree, WalkId, WalkPoint, WalkState, Watches};
use oxherd_zab::{LinkId, Output as ZabOutput, Role, StorageCommand};

use crate::lying::LyingDisk;
use crate::store::Store;

/// Bytes of a snapshot written in one turn; small, so that txns come in between.
const SLICE_BYTES: usize = 512;
/// Snapshots kept.
const SNAPSHOTS_KEPT: usize = 3;

/// Something that leaves a server.
#[derive(Debug)]
pub(crate) enum Effect {
    /// For the log thread.
    Storage(StorageCommand),
    /// For other servers.
    Peer(ZabOutput),
    /// The tree that a `SendSnapshot` of this link waits for.
    Body(LinkId, Bytes),
    /// What it is from here on.
    Role(Role),
    /// A snapshot is due.
    Snapshot,
    /// The process stops.
    Halt(String),
    /// Bytes for a client.
    ToClient(ClientId, Vec<u8>),
    /// The end of a client's link.
    CloseClient(ClientId),
}

struct SnapshotJob {
    walk: WalkId,
    point: WalkPoint,
    file: SnapshotWriter<LyingDisk>,
}

/// One server.
pub(crate) struct Host {
    /// The core.
    pub(crate) replica: Replica,
    /// Its tree.
    pub(crate) tree: Tree,
    /// Its files.
    pub(crate) store: Store,
    /// What it is.
    pub(crate) role: Role,
    disk: LyingDisk,
    layout: Layout,
    watches: SharedWatches,
    connections: BTreeMap<u32, Connection>,
    options: ClientOptions,
    statistics: Statistics,
    outstanding: Outstanding,
    clock: Clock,
    changes: Vec<Change>,
    dirty: BTreeSet<u32>,
    /// Clients that are not read from until there is room, with what has come.
    unread: BTreeMap<u32, Vec<u8>>,
    snapshot: Option<SnapshotJob>,
    serves: bool,
}

struct Reached<'a> {
    connections: &'a mut BTreeMap<u32, Connection>,
    dirty: &'a mut BTreeSet<u32>,
}

impl Clients for Reached<'_> {
    fn with(&mut self, client: ClientId, act: &mut dyn FnMut(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(&client.0) {
            act(connection);
            self.dirty.insert(client.0);
        }
    }
}

impl Host {
    /// A server that has read its files.
    pub(crate) fn new(
        replica: Replica,
        tree: Tree,
        store: Store,
        disk: LyingDisk,
        layout: Layout,
        start: (ClientOptions, Clock),
    ) -> Self {
        let (options, clock) = start;
        let serves = matches!(replica.role(), Role::Leading { .. });
        Self {
            role: replica.role(),
            replica,
            tree,
            store,
            disk,
            layout,
            watches: SharedWatches::new(Watches::new(0)),
            connections: BTreeMap::new(),
            options,
            statistics: Statistics::default(),
            outstanding: Outstanding::default(),
            clock,
            changes: Vec::new(),
            dirty: BTreeSet::new(),
            unread: BTreeMap::new(),
            snapshot: None,
            serves,
        }
    }

    /// Whether clients are taken.
    pub(crate) fn is_serving(&self) -> bool {
        self.serves
    }

    /// One turn: handle, then apply what is committed, then hand out.
    pub(crate) fn turn(&mut self, now: Now, mut inputs: Vec<Input>, effects: &mut Vec<Effect>) {
        loop {
            for input in inputs.drain(..) {
                self.replica.handle(now, input, &self.tree);
            }
            self.route(now, effects);
            while self.replica.has_ready() {
                self.apply(now);
                self.route(now, effects);
            }
            self.read_again(now, &mut inputs);
            if inputs.is_empty() {
                break;
            }
        }
        self.flush(effects);
    }

    /// Goes on with clients for whose requests there is room by now.
    fn read_again(&mut self, now: Now, inputs: &mut Vec<Input>) {
        for (client, bytes) in std::mem::take(&mut self.unread) {
            self.read(ClientId(client), &bytes, now, inputs);
        }
    }

    /// Takes bytes, which may be none, behind those that were not read.
    fn read(&mut self, client: ClientId, bytes: &[u8], now: Now, inputs: &mut Vec<Input>) {
        let Some(connection) = self.connections.get_mut(&client.0) else { return };
        let side = Side {
            tree: &self.tree,
            watches: &self.watches,
            options: &self.options,
            statistics: &self.statistics,
            outstanding: &self.outstanding,
            clock: &self.clock,
            now,
        };
        connection.handle_frames(&side, inputs);
        if connection.is_paused(&side) {
            self.unread.entry(client.0).or_default().extend_from_slice(bytes);
        } else {
            connection.handle_bytes(bytes, &side, inputs);
            if connection.is_paused(&side) {
                self.unread.entry(client.0).or_default();
            }
        }
        self.dirty.insert(client.0);
    }

    fn apply(&mut self, now: Now) {
        let mut clients = Reached { connections: &mut self.connections, dirty: &mut self.dirty };
        self.replica.apply(&mut Exclusive {
            tree: &mut self.tree,
            clients: &mut clients,
            watches: &self.watches,
            options: &self.options,
            statistics: &self.statistics,
            outstanding: &self.outstanding,
            clock: &self.clock,
            now,
            changes: &mut self.changes,
        });
    }

    fn route(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::Storage(command) => effects.push(Effect::Storage(command)),
                Output::Peer(output) => effects.push(Effect::Peer(output)),
                Output::WalkBegun { link, walk } => effects.push(Effect::Body(link, self.body(walk))),
                Output::Role(role) => {
                    self.set_role(role);
                    effects.push(Effect::Role(role));
                }
                Output::Client(client, command) => self.command(client, command, now),
                Output::Snapshot => effects.push(Effect::Snapshot),
                Output::Halt(reason) => effects.push(Effect::Halt(reason)),
            }
        }
    }

    fn body(&mut self, walk: WalkId) -> Bytes {
        let mut body = Vec::new();
        while self.tree.walk_slice(walk, &mut body, SLICE_BYTES) == WalkState::More {}
        self.tree.end_walk(walk);
        body.into()
    }

    fn set_role(&mut self, role: Role) {
        self.role = role;
        self.serves = matches!(role, Role::Leading { .. } | Role::Following { .. } | Role::Observing { .. });
        self.store.is_catching_up = matches!(role, Role::Synchronizing { .. });
        if !self.serves {
            for (client, connection) in &mut self.connections {
                if !connection.is_greeting() {
                    connection.close(Close::Now);
                    self.dirty.insert(*client);
                }
            }
        }
    }

    fn command(&mut self, client: ClientId, command: ClientCommand, now: Now) {
        let now_ms = self.clock.ms(now.instant);
        let Some(connection) = self.connections.get_mut(&client.0) else { return };
        let outstanding = &self.outstanding;
        match command {
            ClientCommand::Ready { session, password, pulse, read_only } => {
                connection.session_ready(session, password, pulse, now_ms, read_only, outstanding)
            }
            ClientCommand::Expired => connection.session_expired(),
            ClientCommand::Close(how) => connection.close(how),
        }
        self.dirty.insert(client.0);
    }

    fn flush(&mut self, effects: &mut Vec<Effect>) {
        for client in std::mem::take(&mut self.dirty) {
            let Some(connection) = self.connections.get_mut(&client) else { continue };
            let mut bytes = Vec::new();
            let closing = connection.closing();
            if closing != Some(Close::Now) {
                connection.take_outbox(&mut bytes);
                connection.set_unsent(0);
            }
            if !bytes.is_empty() {
                effects.push(Effect::ToClient(ClientId(client), bytes));
            }
            if closing.is_some() {
                effects.push(Effect::CloseClient(ClientId(client)));
            }
        }
    }

    // ---- clients

    /// A client has connected; false when none is taken.
    pub(crate) fn accept(&mut self, client: ClientId, now: Now) -> bool {
        if self.serves {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            self.connections.insert(client.0, Connection::new(client, address, ip_identities(address), now));
        }
        self.serves
    }

    /// Bytes of a client.
    pub(crate) fn client_bytes(
        &mut self,
        client: ClientId,
        bytes: &[u8],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let mut inputs = Vec::new();
        let mut unread = self.unread.remove(&client.0).unwrap_or_default();
        unread.extend_from_slice(bytes);
        self.read(client, &unread, now, &mut inputs);
        self.turn(now, inputs, effects);
    }

    /// The link of a client has ended.
    pub(crate) fn client_gone(&mut self, client: ClientId, now: Now, effects: &mut Vec<Effect>) {
        let Some(mut connection) = self.connections.remove(&client.0) else { return };
        let mut inputs = Vec::new();
        connection.end(&self.options, &self.statistics, &self.outstanding, &mut inputs);
        self.watches.lock().remove_client(client);
        let session = connection.session();
        inputs.push(Input::Gone { client, session });
        self.turn(now, inputs, effects);
    }

    // ---- trees and snapshots

    /// Another tree takes the place of this one.
    pub(crate) fn replace_tree(&mut self, tree: Tree, sessions: &[(SessionId, i32)], now: Now) {
        self.snapshot = None;
        self.tree = tree;
        self.replica.tree_replaced(now.instant, sessions);
    }

    /// Begins a snapshot of the tree as it is; false when one is under way or the disk refuses.
    pub(crate) fn begin_snapshot(&mut self) -> bool {
        if self.snapshot.is_some() {
            return false;
        }
        let walk = self.tree.begin_walk(self.replica.sessions().persistent());
        let Some(point) = self.tree.walk_point(walk) else { return false };
        let begun =
            SnapshotWriter::begin(self.disk.clone(), &self.layout.snap_dir, point.zxid, Compression::None);
        match begun {
            Ok(file) => {
                self.snapshot = Some(SnapshotJob { walk, point, file });
                true
            }
            Err(_) => {
                self.tree.end_walk(walk);
                false
            }
        }
    }

    /// Writes the next slice; the snapshot's zxid once it is whole.
    pub(crate) fn continue_snapshot(&mut self) -> Result<Option<Zxid>, StorageError> {
        let Some(mut job) = self.snapshot.take() else { return Ok(None) };
        let mut slice = Vec::new();
        let state = self.tree.walk_slice(job.walk, &mut slice, SLICE_BYTES);
        let written = job.file.write(&slice);
        if state == WalkState::More && written.is_ok() {
            self.snapshot = Some(job);
            return Ok(None);
        }
        self.tree.end_walk(job.walk);
        written?;
        let zxid = job.point.zxid;
        job.file.finish(&Seal { digest: Some((zxid, job.point.digest)), last_zxid: Some(zxid) })?;
        purge(&self.disk, &self.layout.snap_dir, &self.layout.log_dir, SNAPSHOTS_KEPT)?;
        Ok(Some(zxid))
    }

    /// Whether a snapshot is being written.
    pub(crate) fn writes_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }
}
