//! A link between a leader and a learner: what waits to be sent, and the two threads that serve it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use oxherd_proto::{Jute, PacketType, QuorumPacket, Str};
use oxherd_tree::{WalkId, WalkState};
use oxherd_zab::{Input, LinkId, LinkKind};
use parking_lot::{Condvar, Mutex};
use rustix::net::SendFlags;
use tracing::{debug, info, warn};

use super::packets::PacketReader;
use super::{Inbox, Peers, shut};
use crate::driver::Driver;

/// Packets that may wait, however short.
const QUEUE_PACKETS_MAX: usize = 1 << 20;
/// What waits is sent by whoever queued it when it is no longer than this: less work than waking a thread.
const SEND_AT_ONCE_BYTES: usize = 16 * 1024;
/// While a tree is sent the core is told so often that it moves.
const TREE_TOLD_EACH: Duration = Duration::from_millis(200);
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Ends the body of a snapshot.
// Java: LearnerHandler.run
pub(super) const SNAPSHOT_END: &str = "BenWasHere";

/// One link; ended by shutting its socket.
#[derive(Debug)]
pub(super) struct PeerLink {
    pub(super) id: LinkId,
    pub(super) kind: LinkKind,
    pub(super) socket: TcpStream,
    queue: Mutex<Queue>,
    signal: Condvar,
}

/// A part that was sent at once stays, empty, for its buffer.
#[derive(Debug, Default)]
struct Queue {
    parts: VecDeque<Part>,
    packets: usize,
    bytes: usize,
    /// Nothing more is taken; what waits is sent.
    closing: bool,
    /// Nothing more is sent.
    closed: bool,
    /// The writing thread sends something that it has taken.
    writing: bool,
}

#[derive(Debug)]
enum Part {
    Packets(Vec<u8>),
    /// The tree; `None` until its walk has begun.
    Snapshot(Option<WalkId>),
}

impl Queue {
    /// Whether everything that waited is sent now.
    fn send_at_once(&mut self, socket: &TcpStream) -> bool {
        let [Part::Packets(bytes)] = self.parts.make_contiguous() else { return false };
        if self.writing || self.closing || bytes.len() > SEND_AT_ONCE_BYTES {
            return false;
        }
        if bytes.is_empty() {
            return true;
        }
        // An error is met again by the thread, which knows what to do.
        let Ok(sent) = rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) else {
            return false;
        };
        self.bytes -= sent;
        bytes.drain(..sent);
        if bytes.is_empty() {
            self.packets = 0;
        }
        bytes.is_empty()
    }
}

impl PeerLink {
    pub(super) fn new(id: LinkId, kind: LinkKind, socket: TcpStream) -> Self {
        Self { id, kind, socket, queue: Mutex::new(Queue::default()), signal: Condvar::new() }
    }

    /// Queues a packet, to go out at the latest when [`Self::wake`] is called; a peer that lets too much wait
    /// loses its link.
    pub(super) fn send(&self, packet: &QuorumPacket, bytes_max: usize) {
        let mut queue = self.queue.lock();
        if queue.closing || queue.closed {
            return;
        }
        if !matches!(queue.parts.back(), Some(Part::Packets(_))) {
            queue.parts.push_back(Part::Packets(Vec::new()));
        }
        let Some(Part::Packets(bytes)) = queue.parts.back_mut() else { return };
        let before = bytes.len();
        packet.encode(bytes);
        let added = bytes.len() - before;
        queue.packets += 1;
        queue.bytes += added;
        if queue.bytes > bytes_max || queue.packets > QUEUE_PACKETS_MAX {
            warn!(
                link = self.id.0,
                bytes = queue.bytes,
                packets = queue.packets,
                "a peer is too slow: dropping its link"
            );
            drop(queue);
            self.close_now();
        }
    }

    /// Lets what is queued go out: at once when it is little and the socket takes it, else by the thread.
    pub(super) fn wake(&self) {
        let mut queue = self.queue.lock();
        if queue.closed || queue.parts.is_empty() || queue.send_at_once(&self.socket) {
            return;
        }
        drop(queue);
        self.signal.notify_one();
    }

    /// Queues the tree; packets queued later wait behind it.
    pub(super) fn send_snapshot(&self) {
        self.queue.lock().parts.push_back(Part::Snapshot(None));
    }

    /// Names the walk of the oldest snapshot queued; false when nobody waits for one.
    pub(super) fn walk_begun(&self, walk: WalkId) -> bool {
        let mut queue = self.queue.lock();
        let open = !queue.closed;
        let slot = queue.parts.iter_mut().find_map(|part| match part {
            Part::Snapshot(slot @ None) => Some(slot),
            _ => None,
        });
        let Some(slot) = slot.filter(|_| open) else { return false };
        *slot = Some(walk);
        drop(queue);
        self.signal.notify_one();
        true
    }

    pub(super) fn close_when_sent(&self) {
        self.queue.lock().closing = true;
        self.signal.notify_one();
    }

    pub(super) fn close_now(&self) {
        self.queue.lock().closed = true;
        self.signal.notify_one();
        shut(&self.socket);
    }

