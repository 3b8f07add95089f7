//! How long the log thread lets txns gather before it syncs them.
//!
//! Clients that wait for their writes come back together once these are answered. A thread that always takes what
//! waits at that moment splits them into two halves that take turns at the disk: twice the syncs, and each write
//! waits for the other half's. So it waits for most of those that were under way a moment ago, but no longer than a sync
//! takes.

use std::time::Duration;

/// Of those that were under way, the part that is waited for, in percent.
const PART_PERCENT: usize = 75;
/// Longest wait, whatever a sync takes.
const PAUSE_MAX: Duration = Duration::from_millis(1);

/// What the last syncs say about the next.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// Txns that were synced, with those that came meanwhile.
    under_way: usize,
    /// What a sync takes, smoothed.
    sync: Duration,
}

impl Gathering {
    /// A sync of `count` txns took `took`; `waiting` came meanwhile.
    pub(super) fn synced(&mut self, count: usize, waiting: usize, took: Duration) {
        self.under_way = count + waiting;
        self.sync = (self.sync * 7 + took) / 8;
    }

    /// For how many commands to wait. One at least, so that a client alone is never waited for.
    pub(super) fn count(&self) -> usize {
        (self.under_way * PART_PERCENT).div_ceil(100).max(1)
    }

    /// How long to wait for them.
    pub(super) fn pause(&self) -> Duration {
        self.sync.min(PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(200);

    #[test]
    fn one_client_after_the_other_is_never_waited_for() {
        let mut gathering = Gathering::default();
        assert_eq!(gathering.count(), 1);
        gathering.synced(1, 0, SYNC);
        assert_eq!(gathering.count(), 1);
    }

    #[test]
    fn two_halves_that_take_turns_become_one() {
        let mut gathering = Gathering::default();
        gathering.synced(8, 8, SYNC);
        assert_eq!(gathering.count(), 12);
        gathering.synced(13, 3, SYNC);
        assert_eq!(gathering.count(), 12);
        gathering.synced(5, 0, SYNC);
        assert_eq!(gathering.count(), 4, "who does not come back is waited for once");
    }

    #[test]
    fn the_wait_is_as_long_as_a_sync_and_bounded() {
        let mut gathering = Gathering::default();
        (0..40).for_each(|_| gathering.synced(1, 1, SYNC));
        assert!(gathering.pause() > SYNC * 95 / 100 && gathering.pause() <= SYNC);
        (0..40).for_each(|_| gathering.synced(1, 1, Duration::from_millis(20)));
        assert_eq!(gathering.pause(), PAUSE_MAX);
    }
}
