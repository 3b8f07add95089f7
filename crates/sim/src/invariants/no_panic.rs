//! NoPanic: the code under test never gives up on an assertion of its own.

use std::any::Any;

use crate::verdict::{Breach, Check};

/// How a run ended: as it says, or with what was thrown.
pub fn check(ended: Result<Check, Box<dyn Any + Send>>) -> Check {
    ended.unwrap_or_else(|thrown| Err(Breach::new("NoPanic", words(thrown.as_ref()))))
}

fn words(thrown: &(dyn Any + Send)) -> String {
    let text = thrown.downcast_ref::<String>().cloned();
    text.or_else(|| thrown.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found_and_its_words_are_kept() {
        assert!(check(Ok(Ok(()))).is_ok());
        let thrown = std::panic::catch_unwind(|| panic!("the log of s{} is torn", 2));
        let breach = check(thrown).expect_err("a panic");
        assert_eq!(breach, Breach::new("NoPanic", "the log of s2 is torn"));
    }
}
