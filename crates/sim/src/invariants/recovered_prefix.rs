//! RecoveredPrefix: beyond what was durable, a start reads only what was being written, from its beginning on.

use oxherd_proto::ServerId;

use super::Entry;
use crate::verdict::{Check, demand};

/// What was being written behind the durable txns, and what recovery read behind them.
pub fn check(id: ServerId, written: &[Entry], extra: &[Entry]) -> Check {
    demand(written.starts_with(extra), "RecoveredPrefix", || {
        format!("s{id} reads {} txns behind its log that were not being written in that order", extra.len())
    })
}

#[cfg(test)]
mod tests {
    use oxherd_proto::Zxid;

    use super::*;

    #[test]
    fn a_hole_and_an_invention_are_found() {
        let written: Vec<Entry> = (1..=3).map(|n| (Zxid(n), n.cast_unsigned())).collect();
        assert!(check(ServerId(1), &written, &[]).is_ok());
        assert!(check(ServerId(1), &written, &written[..2]).is_ok());
        assert!(check(ServerId(1), &written, &written[1..]).is_err());
        assert!(check(ServerId(1), &[], &written).is_err());
    }
}
