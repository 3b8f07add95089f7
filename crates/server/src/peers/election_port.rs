//! One link to every other server for votes, and who may open it.
//!
//! Either side may dial, but only a link that the server with the larger number opened lives: the other
//! side says who it is, closes, and waits to be dialled.
// Java: QuorumCnxManager

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use bytes::Bytes;
use oxherd_proto::{ElectionHello, Input as Reader, ServerId};
use oxherd_zab::{Input, LinkId, LinkKind, PeerAddress};
use parking_lot::Mutex;
use tracing::{debug, info, warn};

use super::address::{self, Place};
use super::election_link::{Slot, read_frame};
use super::identity::{Claim, Rivalry, Trouble};
use super::{PeerSettings, Peers, prepare, shut};

/// Most sockets at a time that have not said who they are.
const STRANGERS_MAX: usize = 128;
/// What an observer says that is in no list; it gets a number of its own, below zero.
// Java: QuorumCnxManager.OBSERVER_ID
const NAMELESS: ServerId = ServerId(i64::MAX);

/// All election links.
#[derive(Debug)]
pub(super) struct Elections {
    hello: Mutex<Bytes>,
    entries: Mutex<BTreeMap<ServerId, Entry>>,
    strangers: AtomicUsize,
    next_nameless: AtomicI64,
}

/// What concerns one other server.
#[derive(Debug, Default)]
struct Entry {
    slot: Arc<Slot>,
    link: Option<(LinkId, Arc<TcpStream>)>,
    /// Whether its hello had the address of the configuration.
    fits: bool,
    rivalry: Rivalry,
    dialing: bool,
    /// Where it said that it can be dialled.
    said: Vec<Place>,
    /// What was logged of its name or address, so that it is said once and not at every dial.
    told: Option<Trouble>,
}

impl Elections {
    pub(super) fn new(settings: &PeerSettings) -> Self {
        let own = super::own_addresses(&settings.ensemble, settings.server);
        Self {
            hello: Mutex::new(hello(settings, &own)),
            entries: Mutex::new(BTreeMap::new()),
            strangers: AtomicUsize::new(0),
            next_nameless: AtomicI64::new(-1),
        }
    }

    /// Says these addresses on links dialled from now on.
    pub(super) fn introduce_as(&self, settings: &PeerSettings, addresses: &[PeerAddress]) {
        *self.hello.lock() = hello(settings, addresses);
    }

    pub(super) fn close(&self, link: LinkId) {
        for entry in self.entries.lock().values() {
            if let Some((_, socket)) = entry.link.as_ref().filter(|(id, _)| *id == link) {
                shut(socket);
            }
        }
    }

    /// A link has ended; of whoever has no number of its own nothing is kept.
    fn forget(&self, server: ServerId, link: LinkId) {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&server) else { return };
        if entry.link.as_ref().is_some_and(|(id, _)| *id == link) {
            entry.link = None;
            if server.0 < 0 {
                entries.remove(&server);
            }
        }
    }

    /// Whether a server is connected that is where the configuration has it.
    pub(super) fn has_fitting_link(&self, server: ServerId) -> bool {
        self.entries.lock().get(&server).is_some_and(|entry| entry.fits && entry.link.is_some())
    }

    pub(super) fn close_all(&self) {
        for (_, socket) in self.entries.lock().values().filter_map(|entry| entry.link.as_ref()) {
            shut(socket);
        }
    }
}

impl Peers {
    /// Says something to a server, in place of what it was not told yet.
    pub(super) fn notify(self: &Arc<Self>, server: ServerId, body: Bytes) {
        let mut entries = self.elections.entries.lock();
        let entry = entries.entry(server).or_default();
        entry.slot.put(body);
        if entry.link.is_none() {
            self.start_dial(server, entry);
        }
    }

