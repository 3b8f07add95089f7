//! NeedlessStop: a server ends only for a reason that was given to it: a failed disk, or its end.

use oxherd_proto::ServerId;

use crate::verdict::{Check, demand};

/// A server ends with these words; `excused` says that its disk was made to fail.
pub fn check(id: ServerId, excused: bool, why: &str) -> Check {
    demand(excused, "NeedlessStop", || format!("s{id} ends without a fault of its disk: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_without_a_reason_is_found() {
        assert!(check(ServerId(1), true, "a sync failed").is_ok());
        assert!(check(ServerId(1), false, "a packet was odd").is_err());
    }
}
