//! The four-letter words, and which of them a server answers.

use std::collections::BTreeSet;

macro_rules! words {
    ($( #[doc = $doc:literal] $word:ident = $name:literal; )*) => {
        /// A four-letter word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Word {
            $( #[doc = $doc] $word, )*
            /// What telnet sends when it closes; no answer but the refusal when it is not in the whitelist.
            TelnetClose,
        }

        impl Word {
            /// All words that can be typed.
            pub const ALL: &'static [Self] = &[$( Self::$word ),*];

            /// The word as it is typed.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$word => $name, )*
                    Self::TelnetClose => "telnet close",
                }
            }
        }
    };
}

words! {
    /// Settings.
    Conf = "conf";
    /// Connections in full.
    Cons = "cons";
    /// Sets the figures of connections back.
    Crst = "crst";
    /// Sizes of the directories.
    Dirs = "dirs";
    /// Sessions, ephemeral nodes and connections by expiry.
    Dump = "dump";
    /// Process and system.
    Envi = "envi";
    /// Mask of traced packets.
    Gtmk = "gtmk";
    /// Digests of the tree.
    Hash = "hash";
    /// Whether the server is read-only.
    Isro = "isro";
    /// All metrics.
    Mntr = "mntr";
    /// Whether the process lives.
    Ruok = "ruok";
    /// Sets the figures of the server back.
    Srst = "srst";
    /// Summary of the server.
    Srvr = "srvr";
    /// Summary with connections.
    Stat = "stat";
    /// Sets the mask of traced packets to the 8 bytes that follow.
    Stmk = "stmk";
    /// Watches by session.
    Wchc = "wchc";
    /// Watches by path.
    Wchp = "wchp";
    /// Numbers of watches.
    Wchs = "wchs";
}

/// The bytes that telnet sends when it closes a connection.
const TELNET_CLOSE: [u8; 4] = [0xff, 0xf4, 0xff, 0xfd];

impl Word {
    /// The word that the first four bytes of a connection are, if any. No frame length that is served looks like one.
    pub fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        if bytes == TELNET_CLOSE {
            return Some(Self::TelnetClose);
        }
        Self::ALL.iter().copied().find(|word| word.name().as_bytes() == bytes)
    }

    /// Bytes that belong to the word after its four: the mask of stmk.
    pub const fn argument_len(self) -> usize {
        match self {
            Self::Stmk => 8,
            _ => 0,
        }
    }
}

/// The words a server answers.
// Java: FourLetterCommands.isEnabled
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whitelist(BTreeSet<Word>);

impl Whitelist {
    /// Reads the key `4lw.commands.whitelist`: words with commas between, or `*`.
    ///
    /// srvr is always in, because the start script asks for it, and isro where a read-only mode exists, because
    /// clients look for a writable server with it.
    pub fn parse(text: &str, read_only_mode: bool) -> Self {
        let mut words = BTreeSet::from([Word::Srvr]);
        if read_only_mode {
            words.insert(Word::Isro);
        }
        for item in text.split(',').map(str::trim) {
            if item == "*" {
                words.extend(Word::ALL.iter().copied().chain([Word::TelnetClose]));
                break;
            }
            words.extend(Word::ALL.iter().copied().filter(|word| word.name() == item));
        }
        Self(words)
    }

    /// Whether a word is answered.
    pub fn contains(&self, word: Word) -> bool {
        self.0.contains(&word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_by_their_bytes() {
        assert_eq!(Word::from_bytes(*b"ruok"), Some(Word::Ruok));
        assert_eq!(Word::from_bytes([0xff, 0xf4, 0xff, 0xfd]), Some(Word::TelnetClose));
        assert_eq!(Word::from_bytes([0, 0, 0, 44]), None);
        assert_eq!(Word::ALL.len(), 18);
    }

    #[test]
    fn srvr_is_always_answered_and_a_star_opens_all() {
        let closed = Whitelist::parse("", false);
        assert!(closed.contains(Word::Srvr) && !closed.contains(Word::Ruok) && !closed.contains(Word::Isro));
        assert!(Whitelist::parse("", true).contains(Word::Isro));
        let some = Whitelist::parse(" ruok , mntr,nope", false);
        assert!(some.contains(Word::Ruok) && some.contains(Word::Mntr) && !some.contains(Word::Conf));
        assert!(Word::ALL.iter().all(|&word| Whitelist::parse("*", false).contains(word)));
    }
}