    /// The next part to send; `None` when the link is to end.
    fn take(&self) -> Option<Part> {
        let mut queue = self.queue.lock();
        queue.writing = false;
        loop {
            if queue.closed {
                return None;
            }
            match queue.parts.front() {
                Some(Part::Packets(bytes)) => {
                    queue.bytes -= bytes.len();
                    queue.packets = 0;
                    queue.writing = true;
                    return queue.parts.pop_front();
                }
                Some(Part::Snapshot(Some(_))) => {
                    queue.writing = true;
                    return queue.parts.pop_front();
                }
                // Its walk may never begin when the link is closing.
                Some(Part::Snapshot(None)) if queue.closing => return None,
                None if queue.closing => return None,
                Some(Part::Snapshot(None)) | None => self.signal.wait(&mut queue),
            }
        }
    }

    /// Sends until the link ends; then shuts it and gives up walks that nobody will take.
    pub(super) fn write(&self, inbox: &dyn Inbox) {
        while let Some(part) = self.take() {
            let sent = match part {
                Part::Packets(bytes) => (&self.socket).write_all(&bytes),
                Part::Snapshot(Some(walk)) => {
                    let sent = self.write_snapshot(walk, inbox);
                    inbox.end_walk(walk);
                    sent
                }
                Part::Snapshot(None) => Ok(()),
            };
            if let Err(error) = sent {
                debug!(link = self.id.0, %error, "cannot write to a peer");
                break;
            }
        }
        self.close_now();
        for part in std::mem::take(&mut self.queue.lock().parts) {
            if let Part::Snapshot(Some(walk)) = part {
                inbox.end_walk(walk);
            }
        }
    }

    fn write_snapshot(&self, walk: WalkId, inbox: &dyn Inbox) -> io::Result<()> {
        let mut slice = Vec::new();
        let mut sent = 0_usize;
        let mut told = Driver::now().instant;
        loop {
            slice.clear();
            let state = inbox.walk_slice(walk, &mut slice);
            if state == Some(WalkState::Done) {
                Str::from_static(SNAPSHOT_END).encode(&mut slice);
            }
            (&self.socket).write_all(&slice)?;
            sent += slice.len();
            match state {
                Some(WalkState::More) => {}
                Some(WalkState::Done) => break,
                None => return Err(io::Error::other("the tree was replaced while it was sent")),
            }
            let now = Driver::now().instant;
            if now - told >= TREE_TOLD_EACH {
                told = now;
                inbox.give(vec![Input::TreeTaken { link: self.id }]);
            }
        }
        inbox.give(vec![Input::TreeTaken { link: self.id }]);
        info!(link = self.id.0, bytes = sent, "sent the tree to a learner");
        Ok(())
    }
}

impl Peers {
    /// Serves a link until it ends, on this thread and one more.
    pub(super) fn serve_peer(self: &std::sync::Arc<Self>, link: PeerLink) {
        let link = std::sync::Arc::new(link);
        let (id, kind) = (link.id, link.kind);
        self.links.lock().insert(id, std::sync::Arc::clone(&link));
        self.inbox.give(vec![Input::LinkUp { link: id, kind }]);
        let writer = std::sync::Arc::clone(&link);
        let started = self.spawn("peer-out", move |peers| writer.write(&*peers.inbox));
        if started.is_ok() && !self.is_over() {
            match self.read_packets(&link) {
                Ok(()) => debug!(link = id.0, "a peer has closed its link"),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    warn!(link = id.0, %error, "a peer sends what is no packet: closing its link");
                }
                Err(error) => debug!(link = id.0, %error, "the link to a peer has ended"),
            }
        }
        link.close_now();
        self.links.lock().remove(&id);
        self.forget_install(id);
        self.inbox.give(vec![Input::LinkDown { link: id }]);
    }

    fn read_packets(&self, link: &PeerLink) -> io::Result<()> {
        let mut reader = PacketReader::new(self.settings.field_len_max);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let wanted = (reader.wanted() + READ_BYTES).min(16 * READ_BYTES);
            buffer.resize(wanted, 0);
            self.inbox.wait_for_room(matches!(link.kind, LinkKind::Leader(_)));
            let count = (&link.socket).read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            reader.push(&buffer[..count]);
            self.take_packets(link, &mut reader)?;
        }
    }

    /// Hands over every packet that is here as a whole, at once.
    fn take_packets(&self, link: &PeerLink, reader: &mut PacketReader) -> io::Result<()> {
        let mut inputs = Vec::new();
        let result = loop {
            match reader.poll() {
                Ok(None) => break Ok(()),
                Ok(Some(packet)) => {
                    let is_snapshot =
                        packet.kind == PacketType::Snap && matches!(link.kind, LinkKind::Leader(_));
                    let zxid = packet.zxid;
                    inputs.push(Input::Packet { link: link.id, packet });
                    if is_snapshot {
                        self.inbox.give(std::mem::take(&mut inputs));
                        let rest = self.take_snapshot(link, zxid, reader.take_rest())?;
                        reader.push(&rest);
                    }
                }
                Err(error) => break Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
            }
        };
        if !inputs.is_empty() {
            self.inbox.give(inputs);
        }
        result
    }
}
