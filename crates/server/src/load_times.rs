//! How long the files took to become a tree.

use std::time::Instant;

use oxherd_metrics::Metrics;

use crate::driver::Driver;

/// Two parts: the snapshot, and the txns after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadTimes {
    begun: Instant,
    snapshot_read: Option<Instant>,
    /// When the last txn was applied, and how many there were.
    over: Option<(Instant, u64)>,
}

impl LoadTimes {
    /// Counts from now.
    pub(crate) fn begin() -> Self {
        Self { begun: Driver::now().instant, snapshot_read: None, over: None }
    }

    /// The snapshot is a tree now; of several that were tried the last counts.
    pub(crate) fn snapshot_read(&mut self) {
        self.snapshot_read = Some(Driver::now().instant);
    }

    /// So many txns came after the snapshot.
    pub(crate) fn txns_read(&mut self, txns: u64) {
        self.over = Some((Driver::now().instant, txns));
    }

    /// Shows them to operators, in ms.
    // Java: FileTxnSnapLog.restore, ZKDatabase.loadDataBase
    pub(crate) fn tell(&self, metrics: &Metrics) {
        let Some((over, txns)) = self.over else { return };
        let snapshot_read = self.snapshot_read.unwrap_or(self.begun);
        let ms = |from: Instant, to: Instant| {
            i64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(i64::MAX)
        };
        metrics.startup_snap_load_time.add(ms(self.begun, snapshot_read));
        metrics.startup_txns_load_time.add(ms(snapshot_read, over));
        metrics.startup_txns_loaded.add(i64::try_from(txns).unwrap_or(i64::MAX));
        metrics.dbinittime.add(ms(self.begun, over));
    }
}
