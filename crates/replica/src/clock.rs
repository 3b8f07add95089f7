//! Time as the core sees it: milliseconds since the server's start, worked out from instants given in.

use std::time::{Duration, Instant};

/// The moments of one input: the monotonic clock for timeouts, the wall clock for txn headers.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic time.
    pub instant: Instant,
    /// Wall clock, ms since 1970.
    pub unix_ms: i64,
}

/// Counts milliseconds from a start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Counts from `start`.
    pub fn new(start: Instant) -> Self {
        Self { start }
    }

    /// Milliseconds from the start to `instant`; 0 for earlier ones.
    #[expect(clippy::cast_possible_truncation, reason = "half a billion years fit")]
    pub fn ms(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.start).as_millis() as u64
    }

    /// The instant `ms` after the start.
    pub fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }
}

/// Some instant to start a test from.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests need one instant to count from")]
pub(crate) fn test_instant() -> Instant {
    Instant::now()
}
