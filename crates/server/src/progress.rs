//! Lines about work that takes long, so that nobody takes it for a hang.

use std::time::{Duration, Instant};

use tracing::info;

use crate::driver::Driver;

/// Time between two lines; what takes less is not worth one.
const PAUSE: Duration = Duration::from_secs(1);

/// Work of a known size.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    begun: Instant,
    told: Instant,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    percent: u64,
    mb_per_s: u64,
    seconds_left: u64,
}

impl Progress {
    /// Work of `total` bytes that begins now.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        Self::at(what, total, Driver::now().instant)
    }

    fn at(what: &'static str, total: u64, now: Instant) -> Self {
        Self { what, total, begun: now, told: now }
    }

    /// So many bytes are done: logs a line, if it is time for one.
    pub(crate) fn tell(&mut self, done: u64) {
        if let Some(line) = self.line(done, Driver::now().instant) {
            let Line { percent, mb_per_s, seconds_left } = line;
            info!(percent, mb_per_s, seconds_left, "{}", self.what);
        }
    }

    fn line(&mut self, done: u64, now: Instant) -> Option<Line> {
        if now - self.told < PAUSE || self.total == 0 {
            return None;
        }
        self.told = now;
        let took_ms = u64::try_from((now - self.begun).as_millis()).unwrap_or(u64::MAX).max(1);
        let bytes_per_s = done.saturating_mul(1000) / took_ms;
        Some(Line {
            percent: done.saturating_mul(100) / self.total,
            mb_per_s: bytes_per_s / 1_000_000,
            seconds_left: self.total.saturating_sub(done) / bytes_per_s.max(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_load_says_each_second_how_far_it_is() {
        let begun = Driver::now().instant;
        let mut progress = Progress::at("loading", 1_000_000_000, begun);
        let after = |ms| begun + Duration::from_millis(ms);
        assert_eq!(progress.line(90_000_000, after(900)), None, "a short load says nothing");
        let line = Line { percent: 10, mb_per_s: 100, seconds_left: 9 };
        assert_eq!(progress.line(100_000_000, after(1000)), Some(line));
        assert_eq!(progress.line(150_000_000, after(1500)), None);
        let line = Line { percent: 90, mb_per_s: 300, seconds_left: 0 };
        assert_eq!(progress.line(900_000_000, after(3000)), Some(line));
    }

    #[test]
    fn work_of_no_size_says_nothing() {
        let begun = Driver::now().instant;
        assert_eq!(Progress::at("loading", 0, begun).line(0, begun + PAUSE), None);
    }
}
