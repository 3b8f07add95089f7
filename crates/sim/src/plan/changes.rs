//! How the ensemble is changed in a run, from chance of its own.

use super::Plan;
use crate::dice::Dice;

/// Where the chance of changes begins, so that the rest of a seed's plan is what it is without them.
const STREAM: u64 = 0x0c0f_f1ce_5eed;

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So many voters, by servers that join or leave.
    Size(usize),
    /// A server joins.
    Join,
    /// A server leaves.
    Leave,
    /// The leader leaves.
    LeaderLeaves,
    /// A voter becomes an observer, or the other way.
    Role,
    /// A server gets other ports.
    Ports,
    /// The leader gets other ports, so that another one has to lead.
    LeaderPorts,
    /// All members are named anew.
    Bulk,
    /// Another voter is to lead.
    Lead,
}

/// Something that goes wrong in the middle of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// The first server that hears of it loses its power so many outputs later.
    First(u64),
    /// The leader does, after so many outputs from its proposal on.
    Leader(u64),
    /// All servers do, so many µs after the first has heard of it.
    All(u64),
}

/// A change, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedChange {
    /// Time from the start, in ms.
    pub at_ms: u64,
    /// What.
    pub change: Change,
    /// Which servers, as chance has it.
    pub roll: u64,
    /// What goes wrong in its middle.
    pub strike: Option<Strike>,
}

impl PlannedChange {
    fn new(at_ms: u64, change: Change, dice: &mut Dice) -> Self {
        let strike = match dice.below(6) {
            0 => Some(Strike::First(dice.below(12))),
            1 => Some(Strike::Leader(dice.below(40))),
            2 => Some(Strike::All(dice.below(40_000))),
            _ => None,
        };
        Self { at_ms, change, roll: dice.roll(), strike }
    }
}

impl Plan {
    /// The ensemble of this seed, with its faults, and changes of who belongs to it.
    pub fn of_reconfig(seed: u64) -> Self {
        let mut plan = Self::with(seed, false, Dice::new(seed));
        let mut dice = Dice::new(seed ^ STREAM);
        if dice.chance(25) {
            (plan.voters, plan.observers, plan.weighted) = (1, 0, false);
            plan.spares = 4;
            plan.grow_and_shrink(&mut dice);
            return plan;
        }
        let most = 7usize.saturating_sub(plan.servers()).max(1) as u64;
        plan.spares = usize::try_from(dice.between(1, most + 1)).unwrap_or(1);
        let every_ms = plan.tick_ms * dice.between(4, 24);
        let mut at_ms = plan.tick_ms * 4;
        while at_ms < plan.duration_ms {
            let change = dice.pick(&KINDS).unwrap_or(Change::Join);
            plan.changes.push(PlannedChange::new(at_ms, change, &mut dice));
            at_ms += dice.between(every_ms / 2, every_ms * 2);
        }
        plan
    }

    fn grow_and_shrink(&mut self, dice: &mut Dice) {
        let sizes = [3, 5, 3, 1];
        for (number, size) in (1..).zip(sizes) {
            let at_ms = self.duration_ms * number / (sizes.len() as u64 + 1);
            self.changes.push(PlannedChange::new(at_ms, Change::Size(size), dice));
        }
    }
}

const KINDS: [Change; 12] = [
    Change::Join,
    Change::Join,
    Change::Leave,
    Change::LeaderLeaves,
    Change::Role,
    Change::Role,
    Change::Ports,
    Change::LeaderPorts,
    Change::Bulk,
    Change::Bulk,
    Change::Lead,
    Change::Size(3),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_leave_the_rest_of_a_seed_as_it_was() {
        for seed in 0..50 {
            let (with, without) = (Plan::of_reconfig(seed), Plan::of_world(seed, false));
            assert_eq!(with.faults, without.faults);
            assert!(with.reconfigures() && !with.changes.is_empty() && !without.reconfigures());
        }
    }

    #[test]
    fn every_kind_of_change_is_planned_by_some_seed() {
        let planned: Vec<Change> =
            (0..200).flat_map(|seed| Plan::of_reconfig(seed).changes).map(|each| each.change).collect();
        assert!(KINDS.iter().all(|kind| planned.contains(kind)));
        assert!([3, 5, 1].iter().all(|size| planned.contains(&Change::Size(*size))));
    }
}
