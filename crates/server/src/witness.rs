//! Somebody who hears what a member's replica takes and does, in order: for checks of whole runs.

use std::fmt::Debug;

use oxherd_proto::{Epoch, ServerId, Zxid};
use oxherd_replica::{Input, Output};

/// Hears everything of one or more members, from whichever of their threads takes a turn.
///
/// An output is told before anything of it leaves the member, so what is told of several members, put in one
/// list, has a cause before its effect. With a witness each input has a turn of its own; without one this costs
/// nothing.
pub trait Witness: Debug + Send + Sync {
    /// A member has read its files: where its log ends, and its epochs.
    fn started(&self, member: ServerId, last: Zxid, accepted: Epoch, current: Epoch);
    /// The replica is about to take this.
    fn takes(&self, member: ServerId, input: &Input);
    /// The replica has this done next.
    fn does(&self, member: ServerId, output: &Output);
    /// Clients that are served see the tree up to here.
    fn shows(&self, member: ServerId, zxid: Zxid);
    /// A member has ended, with all its threads.
    fn ended(&self, member: ServerId);
}
