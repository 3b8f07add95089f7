//! The connect string: hosts, ports and a chroot.

use thiserror::Error;

use crate::{Chroot, PathError};

/// Port of a host that names none.
pub(crate) const PORT_DEFAULT: u16 = 2181;

/// A connect string that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// There is no host in it.
    #[error("connect string {0:?} names no server")]
    NoServer(String),
    /// The part after the colon is not a port.
    #[error("{0:?} is not host:port")]
    Port(String),
    /// The chroot breaks a rule.
    #[error("chroot of the connect string: {0}")]
    Chroot(#[from] PathError),
}

/// The servers a session may use, and the prefix of its paths.
// Java: ConnectStringParser
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Host names or addresses with ports, in the order given.
    pub hosts: Vec<(String, u16)>,
    /// The part from the first slash on.
    pub chroot: Chroot,
}

impl Servers {
    /// Reads `host[:port][,host[:port]…][/chroot]`; an IPv6 address stands in brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let parts = hosts.split(',').map(str::trim).filter(|part| !part.is_empty());
        let hosts = parts.map(parse_host).collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(AddressError::NoServer(text.to_owned()));
        }
        Ok(Self { hosts, chroot: Chroot::new(chroot)? })
    }
}

fn parse_host(part: &str) -> Result<(String, u16), AddressError> {
    let wrong = || AddressError::Port(part.to_owned());
    let (host, port) = match part.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            (host, port.strip_prefix(':'))
        }
        None => match part.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, Some(port)),
            _ => (part, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().map_err(|_| wrong())?,
        None => PORT_DEFAULT,
    };
    if host.is_empty() { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_string_names_hosts_ports_and_a_chroot() {
        let servers = Servers::parse("a:1, b ,[::1]:3,fe80::1/app/x").expect("valid");
        let hosts: Vec<_> = servers.hosts.iter().map(|(host, port)| (host.as_str(), *port)).collect();
        assert_eq!(hosts, [("a", 1), ("b", 2181), ("::1", 3), ("fe80::1", 2181)]);
        assert_eq!(servers.chroot.as_str(), "/app/x");
        for bad in ["", "/app", "a:x", ":1", "[::1:2", "a:1/app/"] {
            assert!(Servers::parse(bad).is_err(), "{bad}");
        }
    }
}
