//! Finds a difference and makes the history around it short.

use std::fmt::Write as _;

use anyhow::Result;

use crate::history::{ROOT, Step};
use crate::play::play;

/// Tries at leaving out steps.
const TRIES_MAX: usize = 150;

/// Two servers that get the same histories.
pub(crate) struct Pair<'a> {
    reference: &'a str,
    subject: &'a str,
    plays: usize,
}

/// The first step whose answers differ.
pub(crate) struct Difference {
    step: usize,
    reference: Vec<String>,
    subject: Vec<String>,
}

impl<'a> Pair<'a> {
    /// `plays` is where the names of the folders begin; another beginning serves servers that were used before.
    pub(crate) fn new(reference: &'a str, subject: &'a str, plays: usize) -> Self {
        Self { reference, subject, plays }
    }

    /// Plays on both; `None` when they say the same.
    pub(crate) fn difference(&mut self, history: &[Step]) -> Result<Option<Difference>> {
        self.plays += 1;
        let root = format!("/{:04x}", self.plays);
        assert_eq!(root.len(), ROOT.len(), "too many plays for names of this length");
        let reference = play(self.reference, &root, history)?;
        let subject = play(self.subject, &root, history)?;
        let step = reference.iter().zip(&subject).position(|(reference, subject)| reference != subject);
        Ok(step.map(|step| Difference {
            step,
            reference: reference[step].clone(),
            subject: subject[step].clone(),
        }))
    }

    /// Cuts what follows the difference and leaves out what it does not need; the text of what remains.
    pub(crate) fn shrunk(&mut self, mut history: Vec<Step>, mut difference: Difference) -> Result<String> {
        history.truncate(difference.step + 1);
        let mut size = (history.len() / 2).max(1);
        let mut tries = 0;
        let mut at = 0;
        while tries < TRIES_MAX {
            if at + size >= history.len() {
                if size == 1 {
                    break;
                }
                (size, at) = (size / 2, 0);
                continue;
            }
            let mut shorter = history.clone();
            shorter.drain(at..at + size);
            tries += 1;
            match self.difference(&shorter)? {
                Some(found) => {
                    shorter.truncate(found.step + 1);
                    (history, difference) = (shorter, found);
                }
                None => at += size,
            }
        }
        Ok(render(&history, &difference))
    }
}

fn render(history: &[Step], difference: &Difference) -> String {
    let mut text = String::new();
    for step in history {
        let _ = writeln!(text, "  {step:?}");
    }
    for (name, notes) in [("reference", &difference.reference), ("subject", &difference.subject)] {
        let _ = writeln!(text, "{name}:");
        for note in notes {
            let _ = writeln!(text, "    {note}");
        }
    }
    text
}
