//! MonotonicView: what a session sees never goes back, whatever server it talks to.

use oxherd_proto::Zxid;

use super::name_of;
use crate::verdict::{Check, demand};

/// A session that has seen `seen` gets a reply as of `now`.
pub fn check(client: usize, seen: Zxid, now: Zxid) -> Check {
    demand(now >= seen, "MonotonicView", || {
        format!("client {client} has seen {} and gets an answer as of {}", name_of(seen), name_of(now))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_found() {
        assert!(check(0, Zxid(4), Zxid(4)).is_ok());
        assert!(check(0, Zxid(4), Zxid(3)).is_err());
    }
}
