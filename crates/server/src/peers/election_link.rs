//! One slot for what is to be said to a server, and the thread that says it.
//!
//! ```text
//! len i32 (1 to 524288) | notification
//! ```
// Java: QuorumCnxManager.SendWorker, RecvWorker

use std::io::{self, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use oxherd_zab::LinkId;
use parking_lot::{Condvar, Mutex};

/// Longest notification, in bytes.
// Java: QuorumCnxManager.PACKETMAXSIZE
const BODY_LEN_MAX: usize = 512 * 1024;

/// What waits for one server. The newest message wins: an older vote is worth nothing.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    signal: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Option<Bytes>,
    /// Sent last, on any link; a new link begins with it when nothing newer waits.
    last: Option<Bytes>,
    /// The link whose thread may take messages.
    current: Option<LinkId>,
}

impl Slot {
    pub(super) fn put(&self, body: Bytes) {
        self.state.lock().waiting = Some(body);
        self.signal.notify_all();
    }

    /// A new link takes over; the thread of an older one ends.
    pub(super) fn attach(&self, link: LinkId) {
        let mut state = self.state.lock();
        state.current = Some(link);
        if state.waiting.is_none() {
            state.waiting = state.last.clone();
        }
        drop(state);
        self.signal.notify_all();
    }

    /// The link is gone, unless another has taken over.
    pub(super) fn detach(&self, link: LinkId) {
        let mut state = self.state.lock();
        if state.current == Some(link) {
            state.current = None;
        }
        drop(state);
        self.signal.notify_all();
    }

    fn take(&self, link: LinkId) -> Option<Bytes> {
        let mut state = self.state.lock();
        loop {
            if state.current != Some(link) {
                return None;
            }
            if let Some(body) = state.waiting.take() {
                state.last = Some(body.clone());
                return Some(body);
            }
            self.signal.wait(&mut state);
        }
    }

    /// Sends what is put in, until the link is gone.
    pub(super) fn write_to(&self, link: LinkId, mut socket: &TcpStream) -> io::Result<()> {
        while let Some(body) = self.take(link) {
            let mut frame = Vec::with_capacity(4 + body.len());
            frame.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
            frame.extend_from_slice(&body);
            socket.write_all(&frame)?;
        }
        Ok(())
    }
}

/// Reads one frame.
pub(super) fn read_frame(mut socket: &TcpStream) -> io::Result<Bytes> {
    let mut head = [0; 4];
    socket.read_exact(&mut head)?;
    let len = usize::try_from(i32::from_be_bytes(head)).unwrap_or(0);
    if !(1..=BODY_LEN_MAX).contains(&len) {
        let reason = format!("a notification of {} bytes", i32::from_be_bytes(head));
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut body = vec![0; len];
    socket.read_exact(&mut body)?;
    Ok(body.into())
}
