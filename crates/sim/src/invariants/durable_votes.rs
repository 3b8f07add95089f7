//! DurableVotes: what a server claims in votes and acknowledgements is on its disk by then.

use std::collections::BTreeSet;

use oxherd_proto::{Epoch, PacketType, ServerId, Zxid};
use oxherd_zab::LinkId;

use super::name_of;
use crate::verdict::{Check, demand};

/// What a disk holds for certain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk {
    /// Last txn.
    pub last: Zxid,
    /// From its file.
    pub accepted: Epoch,
    /// From its file.
    pub current: Epoch,
}

/// A server votes for itself.
pub fn vote(id: ServerId, zxid: Zxid, epoch: Epoch, disk: Disk) -> Check {
    demand(zxid <= disk.last && epoch <= disk.current, "DurableVotes", || {
        format!(
            "s{id} votes with {} of epoch {epoch}; its disk ends at {} of epoch {}",
            name_of(zxid),
            name_of(disk.last),
            disk.current
        )
    })
}

/// A server sends ACK or ACKEPOCH with this zxid.
pub fn acknowledgement(id: ServerId, kind: PacketType, zxid: Zxid, disk: Disk) -> Check {
    let holds = match kind {
        PacketType::Ack if zxid.counter() == 0 => disk.current >= zxid.epoch(),
        PacketType::Ack | PacketType::AckEpoch => disk.last >= zxid,
        _ => true,
    };
    demand(holds, "DurableVotes", || {
        format!(
            "s{id} sends {kind:?} {}; its disk ends at {} of epoch {}",
            name_of(zxid),
            name_of(disk.last),
            disk.current
        )
    })
}

/// On a link of a learner the ACK of NEWLEADER comes before those of later txns: `begun` are the links that have it.
pub fn order(begun: &mut BTreeSet<LinkId>, id: ServerId, link: LinkId, zxid: Zxid) -> Check {
    if zxid.counter() == 0 {
        begun.insert(link);
    }
    demand(begun.contains(&link), "DurableVotes", || {
        format!("s{id} acknowledges {} before it acknowledges NEWLEADER", name_of(zxid))
    })
}

/// The current epoch is stored once the txns that were given to storage before it are durable.
pub fn epoch_after_txns(id: ServerId, epoch: Epoch, before: Zxid, durable: Zxid) -> Check {
    demand(durable >= before, "DurableVotes", || {
        format!(
            "s{id} has stored epoch {epoch} while its disk ends at {}, before {}",
            name_of(durable),
            name_of(before)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Disk {
        Disk { last: Zxid::new(Epoch(2), 5), accepted: Epoch(3), current: Epoch(2) }
    }

    #[test]
    fn a_claim_beyond_the_disk_is_found() {
        assert!(vote(ServerId(1), Zxid::new(Epoch(2), 5), Epoch(2), disk()).is_ok());
        assert!(vote(ServerId(1), Zxid::new(Epoch(2), 6), Epoch(2), disk()).is_err());
        assert!(vote(ServerId(1), Zxid::new(Epoch(2), 5), Epoch(3), disk()).is_err());
        assert!(acknowledgement(ServerId(1), PacketType::Ack, Zxid::new(Epoch(3), 0), disk()).is_err());
        assert!(acknowledgement(ServerId(1), PacketType::Ack, Zxid::new(Epoch(2), 6), disk()).is_err());
        assert!(acknowledgement(ServerId(1), PacketType::AckEpoch, Zxid::new(Epoch(2), 5), disk()).is_ok());
    }

    #[test]
    fn an_epoch_before_its_txns_is_found() {
        assert!(epoch_after_txns(ServerId(1), Epoch(2), Zxid(4), Zxid(4)).is_ok());
        assert!(epoch_after_txns(ServerId(1), Epoch(2), Zxid(5), Zxid(4)).is_err());
    }

    #[test]
    fn an_ack_that_overtakes_newleader_is_found() {
        let mut begun = BTreeSet::new();
        assert!(order(&mut begun, ServerId(1), LinkId(4), Zxid::new(Epoch(2), 1)).is_err());
        assert!(order(&mut begun, ServerId(1), LinkId(4), Zxid::new(Epoch(2), 0)).is_ok());
        assert!(order(&mut begun, ServerId(1), LinkId(4), Zxid::new(Epoch(2), 1)).is_ok());
    }
}
