//! Java's properties format: what `zoo.cfg` and the dynamic file are written in.
//!
//! One logical line is one entry: leading blanks are dropped, `#` and `!` start a comment line, a backslash at the
//! end joins the next line, the key ends at the first unescaped `=`, `:` or blank. Bytes are ISO-8859-1.
// Java: java.util.Properties.load

/// One key with its value and the line it began on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First line of the entry, counted from 1.
    pub line: usize,
    /// Key with escapes resolved and surrounding blanks dropped.
    pub key: String,
    /// Value with escapes resolved and surrounding blanks dropped.
    pub value: String,
}

/// A `\u` escape without four hexadecimal digits: the one thing the format refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape {
    /// Line of the entry, counted from 1.
    pub line: usize,
}

/// Reads all entries in file order. A repeated key appears each time; the last one counts.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, BadEscape> {
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    logical_lines(&text)
        .into_iter()
        .map(|(line, text)| {
            entry(&text).ok_or(BadEscape { line }).map(|(key, value)| Entry { line, key, value })
        })
        .collect()
}

/// The file without the entries whose keys `drop` names; all other lines stay as they are.
pub(crate) fn without(bytes: &[u8], drop: impl Fn(&str) -> bool) -> Vec<u8> {
    let (mut kept, mut dropping, mut open) = (Vec::with_capacity(bytes.len()), false, false);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text: String = line.iter().map(|&byte| char::from(byte)).collect();
        let part = text.trim_end_matches(['\n', '\r']).trim_start_matches([' ', '\t', '\x0c']);
        let is_comment = !open && (part.is_empty() || part.starts_with(['#', '!']));
        if !open {
            let key = unescape(&part[..key_end(part)]).unwrap_or_default();
            dropping = !is_comment && drop(&key);
        }
        open = !is_comment && ends_in_open_escape(part);
        if !dropping {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// Joins continued lines and drops comments and blank lines.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, natural) in natural_lines(text).enumerate() {
        let part = natural.trim_start_matches([' ', '\t', '\x0c']);
        if open.is_none() && (part.is_empty() || part.starts_with(['#', '!'])) {
            continue;
        }
        let (line, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        if ends_in_open_escape(part) {
            joined.push_str(&part[..part.len() - 1]);
            open = Some((line, joined));
        } else {
            joined.push_str(part);
            lines.push((line, joined));
        }
    }
    lines.extend(open);
    lines
}

/// Lines end at `\n`, `\r` or `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let ending = if text[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&text[end + ending..]);
        Some(&text[..end])
    })
}

fn ends_in_open_escape(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn entry(line: &str) -> Option<(String, String)> {
    let end = key_end(line);
    let blank = [' ', '\t', '\x0c'];
    let after = line[end..].trim_start_matches(blank);
    let value = after.strip_prefix(['=', ':']).unwrap_or(after).trim_start_matches(blank);
    Some((unescape(&line[..end])?.trim().to_owned(), unescape(value)?.trim().to_owned()))
}

fn key_end(line: &str) -> usize {
    let mut escaped = false;
    for (at, character) in line.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '=' | ':' | ' ' | '\t' | '\x0c' => return at,
            _ => {}
        }
    }
    line.len()
}

fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            units.extend(character.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        match characters.next() {
            Some('u') => units.push(unicode(&mut characters)?),
            Some('t') => units.push(0x09),
            Some('n') => units.push(0x0a),
            Some('f') => units.push(0x0c),
            Some('r') => units.push(0x0d),
            Some(other) => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
            None => {}
        }
    }
    Some(String::from_utf16_lossy(&units))
}

fn unicode(characters: &mut std::str::Chars<'_>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit << 4 | u16::try_from(characters.next()?.to_digit(16)?).ok()?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &[u8]) -> Vec<(usize, String, String)> {
        parse(text).unwrap().into_iter().map(|entry| (entry.line, entry.key, entry.value)).collect()
    }

    fn row(line: usize, key: &str, value: &str) -> (usize, String, String) {
        (line, key.to_owned(), value.to_owned())
    }

    #[test]
    fn three_separators_and_surrounding_blanks_give_the_same_entry() {
        let text = b"a=1\nb : 1\nc 1\n  d\t=\t1  \ne\n";
        let want = [row(1, "a", "1"), row(2, "b", "1"), row(3, "c", "1"), row(4, "d", "1"), row(5, "e", "")];
        assert_eq!(pairs(text), want);
    }

    #[test]
    fn comments_and_blank_lines_keep_the_count_of_lines() {
        assert_eq!(pairs(b"# c\n! d\n\n   \n  # e \\\nkey=v"), [row(6, "key", "v")]);
    }

    #[test]
    fn a_backslash_joins_lines_unless_it_is_itself_escaped() {
        assert_eq!(
            pairs(b"k=one,\\\n   two\nl=x\\\\\nm=y"),
            [row(1, "k", "one,two"), row(3, "l", "x\\"), row(4, "m", "y")]
        );
        assert_eq!(pairs(b"k=a\\\r\n#b\rl=2"), [row(1, "k", "a#b"), row(3, "l", "2")]);
    }

    #[test]
    fn escapes_and_latin_bytes_are_resolved() {
        assert_eq!(pairs(b"a\\ b\\=c=d\\te\\q"), [row(1, "a b=c", "d\teq")]);
        assert_eq!(pairs(b"k=\\u00e9\xe9"), [row(1, "k", "éé")]);
        assert_eq!(pairs(b"k=\\ud83d\\ude00"), [row(1, "k", "😀")]);
    }

    #[test]
    fn a_broken_unicode_escape_is_refused_with_its_line() {
        assert_eq!(parse(b"a=1\nb=\\u12g4"), Err(BadEscape { line: 2 }));
        assert_eq!(parse(b"b=\\u12"), Err(BadEscape { line: 1 }));
    }

    #[test]
    fn duplicates_are_kept_in_order() {
        assert_eq!(pairs(b"a=1\na=2"), [row(1, "a", "1"), row(2, "a", "2")]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
