//! A client port: accepts, applies the limits, and gives each link to a worker.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use oxherd_proto::Id;
use oxherd_replica::{Connection, ip_identities};
use oxherd_tree::ClientId;
use parking_lot::Mutex;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use crate::driver::Driver;
use crate::link::{Link, Opening};
use crate::words::Words;

/// Limits of one client port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PortLimits {
    /// Connections of one address; 0 for no limit (`maxClientCnxns`).
    pub(crate) per_address_max: usize,
    /// Connections in all; 0 for no limit (`maxCnxns`).
    pub(crate) total_max: usize,
    /// Time for the handshake (`nio.sessionlessCnxnTimeout`).
    pub(crate) greeting_timeout: Duration,
    /// Whether the kernel probes idle connections (`clientTcpKeepAlive`).
    pub(crate) keep_alive: bool,
}

/// Who is connected, by address, and the numbers of links.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    next_client: AtomicU32,
    total: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, Guests, foldhash::fast::FixedState>>,
}

/// The links of one address.
#[derive(Debug)]
struct Guests {
    count: usize,
    /// What each of them is from the start, made once.
    ids: Arc<[Id]>,
}

impl Admission {
    /// Counts a link in, unless a limit is reached.
    // Java: NIOServerCnxnFactory.AcceptThread.doAccept
    fn admit(&self, address: IpAddr, limits: &PortLimits) -> Result<ClientId, &'static str> {
        if limits.total_max > 0 && self.total.load(Ordering::Relaxed) >= limits.total_max {
            return Err("maxCnxns is reached");
        }
        let mut by_address = self.by_address.lock();
        let fresh = || Guests { count: 0, ids: ip_identities(address) };
        let guests = by_address.entry(address).or_insert_with(fresh);
        if limits.per_address_max > 0 && guests.count >= limits.per_address_max {
            return Err("maxClientCnxns is reached for this address");
        }
        guests.count += 1;
        self.total.fetch_add(1, Ordering::Relaxed);
        Ok(ClientId(self.next_client.fetch_add(1, Ordering::Relaxed)))
    }

    fn release(&self, address: IpAddr) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        let mut by_address = self.by_address.lock();
        if let Some(guests) = by_address.get_mut(&address) {
            guests.count -= 1;
            if guests.count == 0 {
                by_address.remove(&address);
            }
        }
    }

    /// The identities of a link that was counted in.
    fn identities(&self, address: IpAddr) -> Arc<[Id]> {
        let known = self.by_address.lock().get(&address).map(|guests| guests.ids.clone());
        known.unwrap_or_else(|| ip_identities(address))
    }
}

/// What accepting needs.
#[derive(Clone, Debug)]
pub(crate) struct ClientPort {
    pub(crate) driver: Arc<Driver>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) limits: PortLimits,
    pub(crate) words: Arc<Words>,
    /// Where links run, in turn.
    pub(crate) workers: Arc<[tokio::runtime::Handle]>,
}

impl ClientPort {
    /// Accepts until the task is dropped.
    pub(crate) async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut turn = 0;
        loop {
            match listener.accept().await {
                Ok((socket, peer)) => {
                    self.start(socket, peer, turn);
                    turn = (turn + 1) % self.workers.len();
                }
                Err(error) => {
                    warn!(%error, "cannot accept a client; raise the limit of open files if that is the reason");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn start(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, turn: usize) {
        let address = peer.ip().to_canonical();
        let client = match self.admission.admit(address, &self.limits) {
            Ok(client) => client,
            Err(reason) => {
                self.driver.statistics.metrics.connection_rejected.add(1);
                return refuse(&socket, peer, reason);
            }
        };
        let port = Arc::clone(self);
        let socket = match socket.into_std() {
            Ok(socket) => socket,
            Err(error) => {
                debug!(%peer, %error, "the client is gone before it was served");
                return self.admission.release(address);
            }
        };
        self.workers[turn].spawn(async move {
            port.serve(socket, peer, client).await;
            port.admission.release(address);
        });
    }

    async fn serve(&self, socket: std::net::TcpStream, peer: SocketAddr, client: ClientId) {
        let (link, mut reader) = match self.link(socket, peer, client) {
            Ok(link) => link,
            Err(error) => return debug!(%peer, %error, "the client is gone before it was served"),
        };
        self.driver.add_link(&link);
        let opening = link.run(&mut reader, &self.driver, self.limits.greeting_timeout).await;
        if let Opening::Word(word, rest) = opening {
            // Whoever neither sends the rest of a word nor reads the answer is not waited for.
            let answer = Box::pin(self.words.answer(&link, &mut reader, word, rest));
            if tokio::time::timeout(self.limits.greeting_timeout, answer).await.is_err() {
                debug!(%peer, "closing: the answer to a four-letter word is not taken");
            }
        }
        self.driver.remove_link(&link);
    }

    /// Not part of the task's future, or what is moved here would make each task larger.
    fn link(
        &self,
        socket: std::net::TcpStream,
        peer: SocketAddr,
        client: ClientId,
    ) -> io::Result<(Arc<Link>, OwnedReadHalf)> {
        // Lingering would only hold the port; a reply that matters is flushed before the end.
        socket.set_nodelay(true)?;
        socket2::SockRef::from(&socket).set_keepalive(self.limits.keep_alive)?;
        let (reader, writer) = TcpStream::from_std(socket)?.into_split();
        let address = peer.ip().to_canonical();
        let connection = Connection::new(client, address, self.admission.identities(address), Driver::now());
        Ok((Arc::new(Link::new(client, peer, writer, connection)), reader))
    }
}

/// Closes at once, with a reset, so that no port lingers for a client that is not wanted.
fn refuse(socket: &TcpStream, peer: SocketAddr, reason: &str) {
    warn!(%peer, reason, "refusing a connection");
    if let Err(error) = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)) {
        debug!(%peer, %error, "the refused client is gone already");
    }
}
