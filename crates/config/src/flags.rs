//! `-D` properties out of the JVM flag variables that start scripts set.

/// Splits like a POSIX shell: blanks part words, quotes and backslashes protect. No expansion of any kind.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(characters.next()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// The `-Dname=value` words in order; `-Dname` alone is the empty string, as in the JVM.
pub fn properties(text: &str) -> Vec<(String, String)> {
    words(text)
        .iter()
        .filter_map(|word| word.strip_prefix("-D"))
        .map(|definition| definition.split_once('=').unwrap_or((definition, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_protect_blanks() {
        assert_eq!(
            words(r#" -Xmx1g "-Da=b c" '-Dd=e f' -Dg=h\ i  -Dj="k"l "#),
            ["-Xmx1g", "-Da=b c", "-Dd=e f", "-Dg=h i", "-Dj=kl"]
        );
        assert_eq!(words(r#"'' "a\"b" 'a\b'"#), ["", "a\"b", "a\\b"]);
    }

    #[test]
    fn only_definitions_are_properties() {
        let found = properties("-Xmx1g -Dzookeeper.snapCount=5 -Djute.maxbuffer=0x100000 -Dflag");
        let want = [("zookeeper.snapCount", "5"), ("jute.maxbuffer", "0x100000"), ("flag", "")];
        assert_eq!(found, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
