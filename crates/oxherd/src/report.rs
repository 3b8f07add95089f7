//! Longer texts for the person, or the pager, at the other end of standard output.

use std::io::Write as _;

/// Prints a text and ends its line. A reader that wants no more of it, such as `head`, is no error.
pub(crate) fn print(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{}", text.trim_end()));
}
