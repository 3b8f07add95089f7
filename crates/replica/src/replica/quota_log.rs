//! Tells the operator about quotas that writes go beyond, without a line a write.

use std::time::{Duration, Instant};

use oxherd_metrics::Metrics;
use oxherd_tree::{QuotaBreach, QuotaKind, namespace};
use tracing::warn;

/// Least time from one line to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct QuotaLog {
    told: Option<Instant>,
    untold: u64,
}

impl QuotaLog {
    /// Counts what was refused, and logs the newest unless a line was logged less than a second ago.
    // Java: ZooKeeperServer.checkQuota, RateLogger
    pub(super) fn note(&mut self, breaches: &[QuotaBreach], now: Instant, metrics: &Metrics) {
        for breach in breaches.iter().filter(|breach| breach.hard) {
            let name = namespace::namespace(&breach.path).unwrap_or_default();
            metrics.quota_exceeded_error_per_namespace.of(&String::from_utf8_lossy(name)).add(1);
        }
        let Some(last) = breaches.last() else {
            return;
        };
        self.untold += breaches.len() as u64 - 1;
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < PAUSE) {
            self.untold += 1;
            return;
        }
        self.told = Some(now);
        let (others, path) = (std::mem::take(&mut self.untold), String::from_utf8_lossy(&last.path));
        let kind = match last.kind {
            QuotaKind::Count => "nodes",
            QuotaKind::Bytes => "bytes",
        };
        let (usage, limit) = (last.usage, last.limit);
        match last.hard {
            true => {
                warn!(%path, kind, usage, limit, others, "a write is refused: it goes beyond a hard quota")
            }
            false => warn!(%path, kind, usage, limit, others, "a write goes beyond a soft quota"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach(hard: bool) -> QuotaBreach {
        QuotaBreach { path: b"/app/a".to_vec(), kind: QuotaKind::Count, usage: 4, limit: 3, hard }
    }

    #[test]
    fn refusals_are_counted_and_lines_are_a_second_apart() {
        let (mut log, metrics) = (QuotaLog::default(), Metrics::default());
        let begin = crate::clock::test_instant();
        let after = |ms| begin + Duration::from_millis(ms);
        log.note(&[breach(true), breach(false)], begin, &metrics);
        assert_eq!((log.told, log.untold), (Some(begin), 0));
        log.note(&[breach(true)], after(999), &metrics);
        log.note(&[], after(5_000), &metrics);
        assert_eq!((log.told, log.untold), (Some(begin), 1));
        log.note(&[breach(false)], after(1_000), &metrics);
        assert_eq!((log.told, log.untold), (Some(after(1_000)), 0));
        assert_eq!(metrics.quota_exceeded_error_per_namespace.of("app").value(), 2);
    }
}
