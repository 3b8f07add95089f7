//! From text to typed values, key by key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::report::{Report, Severity};
use crate::settings::Settings;
use crate::table::{Key, Place};

/// Reads values and reports texts that do not fit.
pub(crate) struct Reader<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) report: &'a mut Report,
}

/// A type that a key can have.
pub(crate) trait FromSetting: Sized {
    fn read(reader: &mut Reader<'_>, key: &'static Key) -> Self;

    /// The value as it would be written; `None` when there is none.
    fn written(&self, key: &Key) -> Option<String>;
}

/// What a text should have been.
type Expected = &'static str;

/// A type read from one text.
trait FromText: Sized {
    fn from_text(text: &str, key: &Key) -> Result<Self, Expected>;

    fn to_text(&self, key: &Key) -> String;
}

impl<T: FromText> FromSetting for T {
    fn read(reader: &mut Reader<'_>, key: &'static Key) -> Self {
        given(reader, key).unwrap_or_else(|| match T::from_text(key.default, key) {
            Ok(value) => value,
            Err(expected) => panic!("the default of {} must be {expected}", key.name),
        })
    }

    fn written(&self, key: &Key) -> Option<String> {
        Some(self.to_text(key))
    }
}

impl<T: FromText> FromSetting for Option<T> {
    fn read(reader: &mut Reader<'_>, key: &'static Key) -> Self {
        given(reader, key)
    }

    fn written(&self, key: &Key) -> Option<String> {
        self.as_ref().map(|value| value.to_text(key))
    }
}

impl FromSetting for BTreeMap<String, String> {
    fn read(reader: &mut Reader<'_>, key: &'static Key) -> Self {
        let prefix = key.family().unwrap_or(key.name).len();
        let family = reader.settings.family(key);
        family.map(|(name, setting)| (name[prefix..].to_owned(), setting.text.clone())).collect()
    }

    fn written(&self, _: &Key) -> Option<String> {
        None
    }
}

/// The given value; a text that does not fit is an error for keys of the file. The original ignores a property it
/// cannot read, so there it is a warning and the default holds.
fn given<T: FromText>(reader: &mut Reader<'_>, key: &'static Key) -> Option<T> {
    let setting = reader.settings.get(key, key.name)?;
    match T::from_text(&setting.text, key) {
        Ok(value) => Some(value),
        Err(expected) => {
            let about = Some((key.name, &setting.origin));
            let text = &setting.text;
            if is_strict(key) {
                reader.report.add(Severity::Error, about, format!("expected {expected}, found \"{text}\""));
            } else {
                let default = if key.default.is_empty() { "nothing" } else { key.default };
                let line = format!("expected {expected}, found \"{text}\"; the default holds: {default}");
                reader.report.add(Severity::Warning, about, line);
            }
            None
        }
    }
}

fn is_strict(key: &Key) -> bool {
    matches!(key.place, Place::File | Place::FileOrProperty)
}

/// Keys of the file take decimal digits; properties take `0x`, `#` and octal too.
// Java: Integer.parseInt and Integer.decode
fn integer(text: &str, key: &Key) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match lower.as_str() {
        digits if is_strict(key) => (digits, 10),
        hex if hex.starts_with("0x") => (&hex[2..], 16),
        hex if hex.starts_with('#') => (&hex[1..], 16),
        octal if octal.starts_with('0') && octal.len() > 1 => (&octal[1..], 8),
        digits => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

impl FromText for i32 {
    fn from_text(text: &str, key: &Key) -> Result<Self, Expected> {
        let expected = "a whole number from -2147483648 to 2147483647";
        integer(text, key).and_then(|value| value.try_into().ok()).ok_or(expected)
    }

    fn to_text(&self, _: &Key) -> String {
        self.to_string()
    }
}

impl FromText for i64 {
    fn from_text(text: &str, key: &Key) -> Result<Self, Expected> {
        integer(text, key).ok_or("a whole number of at most 64 bits")
    }

    fn to_text(&self, _: &Key) -> String {
        self.to_string()
    }
}

impl FromText for u16 {
    fn from_text(text: &str, key: &Key) -> Result<Self, Expected> {
        integer(text, key).and_then(|value| value.try_into().ok()).ok_or("a port from 0 to 65535")
    }

    fn to_text(&self, _: &Key) -> String {
        self.to_string()
    }
}

impl FromText for f64 {
    fn from_text(text: &str, _: &Key) -> Result<Self, Expected> {
        text.trim().parse().ok().filter(|value: &Self| value.is_finite()).ok_or("a decimal number")
    }

    fn to_text(&self, _: &Key) -> String {
        self.to_string()
    }
}

impl FromText for bool {
    /// Strict in the file; a property is true or yes exactly when the original says so, else false.
    fn from_text(text: &str, key: &Key) -> Result<Self, Expected> {
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        match key.default {
            "yes" if key.name == "forceSync" => Ok(text != "no"),
            "yes" | "no" => Ok(text == "yes"),
            _ if is("true") => Ok(true),
            _ if !is_strict(key) || is("false") => Ok(false),
            _ => Err("true or false"),
        }
    }

    fn to_text(&self, key: &Key) -> String {
        let (yes, no) = if matches!(key.default, "yes" | "no") { ("yes", "no") } else { ("true", "false") };
        (if *self { yes } else { no }).to_owned()
    }
}

impl FromText for String {
    fn from_text(text: &str, _: &Key) -> Result<Self, Expected> {
        Ok(text.to_owned())
    }

    fn to_text(&self, _: &Key) -> String {
        self.clone()
    }
}

impl FromText for PathBuf {
    fn from_text(text: &str, _: &Key) -> Result<Self, Expected> {
        Ok(Self::from(text))
    }

    fn to_text(&self, _: &Key) -> String {
        self.display().to_string()
    }
}
