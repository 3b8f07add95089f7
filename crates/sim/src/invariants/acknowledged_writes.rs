//! AcknowledgedWrites: what a server had on its disk it reads again, in the same order, or it says why not.

use oxherd_proto::ServerId;

use super::{Entry, name_of};
use crate::verdict::{Breach, Check, demand};

/// What was durable for certain, and what recovery read.
pub fn check(id: ServerId, durable: &[Entry], recovered: &[Entry]) -> Check {
    demand(recovered.starts_with(durable), "AcknowledgedWrites", || {
        let at = recovered.iter().zip(durable).take_while(|(read, had)| read == had).count();
        let lost = durable.get(at).map_or(String::new(), |entry| name_of(entry.0));
        let (had, reads) = (durable.len(), recovered.len());
        format!("s{id} had {had} txns on disk and reads {reads}; the first lost is {lost}")
    })
}

/// A server refuses files that nobody damaged.
pub fn unreadable(id: ServerId, error: &str) -> Breach {
    Breach::new("AcknowledgedWrites", format!("s{id} cannot read its own files: {error}"))
}

#[cfg(test)]
mod tests {
    use oxherd_proto::Zxid;

    use super::*;

    #[test]
    fn a_loss_at_the_end_and_one_in_the_middle_are_found() {
        let txns: Vec<Entry> = (1..=4).map(|n| (Zxid(n), n.cast_unsigned())).collect();
        assert!(check(ServerId(1), &txns[..2], &txns).is_ok());
        assert!(check(ServerId(1), &txns[..2], &txns[..1]).is_err());
        assert!(check(ServerId(1), &txns[..2], &[txns[0], txns[2]]).is_err());
    }
}
