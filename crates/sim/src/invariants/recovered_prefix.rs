//! RecoveredPrefix: what a start reads is all that was durable, and beyond it only what was being written.

use oxherd_proto::ServerId;

use super::{Entry, name_of};
use crate::verdict::{Check, demand};

/// What was durable for certain, what was being written behind it, and what recovery read.
pub fn check(id: ServerId, durable: &[Entry], written: &[Entry], recovered: &[Entry]) -> Check {
    let all = recovered.len() >= durable.len() && recovered[..durable.len()] == *durable;
    demand(all, "AcknowledgedWrites", || {
        let at = recovered.iter().zip(durable).take_while(|(read, had)| read == had).count();
        let lost = durable.get(at).map_or(String::new(), |entry| name_of(entry.0));
        format!(
            "s{id} had {} txns on disk and reads {}; the first lost is {lost}",
            durable.len(),
            recovered.len()
        )
    })?;
    let extra = &recovered[durable.len()..];
    demand(written.starts_with(extra), "RecoveredPrefix", || {
        format!("s{id} reads {} txns behind its log that were not being written in that order", extra.len())
    })
}

#[cfg(test)]
mod tests {
    use oxherd_proto::Zxid;

    use super::*;

    #[test]
    fn a_loss_a_hole_and_an_invention_are_found() {
        let txns: Vec<Entry> = (1..=4).map(|n| (Zxid(n), n.cast_unsigned())).collect();
        let (durable, written) = txns.split_at(2);
        assert!(check(ServerId(1), durable, written, durable).is_ok());
        assert!(check(ServerId(1), durable, written, &txns[..3]).is_ok());
        assert!(check(ServerId(1), durable, written, &txns[..1]).is_err());
        assert!(check(ServerId(1), durable, written, &[txns[0], txns[1], txns[3]]).is_err());
        assert!(check(ServerId(1), durable, &[], &txns).is_err());
    }
}
