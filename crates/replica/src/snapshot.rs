//! When a snapshot is due: after so many txns or bytes, with a roll of the dice.

/// When snapshots are due.
#[derive(Clone, Debug)]
pub struct SnapshotOptions {
    /// Txns between snapshots; the trigger lies between half and all of it (`snapCount`).
    pub txns: u64,
    /// Log bytes between snapshots, in the same way; `None` switches it off (`snapSizeLimitInKb`).
    pub bytes: Option<u64>,
}

/// Counts towards the next snapshot.
// Java: SyncRequestProcessor.shouldSnapshot
#[derive(Debug)]
pub(crate) struct SnapshotTrigger {
    options: SnapshotOptions,
    state: u64,
    txns: u64,
    bytes: u64,
    txns_due: u64,
    bytes_due: u64,
    /// One was asked for and has not begun yet.
    requested: bool,
}

impl SnapshotTrigger {
    pub(crate) fn new(options: SnapshotOptions, seed: u64, txns: u64) -> Self {
        let mut trigger =
            Self { options, state: seed | 1, txns: 0, bytes: 0, txns_due: 0, bytes_due: 0, requested: false };
        trigger.roll();
        trigger.txns = txns;
        trigger
    }

    pub(crate) fn note_txn(&mut self, len: usize) {
        self.txns += 1;
        self.bytes += u64::try_from(len).unwrap_or(u64::MAX);
    }

    pub(crate) fn is_due(&self) -> bool {
        !self.requested
            && (self.txns > self.txns_due || (self.options.bytes.is_some() && self.bytes > self.bytes_due))
    }

    pub(crate) fn requested(&mut self) {
        self.requested = true;
    }

    /// A snapshot was begun: counting starts anew.
    pub(crate) fn begun(&mut self) {
        self.requested = false;
        self.txns = 0;
        self.bytes = 0;
        self.roll();
    }

    /// Members of an ensemble must not all take their snapshots at the same txn.
    fn roll(&mut self) {
        let half = self.options.txns / 2;
        self.txns_due = half + self.next() % half.max(1);
        let half = self.options.bytes.unwrap_or(0) / 2;
        self.bytes_due = half + self.next() % half.max(1);
    }

    /// xorshift64: spread is all that is asked of it.
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_between_half_and_all_of_the_count_and_asked_for_once() {
        for seed in 0..50 {
            let mut trigger = SnapshotTrigger::new(SnapshotOptions { txns: 100, bytes: None }, seed, 0);
            let due = (1..=101).find(|_| {
                trigger.note_txn(10);
                trigger.is_due()
            });
            assert!(due.is_some_and(|txns| txns > 50 && txns <= 101), "seed {seed}: {due:?}");
            trigger.requested();
            trigger.note_txn(10);
            assert!(!trigger.is_due(), "one at a time");
            trigger.begun();
            assert!(!trigger.is_due());
        }
    }

    #[test]
    fn bytes_count_too() {
        let mut trigger = SnapshotTrigger::new(SnapshotOptions { txns: 1_000_000, bytes: Some(1000) }, 1, 0);
        trigger.note_txn(499);
        assert!(!trigger.is_due());
        trigger.note_txn(600);
        assert!(trigger.is_due());
    }
}
