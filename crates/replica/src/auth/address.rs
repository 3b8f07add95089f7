//! Addresses as identities and in ACLs.

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

/// Whether an ACL may hold this: an address, or an address and the number of bits that count.
// Java: IPAuthenticationProvider.isValid
pub(super) fn is_valid_expression(expression: &[u8]) -> bool {
    let Ok(expression) = std::str::from_utf8(expression) else { return false };
    let (address, bits) = match expression.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (expression, None),
    };
    let Some(bits_max) = bits_of(address) else { return false };
    bits.is_none_or(|bits| bits.parse::<i32>().is_ok_and(|bits| (0..=bits_max).contains(&bits)))
}

/// How many bits an address of this form has, where it is one.
fn bits_of(address: &str) -> Option<i32> {
    if address.contains(':') { is_v6(address).then_some(128) } else { is_v4(address).then_some(32) }
}

fn is_v4(address: &str) -> bool {
    let is_byte = |part: &str| part.parse::<i32>().is_ok_and(|value| (0..=255).contains(&value));
    address.split('.').count() == 4 && address.split('.').all(is_byte)
}

// Java: IPAuthenticationProvider.parseV6addr
fn is_v6(address: &str) -> bool {
    let halves: Vec<&str> = address.split("::").collect();
    let groups = |half: &str| if half.is_empty() { 0 } else { half.split(':').count() };
    let count_fits = match &halves[..] {
        [all] => all.split(':').count() == 8,
        [first, last] => groups(first) + groups(last) < 8,
        _ => false,
    };
    let is_group =
        |group: &str| (1..=4).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    count_fits && halves.iter().filter(|half| !half.is_empty()).all(|half| half.split(':').all(is_group))
}
