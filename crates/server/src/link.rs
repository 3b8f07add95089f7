//! One client's socket with its connection: reading on its own task, writing by whoever has something.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oxherd_proto::SessionId;
use oxherd_replica::{Close, Connection, Input};
use oxherd_tree::ClientId;
use parking_lot::Mutex;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::driver::Driver;

/// Bytes read from a socket at once; the buffer is the worker thread's, not the link's.
const READ_BYTES: usize = 64 * 1024;
/// Buffers above this size are given back when little passed through them.
const BUFFER_BYTES_KEPT: usize = 512;

thread_local! {
    static SCRATCH: std::cell::RefCell<Box<[u8]>> = std::cell::RefCell::new(vec![0; READ_BYTES].into());
}

/// A client link: the core's connection, its socket, and what the socket has not taken yet.
///
/// The writer lock is taken before the connection's and never while a connection is held.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: ClientId,
    pub(crate) connection: Mutex<Connection>,
    pub(crate) peer: std::net::SocketAddr,
    socket: TcpStream,
    writer: Mutex<Vec<u8>>,
    /// Waits in somebody's list of links to flush.
    dirty: AtomicBool,
    /// The task waits for something other than bytes: a session, room, fewer outstanding requests.
    paused: AtomicBool,
    wake: Notify,
}

/// What the first bytes of a link turned out to be.
pub(crate) enum Opening {
    /// A client.
    Session,
    /// A four-letter word and the bytes behind it.
    Word([u8; 4], Vec<u8>),
    /// Nothing that can be answered.
    Nothing,
}

impl Link {
    pub(crate) fn new(client: ClientId, peer: std::net::SocketAddr, socket: TcpStream, connection: Connection) -> Self {
        Self {
            client,
            connection: Mutex::new(connection),
            peer,
            socket,
            writer: Mutex::new(Vec::new()),
            dirty: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// Notes that there is something to send or to end; true for the first to say so.
    pub(crate) fn mark_dirty(&self) -> bool {
        !self.dirty.swap(true, Ordering::AcqRel)
    }

    /// Sends what waits, as far as the socket takes it, and wakes the task where it must act.
    pub(crate) fn flush(&self) {
        self.dirty.store(false, Ordering::Release);
        let blocked = self.write_out();
        let must_act = blocked || self.paused.load(Ordering::Acquire) || self.connection.lock().closing().is_some();
        if must_act {
            self.wake.notify_one();
        }
    }

    /// True when the socket takes no more for now.
    fn write_out(&self) -> bool {
        let mut pending = self.writer.lock();
        self.connection.lock().take_outbox(&mut pending);
        if pending.is_empty() {
            return false;
        }
        let mut sent = 0;
        let blocked = loop {
            match self.socket.try_write(&pending[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                Err(_) => {
                    self.connection.lock().close(Close::Now);
                    break false;
                }
            }
            if sent == pending.len() {
                break false;
            }
        };
        let busy = sent * 8 > pending.capacity();
        if sent == pending.len() {
            pending.clear();
        } else {
            pending.drain(..sent);
        }
        if pending.is_empty() && !busy && pending.capacity() > BUFFER_BYTES_KEPT {
            *pending = Vec::new();
        }
        self.connection.lock().set_unsent(pending.len());
        blocked
    }

    /// Serves the link until it ends; tells what it was when it was no session.
    pub(crate) async fn run(self: &Arc<Self>, driver: &Arc<Driver>, greeting_timeout: Duration) -> Opening {
        match tokio::time::timeout(greeting_timeout, self.greet(driver)).await {
            Ok(Opening::Session) => {}
            Ok(other) => return other,
            Err(_) => return Opening::Nothing,
        }
        let mut inputs = Vec::new();
        while !self.is_over() {
            self.wait().await;
            if self.paused.load(Ordering::Acquire) {
                self.process(&[], driver, &mut inputs);
            }
            if !self.receive(driver, &mut inputs) {
                break;
            }
        }
        Opening::Session
    }

    /// Waits for the handshake's first bytes.
    async fn greet(self: &Arc<Self>, driver: &Arc<Driver>) -> Opening {
        let mut inputs = Vec::new();
        let mut head = Vec::new();
        while head.len() < 4 {
            if self.socket.readable().await.is_err() {
                return Opening::Nothing;
            }
            let mut buffer = [0; 1024];
            match self.socket.try_read(&mut buffer) {
                Ok(0) => return Opening::Nothing,
                Ok(count) => head.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Opening::Nothing,
            }
        }
        let word = [head[0], head[1], head[2], head[3]];
        if crate::words::is_word(word) {
            return Opening::Word(word, head.split_off(4));
        }
        if !driver.is_serving() {
            return Opening::Nothing;
        }
        self.process(&head, driver, &mut inputs);
        while self.connection.lock().is_greeting() && !self.is_over() {
            if self.socket.readable().await.is_err() || !self.receive(driver, &mut inputs) {
                return Opening::Nothing;
            }
        }
        Opening::Session
    }

    async fn wait(&self) {
        let blocked = !self.writer.lock().is_empty();
        let reading = !self.paused.load(Ordering::Acquire);
        let interest = match (reading, blocked) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (false, true) => Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, false) => return self.wake.notified().await,
        };
        tokio::select! {
            _ = self.socket.ready(interest) => {}
            () = self.wake.notified() => {}
        }
        if blocked {
            self.write_out();
        }
    }

    /// Reads what the socket has, a buffer at most; false when the client is gone.
    fn receive(&self, driver: &Arc<Driver>, inputs: &mut Vec<Input>) -> bool {
        if self.paused.load(Ordering::Acquire) {
            return true;
        }
        SCRATCH.with_borrow_mut(|scratch| match self.socket.try_read(scratch) {
            Ok(0) => false,
            Ok(count) => {
                self.process(&scratch[..count], driver, inputs);
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        })
    }

    fn process(&self, bytes: &[u8], driver: &Arc<Driver>, inputs: &mut Vec<Input>) {
        driver.with_side(|side| {
            let mut connection = self.connection.lock();
            if bytes.is_empty() {
                connection.handle_frames(side, inputs);
            } else {
                connection.handle_bytes(bytes, side, inputs);
            }
            self.paused.store(connection.is_paused(side), Ordering::Release);
        });
        self.write_out();
        if !inputs.is_empty() {
            driver.submit(inputs);
        }
    }

    fn is_over(&self) -> bool {
        let closing = self.connection.lock().closing();
        match closing {
            None => false,
            Some(Close::Now) => true,
            Some(Close::AfterFlush) => {
                self.write_out();
                self.writer.lock().is_empty()
            }
        }
    }

    /// The session the link carries; 0 for none yet.
    pub(crate) fn session(&self) -> SessionId {
        self.connection.lock().session()
    }

    /// Answers a four-letter word and ends.
    pub(crate) async fn answer(&self, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() && self.socket.writable().await.is_ok() {
            match self.socket.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Reads up to `more` bytes behind a four-letter word.
    pub(crate) async fn read_behind_word(&self, have: &mut Vec<u8>, more: usize) {
        while have.len() < more && self.socket.readable().await.is_ok() {
            let mut buffer = [0; 16];
            match self.socket.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => have.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
