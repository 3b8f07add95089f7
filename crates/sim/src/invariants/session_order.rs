//! SessionOrder: requests of a link are answered in the order in which they were sent, each once.

use oxherd_proto::Xid;

use crate::verdict::{Check, demand};

/// The reply to `answered` comes while `oldest` is the oldest request without one.
pub fn check(client: usize, oldest: Option<Xid>, answered: Xid) -> Check {
    demand(oldest == Some(answered), "SessionOrder", || {
        format!("client {client} gets the reply to {} while it waits for that to {oldest:?}", answered.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_out_of_turn_or_uncalled_for_is_found() {
        assert!(check(0, Some(Xid(3)), Xid(3)).is_ok());
        assert!(check(0, Some(Xid(3)), Xid(4)).is_err());
        assert!(check(0, None, Xid(4)).is_err());
    }
}
