//! A leader that makes way for another voter, on command.
//!
//! It takes nothing new, waits until that voter holds everything, and then gives it one more txn that nobody
//! else gets. So that voter is ahead of all others, and wins the election that follows by the ordinary rule,
//! among servers of any kind. The txn changes nothing; its epoch ends with it, so no other txn ever has its
//! zxid.

use bytes::Bytes;
use oxherd_proto::{PacketType, ServerId, Zxid};

use crate::io::LinkId;
use crate::leader::{Leader, Outcome};
use crate::learners::Stage;
use crate::local::{Local, Vote};
use crate::packet;

/// A transfer under way.
#[derive(Debug)]
pub(crate) struct Transfer {
    to: ServerId,
    link: LinkId,
    zxid: Zxid,
    /// The last txn, until it is sent.
    payload: Option<Bytes>,
}

impl Leader {
    /// Whether that voter may lead next: it holds the leader's history and no change is under way.
    pub(crate) fn may_transfer(&self, to: ServerId, local: &Local) -> bool {
        let is_voter = local.members.active().is_voter(to) && to != local.me();
        is_voter && !local.members.is_changing() && self.synced_link(to).is_some()
    }

    fn synced_link(&self, server: ServerId) -> Option<LinkId> {
        let is_it = |(link, stage, other): (LinkId, Stage, ServerId)| {
            (stage == Stage::Synced && other == server).then_some(link)
        };
        self.learners.iter().map(|(link, learner)| (link, learner.stage, learner.server)).find_map(is_it)
    }

    /// Begins; `payload` is a txn of the next zxid that changes nothing. Whether it does.
    pub(crate) fn transfer(&mut self, to: ServerId, payload: Bytes, local: &mut Local) -> bool {
        let (Some(zxid), Some(link)) = (self.next_zxid(), self.synced_link(to)) else { return false };
        if !self.may_transfer(to, local) {
            return false;
        }
        self.transfer = Some(Transfer { to, link, zxid, payload: Some(payload) });
        self.leave(Outcome::Look, local);
        self.advance_transfer(local);
        true
    }

    /// Goes as far as the others are. When the voter does not answer in time, the election is an open one.
    pub(crate) fn advance_transfer(&mut self, local: &mut Local) {
        let Some(transfer) = &mut self.transfer else { return };
        let end = local.history.appended();
        let acked = self.learners.iter().find(|(link, _)| *link == transfer.link);
        let Some(acked) = acked.map(|(_, learner)| learner.acked) else { return };
        if acked >= transfer.zxid {
            let (leader, zxid) = (transfer.to, transfer.zxid);
            let vote = Vote { leader, zxid, epoch: local.current_epoch, round: local.round };
            local.successor = Some(vote);
            self.leave_at(local.now(), Outcome::Look);
        } else if acked >= end && local.history.committed() == end && local.is_settled() {
            let Some(payload) = transfer.payload.take() else { return };
            self.learners.expect(transfer.link, transfer.zxid);
            let proposal = packet::with_data(PacketType::Proposal, transfer.zxid, payload);
            local.send(transfer.link, proposal);
        }
    }
}
