//! How a run ends.

use std::fmt;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The invariant's name.
    pub invariant: &'static str,
    /// What was seen.
    pub why: String,
}

impl Breach {
    /// A breach of `invariant`, with what was seen.
    pub fn new(invariant: &'static str, why: impl Into<String>) -> Self {
        Self { invariant, why: why.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.why)
    }
}

/// What a check finds.
pub type Check = Result<(), Breach>;

/// Fails with a breach unless `holds`.
pub fn demand(holds: bool, invariant: &'static str, why: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Breach::new(invariant, why())) }
}
