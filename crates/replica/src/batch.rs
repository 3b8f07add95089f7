//! When a batch of txns is written and synced: at once, or a little later so that more of them share the sync.
// Java: SyncRequestProcessor.run, shouldFlush, getRemainingDelay

use std::time::{Duration, Instant};

/// What the operator set about batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Two syncs are at least so far apart, unless a batch is full or nothing more comes (`flushDelay`).
    pub delay: Duration,
    /// So long is waited for another txn (`maxWriteQueuePollTime`); shorter than the delay.
    pub idle: Duration,
    /// Txns of one sync at most; 0 for no limit (`maxBatchSize`).
    pub len_max: usize,
}

/// Decides when the txns that wait are synced.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    options: BatchOptions,
    synced_at: Instant,
}

impl Batching {
    /// Counts the delay from `now`.
    pub fn new(options: BatchOptions, now: Instant) -> Self {
        Self { options, synced_at: now }
    }

    fn remaining(&self, now: Instant) -> Duration {
        self.options.delay.saturating_sub(now.saturating_duration_since(self.synced_at))
    }

    /// Whether `waiting` txns, of which the last came now, are to be synced without another look at the queue.
    pub fn is_due(&self, now: Instant, waiting: usize) -> bool {
        let overdue = !self.options.delay.is_zero() && self.remaining(now).is_zero();
        overdue || (self.options.len_max > 0 && waiting >= self.options.len_max)
    }

    /// How long the queue may stay empty before what waits is synced; zero for at once.
    pub fn patience(&self, now: Instant) -> Duration {
        self.options.idle.min(self.remaining(now))
    }

    /// What waited is synced.
    pub fn synced(&mut self, now: Instant) {
        self.synced_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::test_instant;

    fn batching(delay: u64, idle: u64, len_max: usize) -> (Batching, Instant) {
        let start = test_instant();
        let options =
            BatchOptions { delay: Duration::from_millis(delay), idle: Duration::from_millis(idle), len_max };
        (Batching::new(options, start), start)
    }

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn without_a_delay_an_empty_queue_is_the_end_of_a_batch() {
        let (batching, start) = batching(0, 0, 1000);
        assert!(!batching.is_due(start, 999), "more may wait in the queue");
        assert_eq!(batching.patience(start), Duration::ZERO);
        assert!(batching.is_due(start, 1000), "a full batch goes");
    }

    #[test]
    fn with_a_delay_the_first_write_after_a_pause_goes_at_once_and_the_next_waits() {
        let (mut batching, start) = batching(30, 10, 1000);
        assert!(batching.is_due(start + ms(30), 1));
        batching.synced(start + ms(30));
        assert!(!batching.is_due(start + ms(40), 1));
        assert_eq!(batching.patience(start + ms(40)), ms(10), "nothing more within this: sync");
        assert_eq!(batching.patience(start + ms(55)), ms(5), "but never longer than the delay");
        assert!(batching.is_due(start + ms(60), 2));
    }

    #[test]
    fn a_limit_of_nought_is_no_limit() {
        let (batching, start) = batching(0, 0, 0);
        assert!(!batching.is_due(start, usize::MAX));
    }
}
