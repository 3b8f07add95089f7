//! What a seed chooses from chance of its own, so that the rest of its plan is what it is without.

use crate::dice::Dice;

/// Where the chance begins.
const STREAM: u64 = 0x0006_7a11_ed00;
/// Share of the plans with seven voters that have six, in percent.
const SIX_SHARE: u64 = 50;
/// Share of the plans whose losses of power leave zeroes at the ends of files, in percent.
const ZEROED_SHARE: u64 = 15;

/// An even number of voters, and what a loss of power leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Apart {
    six: bool,
    /// Whether files are as long as they were said to be, with zeroes where bytes are missing.
    pub(super) zeroed_tails: bool,
}

impl Apart {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ STREAM);
        Self { six: dice.chance(SIX_SHARE), zeroed_tails: dice.chance(ZEROED_SHARE) }
    }

    pub(super) fn voters(self, planned: usize) -> usize {
        if self.six && planned == 7 { 6 } else { planned }
    }
}
