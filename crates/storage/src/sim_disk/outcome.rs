//! What a crash leaves behind.

/// One legal outcome of a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashOutcome {
    /// Power loss: nothing that was not synced is there.
    Lost,
    /// Power loss: everything is there, as if it had been synced.
    Kept,
    /// Power loss: of each file that was not synced nothing, all, some first bytes or some sectors are there;
    /// each change of a directory is there or not. The same seed leaves the same.
    Seeded(u64),
    /// Power loss: of each file that was not synced nothing, all, or some first bytes are there, and with these it
    /// is as long as it was, zeroes behind them: its length was written and its bytes were not.
    Zeroed(u64),
    /// Only the process died: everything can be read, and what was not synced can still be lost later.
    ProcessDied,
}

/// What becomes of the changes of one file or directory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Lost,
    Kept,
    Prefix,
    Sectors,
    /// Some first bytes, and zeroes behind them.
    Zeroed,
}

impl CrashOutcome {
    pub(super) fn fate(self, rng: &mut Rng) -> Fate {
        match self {
            Self::Lost => Fate::Lost,
            Self::Kept | Self::ProcessDied => Fate::Kept,
            Self::Seeded(_) => match rng.below(5) {
                Some(0) => Fate::Lost,
                Some(1) => Fate::Kept,
                Some(2) => Fate::Prefix,
                _ => Fate::Sectors,
            },
            Self::Zeroed(_) => match rng.below(5) {
                Some(0) => Fate::Lost,
                Some(1) => Fate::Kept,
                _ => Fate::Zeroed,
            },
        }
    }

    pub(super) fn rng(self) -> Rng {
        match self {
            Self::Seeded(seed) | Self::Zeroed(seed) => Rng::new(seed),
            _ => Rng::new(0),
        }
    }
}

/// Xorshift with a multiplied output.
#[derive(Debug)]
pub(super) struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        // Any state but zero; neighbouring seeds shall not begin alike.
        let mut rng = Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        rng.next();
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// A number below `bound`; `None` when there is none.
    pub(super) fn below(&mut self, bound: usize) -> Option<usize> {
        let bound = u64::try_from(bound).ok().filter(|bound| *bound > 0)?;
        usize::try_from((self.next() >> 16) % bound).ok()
    }
}
