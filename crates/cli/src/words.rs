//! Cuts a line into words.

/// Words are separated by blanks; single or double quotes around a word keep its blanks. A quote inside
/// a word is part of it, and one without its partner is left out.
// Java: ZooKeeperMain.MyCommandOptions.parseCommand
pub(crate) fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '\'' {
            let body = &rest[1..];
            match body.find(first) {
                Some(end) => {
                    words.push(body[..end].to_owned());
                    rest = &body[end + 1..];
                }
                None => rest = body,
            }
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_together() {
        assert_eq!(split("  create /a \"x y\" 'p \"q\"' "), ["create", "/a", "x y", "p \"q\""]);
        assert_eq!(split("set /a it's"), ["set", "/a", "it's"]);
        assert_eq!(split("set /a \"open"), ["set", "/a", "open"]);
        assert_eq!(split("set /a ''"), ["set", "/a", ""]);
        assert!(split("   ").is_empty());
    }
}
