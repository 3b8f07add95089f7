//! Ports for servers in tests, which stop and start again on the same one.

use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that systems hand out to outgoing connections, any of which could take a stopped server's port.
const PORTS: Range<u32> = 10_000..32_000;

/// A port of that address that nobody uses now and that this process gives to nobody else soon.
///
/// Errors: the address is not this machine's, or all ports are taken.
pub fn test_port(host: &str) -> io::Result<u16> {
    listener(host)?.local_addr().map(|address| address.port())
}

/// A listener on such a port.
pub(crate) fn listener(host: &str) -> io::Result<TcpListener> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Processes begin apart from each other.
    let first = std::process::id().wrapping_mul(131);
    for _ in PORTS {
        let next = first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let port = u16::try_from(PORTS.start + next).expect("the range ends below 2^16");
        match TcpListener::bind((host, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_can_be_listened_on_again() {
        let ports: Vec<u16> = (0..50).map(|_| test_port("127.0.0.1").expect("a port")).collect();
        for (at, port) in ports.iter().enumerate() {
            assert!(PORTS.contains(&u32::from(*port)) && !ports[..at].contains(port), "{ports:?}");
        }
        assert!(TcpListener::bind(("127.0.0.1", ports[0])).is_ok());
    }
}
