//! Figures of a server's life that srvr and the gauges show.
// Java: ServerStats

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::{Counter, Metrics, Summary};

/// Last, least and greatest of sizes; -1 before the first.
// Java: BufferStats
#[derive(Debug)]
pub struct Sizes {
    last: AtomicI64,
    least: AtomicI64,
    greatest: AtomicI64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { last: AtomicI64::new(-1), least: AtomicI64::new(-1), greatest: AtomicI64::new(-1) }
    }
}

impl Sizes {
    /// Notes a size in bytes.
    pub fn add(&self, size: i64) {
        self.last.store(size, Relaxed);
        // The extremes change seldom; a plain read spares the exchange.
        let is_less = |least: i64| least == -1 || size < least;
        if is_less(self.least.load(Relaxed)) {
            let _ = self.least.fetch_update(Relaxed, Relaxed, |least| is_less(least).then_some(size));
        }
        if size > self.greatest.load(Relaxed) {
            self.greatest.fetch_max(size, Relaxed);
        }
    }

    /// Last, least and greatest.
    pub fn values(&self) -> (i64, i64, i64) {
        (self.last.load(Relaxed), self.least.load(Relaxed), self.greatest.load(Relaxed))
    }

    /// Forgets all sizes.
    pub fn reset(&self) {
        for size in [&self.last, &self.least, &self.greatest] {
            size.store(-1, Relaxed);
        }
    }
}

/// Everything that is counted for one server.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Packets that came from clients, four-letter words too.
    pub packets_received: Counter,
    /// Packets that went to clients, watch events too.
    pub packets_sent: Counter,
    /// Milliseconds from the arrival of a request to its reply.
    pub latency: Summary,
    /// Sizes of replies in bytes.
    pub response_sizes: Sizes,
    /// Sizes of proposals in bytes, on a leader.
    pub proposal_sizes: Sizes,
    /// Connections closed because authentication failed.
    pub auth_failed: Counter,
    /// Syncs of the log that took longer than the warning threshold.
    pub slow_syncs: Counter,
    /// Connections without a client certificate from this machine.
    pub non_mtls_local: Counter,
    /// Connections without a client certificate from elsewhere.
    pub non_mtls_remote: Counter,
    /// Counters and summaries by name.
    pub metrics: Metrics,
}

impl Statistics {
    /// What the word srst sets back: latency, packets, sizes and all metrics; not the failures.
    // Java: ServerStats.reset
    pub fn reset(&self) {
        self.latency.reset();
        self.packets_received.reset();
        self.packets_sent.reset();
        self.response_sizes.reset();
        self.proposal_sizes.reset();
        self.metrics.reset();
    }
}
