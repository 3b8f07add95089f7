//! Addresses as identities.

use std::net::{IpAddr, Ipv6Addr};

/// How an address reads in an identity: an IPv6 one has all its eight groups.
// Java: InetAddress.getHostAddress
pub(super) fn text(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => long_text(address),
    }
}

fn long_text(address: Ipv6Addr) -> String {
    address.segments().map(|group| format!("{group:x}")).join(":")
}
