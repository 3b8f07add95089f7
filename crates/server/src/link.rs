//! One client's socket with its connection: reading on its own task, writing by whoever has something.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use oxherd_metrics::Statistics;
use oxherd_proto::SessionId;
use oxherd_replica::{Close, Connection, Input};
use oxherd_tree::ClientId;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

use crate::driver::Driver;

/// Bytes read from a socket at once; the buffer is the worker thread's, not the link's.
const READ_BYTES: usize = 64 * 1024;
/// Buffers above this size are given back when little passed through them.
const BUFFER_BYTES_KEPT: usize = 512;
/// Buffers up to this size are always given back: they cost little to get, and most links only ping.
const BUFFER_BYTES_SMALL: usize = 128;

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
    socket: OwnedWriteHalf,
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
    pub(crate) fn new(
        client: ClientId,
        peer: std::net::SocketAddr,
        socket: OwnedWriteHalf,
        connection: Connection,
    ) -> Self {
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
        let must_act =
            blocked || self.paused.load(Ordering::Acquire) || self.connection.lock().closing().is_some();
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
        let capacity = pending.capacity();
        let is_spare = capacity <= BUFFER_BYTES_SMALL || (!busy && capacity > BUFFER_BYTES_KEPT);
        if pending.is_empty() && is_spare {
            *pending = Vec::new();
        }
        self.connection.lock().set_unsent(pending.len());
        blocked
    }

    /// Serves the link until it ends; tells what it was when it was no session.
    pub(crate) async fn run(
        &self,
        reader: &mut OwnedReadHalf,
        driver: &Driver,
        greeting_timeout: Duration,
    ) -> Opening {
        // In boxes of their own, which go again: a task is as large as the largest thing it may wait for.
        let greeting = Box::pin(tokio::time::timeout(greeting_timeout, self.greet(reader, driver)));
        match greeting.await {
            Ok(Opening::Session) => {}
            Ok(other) => return other,
            Err(_) => {
                driver.statistics.metrics.sessionless_connections_expired.add(1);
                return Opening::Nothing;
            }
        }
        let mut inputs = Vec::new();
        while !self.is_over() {
            if !self.turn(reader, driver, &mut inputs).await {
                // Java: NIOServerCnxn.handleFailedRead
                driver.statistics.metrics.connection_drop_count.add(1);
                break;
            }
            if self.paused.load(Ordering::Acquire) {
                self.process(&[], driver, &mut inputs);
            }
        }
        Opening::Session
    }

    /// Waits for the handshake, or a four-letter word.
    async fn greet(&self, reader: &mut OwnedReadHalf, driver: &Driver) -> Opening {
        let mut head = Vec::new();
        while head.len() < 4 {
            if !self.read(reader, |bytes| head.extend_from_slice(bytes)).await {
                return Opening::Nothing;
            }
        }
        let word = [head[0], head[1], head[2], head[3]];
        if crate::words::is_word(word) {
            return Opening::Word(word, head.split_off(4));
        }
        if !driver.is_serving() {
            return Opening::Nothing;
        }
        let mut inputs = Vec::new();
        self.process(&head, driver, &mut inputs);
        while self.connection.lock().is_greeting() && !self.is_over() {
            if !self.read(reader, |bytes| self.process(bytes, driver, &mut inputs)).await {
                return Opening::Nothing;
            }
        }
        Opening::Session
    }

    /// Waits for whatever comes first and deals with it; false when the client is gone.
    async fn turn(&self, reader: &mut OwnedReadHalf, driver: &Driver, inputs: &mut Vec<Input>) -> bool {
        let blocked = !self.writer.lock().is_empty();
        let reading = !self.paused.load(Ordering::Acquire);
        tokio::select! {
            biased;
            alive = self.read(reader, |bytes| self.process(bytes, driver, inputs)), if reading => alive,
            // Smaller than the socket's own future, which each idle link would keep room for.
            result = std::future::poll_fn(|context| self.socket.as_ref().poll_write_ready(context)), if blocked => {
                self.write_out();
                result.is_ok()
            }
            () = self.wake.notified() => true,
        }
    }

    /// Reads what the socket has, a buffer at most, and gives it to `take`; false when the client is gone.
    async fn read(&self, reader: &mut OwnedReadHalf, mut take: impl FnMut(&[u8])) -> bool {
        std::future::poll_fn(|context| {
            SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                let result = ready!(Pin::new(&mut *reader).poll_read(context, &mut buffer));
                let bytes = buffer.filled();
                let alive = result.is_ok() && !bytes.is_empty();
                if alive {
                    take(bytes);
                }
                Poll::Ready(alive)
            })
        })
        .await
    }

    fn process(&self, bytes: &[u8], driver: &Driver, inputs: &mut Vec<Input>) {
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
        driver.release_held();
    }

    /// The oldest request that the throttle holds back may go on; false when the link has ended.
    pub(crate) fn grant(&self) -> bool {
        let mut connection = self.connection.lock();
        let granted = connection.grant();
        self.paused.store(true, Ordering::Release);
        drop(connection);
        self.wake.notify_one();
        granted
    }

    /// The oldest request that the throttle holds back is given up, and the link with it.
    pub(crate) fn drop_held(&self, statistics: &Statistics) {
        self.connection.lock().drop_held(statistics);
        self.wake.notify_one();
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
    pub(crate) async fn read_behind_word(&self, reader: &mut OwnedReadHalf, have: &mut Vec<u8>, more: usize) {
        while have.len() < more && self.read(reader, |bytes| have.extend_from_slice(bytes)).await {}
    }
}
