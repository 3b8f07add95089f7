//! The port for clients, which may move while the server runs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tracing::{error, info};

use crate::client_port::ClientPort;
use crate::server::bind;

/// Where clients are accepted now. Links outlive a move.
#[derive(Debug)]
pub(crate) struct ClientPorts {
    port: Arc<ClientPort>,
    backlog: i32,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// As it was asked for, `None` for every address.
    host: Option<String>,
    local: Option<SocketAddr>,
    accepting: Option<AbortHandle>,
}

impl ClientPorts {
    /// Nobody is accepted yet.
    pub(crate) fn new(port: ClientPort, backlog: i32) -> Self {
        Self { port: Arc::new(port), backlog, open: Mutex::default() }
    }

    /// Accepts here from now on.
    pub(crate) fn serve(&self, listener: TcpListener, host: Option<String>) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        let port = Arc::clone(&self.port);
        let accepting = self.port.workers[0].spawn(async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => port.accept(listener).await,
                Err(error) => port.driver.halt(format!("cannot watch the client port: {error}")),
            }
        });
        let new = Open { host, local: Some(local), accepting: Some(accepting.abort_handle()) };
        let former = std::mem::replace(&mut *self.open.lock(), new);
        if let Some(accepting) = former.accepting {
            accepting.abort();
        }
        Ok(())
    }

    /// Where clients connect, unless nowhere.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.open.lock().local
    }

    /// Accepts at the address that the ensemble names for this server, if it is another one. Blocks.
    // Java: NIOServerCnxnFactory.reconfigure
    pub(crate) fn move_to(&self, host: &str, port: u16) {
        let host = Some(host.to_owned()).filter(|host| !is_any(host));
        if self.is_at(host.as_deref(), port) {
            return;
        }
        let bound = bind(host.as_deref(), port, self.backlog).or_else(|_| {
            // The former may be in the way: another address of the same port.
            let accepting = self.open.lock().accepting.take();
            if let Some(accepting) = accepting {
                accepting.abort();
            }
            bind(host.as_deref(), port, self.backlog)
        });
        match bound.and_then(|listener| self.serve(listener, host.clone())) {
            Ok(()) => info!(?host, port, "clients are accepted at another port now"),
            Err(error) => error!(%error, ?host, port, "cannot accept clients where the ensemble says"),
        }
    }

    fn is_at(&self, host: Option<&str>, port: u16) -> bool {
        let open = self.open.lock();
        open.local.is_some_and(|local| local.port() == port) && open.host.as_deref() == host
    }
}

fn is_any(host: &str) -> bool {
    host.parse().is_ok_and(|address: std::net::IpAddr| address.is_unspecified())
}
