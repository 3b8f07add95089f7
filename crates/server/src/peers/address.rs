//! From the names of members to sockets; names are looked up at every dial, for they may not exist yet.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// A host name or address and a port.
pub(crate) type Place = (String, u16);

/// How long an address has to answer before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);
/// Most addresses that are tried; any more are passed over.
const ADDRESSES_MAX: usize = 32;
/// Least time given to one address.
const ATTEMPT_MIN: Duration = Duration::from_millis(50);

/// Connects to the place that answers first, within `timeout` in all. They are tried in order: each has a head start,
/// and the next one is tried at once when all before it have failed. Small packets are not held back.
///
/// Errors: of kind `NotFound` when no name could be looked up; else the last one of an address, of kind `TimedOut` when
/// none has answered.
// Java: Learner.LeaderConnector; QuorumCnxManager.initiateConnection with MultipleAddresses.getReachableOrOne
pub(crate) fn dial(places: &[Place], timeout: Duration) -> io::Result<TcpStream> {
    let (found, mut last) = look_up(places);
    if let [address] = found[..] {
        return connect(address, timeout);
    }
    let deadline = now() + timeout;
    let (answer, answers) = channel();
    let mut next = found.into_iter().take(ADDRESSES_MAX);
    let mut trying = 0;
    loop {
        if let Some(address) = next.next() {
            let (answer, left) = (answer.clone(), deadline.saturating_duration_since(now()));
            // Whoever answers too late finds nobody, and is closed.
            let attempt = move || drop(answer.send(connect(address, left)));
            std::thread::Builder::new().name("dial".to_owned()).spawn(attempt)?;
            trying += 1;
        }
        if trying == 0 {
            return Err(last);
        }
        let left = deadline.saturating_duration_since(now());
        let pause = if next.len() > 0 { left.min(HEAD_START) } else { left };
        match answers.recv_timeout(pause) {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => {
                trying -= 1;
                last = error;
            }
            Err(_) if left <= pause => return Err(timed_out()),
            Err(_) => {}
        }
    }
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "none of its addresses has answered")
}

/// The addresses of all places, in order and each once, and what went wrong last.
fn look_up(places: &[Place]) -> (Vec<SocketAddr>, io::Error) {
    let unknown = |text: String| io::Error::new(io::ErrorKind::NotFound, text);
    let mut last = unknown("no address is known".to_owned());
    let mut found: Vec<SocketAddr> = Vec::new();
    for (host, port) in places {
        match (host.as_str(), *port).to_socket_addrs() {
            Ok(addresses) => found.extend(addresses),
            Err(error) => last = unknown(format!("no address is known for {host}: {error}")),
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|address| seen.insert(*address));
    (found, last)
}

fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, timeout.max(ATTEMPT_MIN))
        .and_then(|socket| ready(socket, address))
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
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
        let error = dial(&places[..1], Duration::from_secs(600)).expect_err("it has no address");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    /// A listener that answers nobody any more, and what waits to be accepted there.
    fn full() -> (socket2::Socket, SocketAddr, Vec<TcpStream>) {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        listener.bind(&any.into()).and_then(|()| listener.listen(0)).expect("a free port");
        let address = listener.local_addr().expect("bound").as_socket().expect("of the internet");
        let short = Duration::from_millis(200);
        let waiting: Vec<_> =
            (0..64).map_while(|_| TcpStream::connect_timeout(&address, short).ok()).collect();
        assert!(waiting.len() < 64, "it takes no more");
        (listener, address, waiting)
    }

    #[test]
    fn a_place_that_never_answers_does_not_hold_up_the_next_one() {
        let (_listener, silent, _waiting) = full();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let alive = listener.local_addr().expect("bound");
        let place = |address: SocketAddr| (address.ip().to_string(), address.port());
        let started = now();
        let socket = dial(&[place(silent), place(alive)], Duration::from_secs(100)).expect("one answers");
        assert_eq!(socket.peer_addr().expect("connected"), alive);
        assert!(now() - started < Duration::from_secs(20), "it had its head start and no more");
        drop(listener);
        let error =
            dial(&[place(silent), place(alive)], Duration::from_millis(600)).expect_err("nobody answers");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