    /// One dial at a time for each server.
    fn start_dial(self: &Arc<Self>, server: ServerId, entry: &mut Entry) {
        if entry.dialing || self.is_over() {
            return;
        }
        let said = entry.said.clone();
        let started = self.spawn("election-dial", move |peers| peers.dial_election(server, said));
        entry.dialing = started.is_ok();
    }

    fn dial_election(self: &Arc<Self>, server: ServerId, said: Vec<Place>) {
        let mut places = self.election_places(server);
        places.extend(said);
        let dialled = address::dial(&places, self.settings.connect_timeout).and_then(|socket| {
            prepare(&socket, self.settings.keep_alive)?;
            // In one write: older receivers read it with one read.
            (&socket).write_all(&self.elections.hello.lock().clone())?;
            Ok(socket)
        });
        if let Some(entry) = self.elections.entries.lock().get_mut(&server) {
            entry.dialing = false;
            if dialled.is_ok() && entry.told == Some(Trouble::Unknown) {
                entry.told = None;
            }
        }
        match dialled {
            Ok(socket) if self.settings.server > server => self.serve_election(server, socket, false),
            Ok(_) => debug!(peer = server.0, "waiting for a server with a larger number to dial back"),
            Err(error) => {
                self.tell_unreachable(server, &error);
                self.inbox.give(vec![Input::DialFailed { kind: LinkKind::Election(server) }]);
            }
        }
    }

    fn tell_unreachable(&self, server: ServerId, error: &io::Error) {
        let is_unknown = error.kind() == io::ErrorKind::NotFound;
        if is_unknown && self.is_news(server, Trouble::Unknown) {
            warn!(
                "cannot look up server {}: {error}; this server goes on without it and tries again: check the line \
                 server.{} and the DNS",
                server.0, server.0
            );
        }
        debug!(peer = server.0, %error, "cannot reach the election port");
    }

    /// Notes it; whether it was not told just before.
    pub(super) fn is_news(&self, server: ServerId, trouble: Trouble) -> bool {
        let mut entries = self.elections.entries.lock();
        entries.entry(server).or_default().told.replace(trouble) != Some(trouble)
    }

    pub(super) fn accept_elections(self: &Arc<Self>, listener: &TcpListener, over: &AtomicBool) {
        self.accept(listener, over, |socket| {
            if self.elections.strangers.fetch_add(1, Ordering::Relaxed) >= STRANGERS_MAX {
                self.elections.strangers.fetch_sub(1, Ordering::Relaxed);
                return warn!("too many connections at the election port that do not say who they are");
            }
            let started = self.spawn("election", move |peers| {
                let greeted = peers.greet(&socket).map(|hello| (peers.judge(&hello), hello));
                peers.elections.strangers.fetch_sub(1, Ordering::Relaxed);
                match greeted {
                    Ok((Claim::Refused, hello)) => debug!(peer = hello.server.0, "refused a server"),
                    Ok((claim, hello)) => peers.greeted(hello, claim == Claim::Fits, socket),
                    Err(error) => info!(%error, "closing a connection at the election port"),
                }
            });
            if let Err(error) = started {
                self.elections.strangers.fetch_sub(1, Ordering::Relaxed);
                warn!(%error, "cannot start a thread for a peer");
            }
        });
    }

    // Java: QuorumCnxManager.receiveConnection
    fn greet(&self, socket: &TcpStream) -> io::Result<ElectionHello> {
        prepare(socket, self.settings.keep_alive)?;
        socket.set_read_timeout(Some(self.settings.hello_timeout))?;
        let hello = read_hello(socket)?;
        socket.set_read_timeout(None)?;
        Ok(hello)
    }

