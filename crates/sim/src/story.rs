//! What happened in a run, line by line, for whoever has to understand it.

use std::collections::VecDeque;

/// Lines kept when nobody asked for all of them.
const LINES_KEPT: usize = 400;

/// The conversation of a run.
#[derive(Debug, Default)]
pub struct Story {
    lines: VecDeque<String>,
    /// Whether all lines are kept.
    pub whole: bool,
    /// Whether anything is told at all: words cost more than the run itself.
    pub told: bool,
}

impl Story {
    /// A story that keeps every line.
    pub fn whole() -> Self {
        Self { whole: true, told: true, ..Self::default() }
    }

    /// A story that keeps its end.
    pub fn of_the_end() -> Self {
        Self { told: true, ..Self::default() }
    }

    /// Adds a line, at `us` of virtual time.
    pub fn tell(&mut self, us: u64, line: impl FnOnce() -> String) {
        if !self.told {
            return;
        }
        if !self.whole && self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:>9}.{:03} ms  {}", us / 1000, us % 1000, line()));
    }

    /// All lines kept.
    pub fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}
