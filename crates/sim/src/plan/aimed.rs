//! Losses of power aimed at moments that chance alone rarely hits, from chance of its own.

use super::{Fault, Plan, Planned};
use crate::dice::Dice;

/// Where the chance begins, so that the rest of a seed's plan is what it is without them.
const STREAM: u64 = 0x0a1_3ed0_fa11;
/// Share of the seeds that aim, in percent.
const SHARE: u64 = 15;

/// When power is lost, some outputs later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A learner's log was cut.
    Cut,
    /// A server's current epoch is in its file.
    Epoch,
}

impl Plan {
    /// Leaders are cut off with what only they have logged; when they come back to follow, or when anybody stores
    /// an epoch, power may be lost soon after.
    pub(super) fn aim(&mut self) {
        let mut dice = Dice::new(self.seed ^ STREAM);
        if self.alone || self.voters < 3 || !dice.chance(SHARE) {
            return;
        }
        let moment = dice.pick(&[Moment::Cut, Moment::Cut, Moment::Epoch]).unwrap_or(Moment::Cut);
        let mut at_ms = self.tick_ms * dice.between(4, 12);
        while at_ms < self.duration_ms {
            let apart_ms = self.tick_ms * dice.between(6, 14);
            self.faults.push(Planned { at_ms, server: 0, fault: Fault::LeaderCutOff(apart_ms) });
            for server in 0..self.servers() {
                let outputs = dice.below(8);
                self.faults.push(Planned { at_ms, server, fault: Fault::PowerLossAfter(moment, outputs) });
            }
            at_ms += apart_ms + self.tick_ms * dice.between(4, 20);
        }
        self.faults.sort_by_key(|each| each.at_ms);
    }
}
