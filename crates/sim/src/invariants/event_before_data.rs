//! EventBeforeData: a client that watches a node hears of its change before anything as new as the change.

use oxherd_proto::Zxid;

use super::name_of;
use crate::verdict::{Check, demand};

/// A reply as of `now` reaches a client whose watch on `path` waits; the node changed at `changed` for the
/// first time since the watch was set.
pub fn check(client: usize, path: &str, changed: Option<Zxid>, now: Zxid) -> Check {
    demand(changed.is_none_or(|zxid| zxid > now), "EventBeforeData", || {
        let zxid = changed.map_or(String::new(), name_of);
        format!("client {client} sees {} and has not heard that {path} changed at {zxid}", name_of(now))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_data_before_the_event_is_found() {
        assert!(check(0, "/a", None, Zxid(9)).is_ok());
        assert!(check(0, "/a", Some(Zxid(10)), Zxid(9)).is_ok());
        assert!(check(0, "/a", Some(Zxid(9)), Zxid(9)).is_err());
    }
}