    // Java: QuorumCnxManager.handleConnection
    fn greeted(self: &Arc<Self>, hello: ElectionHello, fits: bool, socket: TcpStream) {
        let me = self.settings.server;
        let server = if hello.server == NAMELESS {
            ServerId(self.elections.next_nameless.fetch_sub(1, Ordering::Relaxed))
        } else {
            hello.server
        };
        if server == me {
            return warn!(
                server = me.0,
                address = ?socket.peer_addr().ok(),
                "another server says that it has this server's number: check the myid files"
            );
        }
        if server > me || server.0 < 0 {
            return self.serve_election(server, socket, fits);
        }
        let mut entries = self.elections.entries.lock();
        let entry = entries.entry(server).or_default();
        // It would not dial if its end of the old link were alive.
        if let Some((link, old)) = entry.link.take() {
            entry.slot.detach(link);
            entry.rivalry.note(server, &old, &socket);
            shut(&old);
        }
        entry.said = hello.addresses.iter().filter_map(|text| address::parse(text)).collect();
        self.start_dial(server, entry);
    }

    /// Takes the place of an older link; reads until it ends.
    fn serve_election(self: &Arc<Self>, server: ServerId, socket: TcpStream, fits: bool) {
        let socket = Arc::new(socket);
        let link = self.new_link();
        let slot = {
            let mut entries = self.elections.entries.lock();
            let entry = entries.entry(server).or_default();
            if let Some((_, old)) = entry.link.replace((link, Arc::clone(&socket))) {
                entry.rivalry.note(server, &old, &socket);
                shut(&old);
            }
            entry.fits = fits;
            entry.slot.attach(link);
            Arc::clone(&entry.slot)
        };
        self.inbox.give(vec![Input::LinkUp { link, kind: LinkKind::Election(server) }]);
        let (writer, writer_slot) = (Arc::clone(&socket), Arc::clone(&slot));
        let started = self.spawn("election-out", move |_| {
            if let Err(error) = writer_slot.write_to(link, &writer) {
                debug!(peer = server.0, %error, "cannot write to the election link");
            }
            shut(&writer);
        });
        if started.is_ok() && !self.is_over() {
            let error = self.read_election(link, &socket);
            debug!(peer = server.0, %error, "an election link has ended");
        }
        shut(&socket);
        slot.detach(link);
        self.elections.forget(server, link);
        self.inbox.give(vec![Input::LinkDown { link }]);
    }

    fn read_election(&self, link: LinkId, socket: &TcpStream) -> io::Error {
        loop {
            match read_frame(socket) {
                Ok(body) => {
                    // A vote goes to no disk: only the inbox counts.
                    self.inbox.wait_for_room(false);
                    self.inbox.give(vec![Input::Notification { link, body }]);
                }
                Err(error) => return error,
            }
        }
    }
}

fn hello(settings: &PeerSettings, addresses: &[PeerAddress]) -> Bytes {
    let places = addresses.iter().map(|address| (address.host.clone(), address.election_port));
    let addresses = places.map(|place| address::show(&place)).collect();
    ElectionHello { server: settings.server, addresses }.to_bytes(settings.several_addresses)
}

/// Reads a hello and not a byte more.
fn read_hello(mut socket: &TcpStream) -> io::Result<ElectionHello> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut bytes = vec![0; 8];
    socket.read_exact(&mut bytes)?;
    loop {
        let mut reader = Reader::new(Bytes::copy_from_slice(&bytes));
        match ElectionHello::decode(&mut reader) {
            Ok(Some(hello)) => return Ok(hello),
            Ok(None) => {}
            Err(error) => return Err(invalid(error.to_string())),
        }
        let have = bytes.len();
        let missing =
            if have < 20 { 20 - have } else { address_len(&bytes).saturating_sub(have - 20).max(1) };
        bytes.resize(have + missing, 0);
        socket.read_exact(&mut bytes[have..])?;
    }
}

/// Length of the address text; the decoder has bounded it.
fn address_len(bytes: &[u8]) -> usize {
    let len = bytes.get(16..20).and_then(|len| len.first_chunk()).map_or(0, |len| i32::from_be_bytes(*len));
    usize::try_from(len).unwrap_or(0)
}
