//! EpochsNeverGoBack: an epoch that was stored is read again, or a later one.

use oxherd_proto::{Epoch, ServerId};

use crate::verdict::{Check, demand};

/// The accepted and the current epoch that were stored, and those that a start reads.
pub fn check(id: ServerId, stored: (Epoch, Epoch), read: (Epoch, Epoch)) -> Check {
    demand(read.0 >= stored.0 && read.1 >= stored.1, "EpochsNeverGoBack", || {
        format!("s{id} had stored epochs {} and {}, and reads {} and {}", stored.0, stored.1, read.0, read.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_two_that_is_read_as_it_was_before_is_found() {
        let stored = (Epoch(3), Epoch(2));
        assert!(check(ServerId(1), stored, stored).is_ok());
        assert!(check(ServerId(1), stored, (Epoch(4), Epoch(4))).is_ok());
        assert!(check(ServerId(1), stored, (Epoch(2), Epoch(2))).is_err());
        assert!(check(ServerId(1), stored, (Epoch(3), Epoch(1))).is_err());
    }
}
