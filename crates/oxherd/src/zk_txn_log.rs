//! The binary under the name `zkTxnLogToolkit.sh`: prints one file of the log, a txn a line, and writes others from it.
//!
//! The file itself is never changed. `-r` makes damaged bytes pass for right by a new checksum, and `-c` ends the log
//! earlier, whoever was told that the rest is durable; `oxherd repair` knows what was acknowledged, and the usage says so.
// Java: zkTxnLogToolkit.sh, TxnLogToolkit

mod chop;
mod dump;
mod entries;
mod show;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use oxherd_proto::Zxid;

use self::dump::Dump;
use crate::zk_server;

const USAGE: &str = "usage: TxnLogToolkit [-dhrvyc] <txn_log_file_name> (-z <zxid>)
 -d,--dump         Print all txns of the file (default)
 -r,--recover      Write FILE.fixed, with new checksums where they do not match and you say so
 -y,--yes          With -r: say yes to all of them
 -v,--verbose      With -r: print all txns, not only those with wrong checksums
 -c,--chop         Write FILE.chopped<zxid>, which ends with the txn that -z names
 -z,--zxid <arg>   With -c: that txn, as 17, 0x11 or 021
 -h,--help         Print this
A new checksum makes damaged bytes pass for right. To keep what is whole and was acknowledged: oxherd repair";
// Java: ExitCode.INVALID_INVOCATION
const WRONG_FILE: u8 = 2;

/// What a file that could be read came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// By an answer.
    Aborted,
    /// The file is not of the kind that was asked for.
    Refused(String),
}

#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true, infer_long_args = true)]
struct Words {
    #[arg(short, long)]
    help: bool,
    /// The default; what the others say wins.
    #[arg(short, long)]
    dump: bool,
    #[arg(short, long)]
    recover: bool,
    #[arg(short, long)]
    verbose: bool,
    #[arg(short, long)]
    yes: bool,
    #[arg(short, long)]
    chop: bool,
    #[arg(short, long, allow_hyphen_values = true)]
    zxid: Option<String>,
    /// Only the first counts.
    files: Vec<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Help,
    Dump(Dump),
    Chop(PathBuf, Zxid),
    /// With what is wrong, if it can be named.
    Wrong(Option<String>),
}

/// Runs under that name; `program` is how it was called.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "this is about the command line")]
pub(crate) fn run(program: &Path, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    // The file needs no configuration, but the script understands the words.
    let _ = zk_server::take_config(program, &mut words);
    let mut out = BufWriter::new(io::stdout().lock());
    let ended = match parse(&words) {
        Asked::Dump(asked) => dump::run(&asked, &mut io::stdin().lock(), &mut out),
        Asked::Chop(path, zxid) => chop::run(&path, zxid, &mut out),
        asked => {
            drop(out);
            if let Asked::Wrong(Some(reason)) = &asked {
                eprintln!("{reason}\n");
            }
            println!("{USAGE}");
            return if asked == Asked::Help { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    // What was printed comes before what ended it.
    let ended = ended.and_then(|outcome| Ok(out.flush().map(|()| outcome)?));
    drop(out);
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Aborted) => {
            eprintln!("Recovery aborted.");
            ExitCode::SUCCESS
        }
        Ok(Outcome::Refused(reason)) => {
            eprintln!("{reason}");
            ExitCode::from(WRONG_FILE)
        }
        Err(reason) => {
            eprintln!("{reason:#}");
            ExitCode::FAILURE
        }
    }
}

// Java: TxnLogToolkit.parseCommandLine
fn parse(words: &[String]) -> Asked {
    let words = match Words::try_parse_from(words) {
        Ok(words) => words,
        Err(error) => return Asked::Wrong(error.to_string().lines().next().map(str::to_owned)),
    };
    let path = words.files.into_iter().next();
    match (path, words.chop, words.zxid) {
        _ if words.help => Asked::Help,
        (None, ..) => Asked::Wrong(None),
        (Some(path), true, Some(text)) => match zxid(&text) {
            Some(zxid) => Asked::Chop(path, zxid),
            None => Asked::Wrong(Some(format!("'{text}' is no zxid"))),
        },
        // The original takes either alone for nothing said, and prints the file.
        (_, true, None) | (_, false, Some(_)) => {
            Asked::Wrong(Some("--chop and --zxid go together".to_owned()))
        }
        (Some(path), false, None) => {
            let (recover, yes, verbose) = (words.recover, words.yes, words.verbose);
            Asked::Dump(Dump { path, recover, yes, verbose })
        }
    }
}

/// Decimal, hexadecimal behind `0x` or `#`, octal behind `0`.
// Java: Long.decode
fn zxid(text: &str) -> Option<Zxid> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let hex = ["0x", "0X", "#"].into_iter().find_map(|mark| text.strip_prefix(mark));
    let (digits, radix) = match (hex, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    let is_number = digits.bytes().all(|digit| digit.is_ascii_alphanumeric());
    let zxid = i64::from_str_radix(digits, radix).ok().filter(|_| is_number);
    zxid.map(Zxid)
}

/// A file beside `path`, named after it.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_class() {
        let asked = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            parse(&words)
        };
        let dump = |recover, yes, verbose| Asked::Dump(Dump { path: "log.1".into(), recover, yes, verbose });
        assert_eq!(asked("log.1"), dump(false, false, false));
        assert_eq!(asked("-d --dump log.1 log.2"), dump(false, false, false));
        assert_eq!(asked("-rvy log.1"), dump(true, true, true));
        assert_eq!(asked("log.1 --recover --yes"), dump(true, true, false));
        let chop = Asked::Chop("log.1".into(), Zxid(0x11));
        for words in ["-c -z 17 log.1", "log.1 --chop --zxid=0x11", "-cz 021 log.1", "-c log.1 -z #11"] {
            assert_eq!(asked(words), chop, "{words}");
        }
        assert_eq!(asked("log.1 -h"), Asked::Help);
        for words in ["", "-r", "-q log.1", "-c log.1", "-z 5 log.1", "-c -z x log.1", "-c -z -1 log.1"] {
            assert!(matches!(asked(words), Asked::Wrong(_)), "{words}");
        }
        assert_eq!([zxid("0"), zxid("0x"), zxid("0x-1"), zxid("08")], [Some(Zxid(0)), None, None, None]);
    }
}
