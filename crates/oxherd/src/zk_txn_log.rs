//! The binary under the name `zkTxnLogToolkit.sh`: prints one file of the log, a txn a line, as the original does.
//!
//! It only reads. Where the original's `-r` writes a file with new checksums over what is damaged, and `-c` one that ends
//! earlier, `oxherd repair` is named: it knows which txns were acknowledged.
// Java: zkTxnLogToolkit.sh, TxnLogToolkit

mod show;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use oxherd_proto::decode_txn;
use oxherd_storage::{LogReader, OsDisk};

use self::show::write_txn;
use crate::zk_server;

const USAGE: &str = "usage: TxnLogToolkit [-dh] <txn_log_file_name>
 -d,--dump   Print all txns of the file (default)
 -h,--help   Print this";
/// Magic, version, number of the database.
const HEADER_LEN: usize = 16;

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Help,
    Dump(PathBuf),
    /// An option of the original that writes another file.
    Elsewhere(String),
    Wrong,
}

/// Runs under that name; `program` is how it was called.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "this is about the command line")]
pub(crate) fn run(program: &Path, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    // The file needs no configuration, but the script understands the words.
    let _ = zk_server::take_config(program, &mut words);
    let (asked, out) = (parse(&words), io::stdout().lock());
    let ended = match &asked {
        Asked::Dump(path) => dump(path, &mut BufWriter::new(out)),
        Asked::Elsewhere(option) => Err(anyhow::anyhow!(
            "{option} is not done here; see what is damaged and keep what is not: oxherd repair"
        )),
        Asked::Help | Asked::Wrong => {
            println!("{USAGE}");
            return if asked == Asked::Help { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String]) -> Asked {
    let mut file = None;
    for word in words {
        match word.as_str() {
            "-h" | "--help" => return Asked::Help,
            "-d" | "--dump" => {}
            word if word.starts_with('-') => return Asked::Elsewhere(word.to_owned()),
            word => file = file.or_else(|| Some(PathBuf::from(word))),
        }
    }
    file.map_or(Asked::Wrong, Asked::Dump)
}

/// Errors: what cannot be read, behind the lines of all that can.
// Java: TxnLogToolkit.dump
fn dump(path: &Path, out: &mut impl Write) -> Result<()> {
    let mut header = [0; HEADER_LEN];
    let opened =
        File::open(path).with_context(|| format!("File doesn't exist or not readable: {}", path.display()));
    let read = opened?.read_exact(&mut header);
    let Some(mut reader) = LogReader::open(&OsDisk, path)? else {
        bail!("{} holds nothing yet", path.display())
    };
    read?;
    let version = i32::from_be_bytes(header[4..8].try_into().expect("four of them"));
    let id = i64::from_be_bytes(header[8..].try_into().expect("eight of them"));
    writeln!(out, "ZooKeeper Transactional Log File with dbid {id} txnlog format version {version}")?;
    let mut count = 0;
    loop {
        let next = reader.next_record();
        if next.is_err() {
            out.flush()?;
        }
        let Some(record) = next? else { break };
        let txn =
            decode_txn(record.payload).with_context(|| format!("the txn {} cannot be read", record.zxid))?;
        write_txn(&txn.header, &txn.record, out)?;
        count += 1;
    }
    writeln!(out, "EOF reached after {count} txns.")?;
    Ok(out.flush()?)
}
