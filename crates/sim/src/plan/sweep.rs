//! One short story in which power is lost at each place where it can be.

use super::{Fault, Plan, Planned};

/// Unit of all limits, in ms.
const TICK_MS: u64 = 200;

impl Plan {
    /// Three voters write, a follower's process dies and comes back, the leader is cut off and comes back to follow.
    pub fn of_sweep(seed: u64) -> Self {
        let at = |ticks, server, fault| Planned { at_ms: ticks * TICK_MS, server, fault };
        Self {
            voters: 3,
            observers: 0,
            weighted: false,
            tick_ms: TICK_MS,
            snap_count: 6,
            commit_log: 5,
            counter_max: u32::MAX - 1,
            clients: 2,
            think_ms: 100,
            latency_us: 300,
            sync_us: 500,
            duration_ms: 30 * TICK_MS,
            faults: vec![
                at(5, 0, Fault::ProcessDies),
                at(16, 0, Fault::LeaderCutOff(8 * TICK_MS)),
                at(26, 1, Fault::ProcessDies),
            ],
            ..Self::of_world(seed, false)
        }
    }

    /// The same, and the power of one server is lost at its output so many after its start, counted from 0.
    pub fn struck(&self, server: usize, outputs: u64) -> Self {
        let mut plan = self.clone();
        plan.faults.insert(0, Planned { at_ms: 0, server, fault: Fault::PowerLossAtOutput(outputs) });
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::run;
    use crate::story::Story;

    #[test]
    fn the_story_has_outputs_to_be_struck_at_and_each_strike_is_a_run_of_its_own() {
        let plan = Plan::of_sweep(0);
        let calm = run(&plan, None, Story::default());
        assert!(calm.breach.is_none());
        assert!(calm.tally.outputs.len() == 3 && calm.tally.outputs.iter().all(|count| *count > 100));
        let struck = [3, 40].map(|at| run(&plan.struck(1, at), None, Story::default()).tally.fingerprint);
        assert!(struck[0] != struck[1] && !struck.contains(&calm.tally.fingerprint));
    }
}
