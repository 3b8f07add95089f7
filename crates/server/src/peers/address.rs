//! From the names of members to sockets; names are looked up at every dial, for they may not exist yet.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A host name or address and a port.
pub(crate) type Place = (String, u16);

/// Least time given to one address.
const SHARE_MIN: Duration = Duration::from_millis(50);

/// Connects to the first place that answers, within `timeout` in all. Small packets are not held back.
///
/// Errors: of kind `NotFound` when no name could be looked up.
pub(crate) fn dial(places: &[Place], timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address is known");
    let mut found: Vec<SocketAddr> = Vec::new();
    for (host, port) in places {
        match (host.as_str(), *port).to_socket_addrs() {
            Ok(addresses) => found.extend(addresses),
            Err(error) => {
                last = io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("no address is known for {host}: {error}"),
                );
            }
        }
    }
    let deadline = now() + timeout;
    for (index, address) in found.iter().enumerate() {
        let left = u32::try_from(found.len() - index).unwrap_or(u32::MAX);
        let share = (deadline.saturating_duration_since(now()) / left).max(SHARE_MIN);
        match TcpStream::connect_timeout(address, share).and_then(|socket| ready(socket, *address)) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(last)
}

/// A port below may be free on this machine, and the kernel then connects a socket to itself.
fn ready(socket: TcpStream, address: SocketAddr) -> io::Result<TcpStream> {
    if socket.local_addr()? == address {
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens there"));
    }
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Reads `host:port`, with an IPv6 host in brackets; nothing for what names every address.
pub(crate) fn parse(text: &str) -> Option<Place> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_any = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified());
    if host.is_empty() || is_any {
        return None;
    }
    Some((host.to_owned(), port.parse().ok()?))
}

/// Whether two lists have a place in common, be it under another name.
pub(crate) fn share_one(some: &[Place], others: &[Place]) -> bool {
    let addresses = |places: &[Place]| -> Vec<SocketAddr> {
        let found = places.iter().filter_map(|(host, port)| (host.as_str(), *port).to_socket_addrs().ok());
        found.flatten().collect()
    };
    if some.iter().any(|place| others.contains(place)) {
        return true;
    }
    let (some, others) = (addresses(some), addresses(others));
    // What cannot be looked up cannot be told apart.
    some.is_empty() || others.is_empty() || some.iter().any(|address| others.contains(address))
}

/// Writes `host:port`, an IPv6 host in brackets.
pub(crate) fn show((host, port): &Place) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_shown_in_both_families() {
        for (text, host, port) in [("a.example:3888", "a.example", 3888), ("[::1]:7", "::1", 7)] {
            let place = parse(text).expect("a place");
            assert_eq!((place.0.as_str(), place.1), (host, port));
            assert_eq!(show(&place), text);
        }
        for text in ["0.0.0.0:3888", "[::]:3888", ":3888", "host", "host:many"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_dial_goes_on_to_the_next_place() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let places = [("no-such-host.invalid".to_owned(), 1), ("127.0.0.1".to_owned(), port)];
        assert!(dial(&places, Duration::from_secs(5)).is_ok());
        drop(listener);
        assert!(dial(&places, Duration::from_secs(5)).is_err());
    }
}
