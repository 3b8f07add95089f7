//! The binary under the name `zkTxnLogToolkit.sh`: prints one file of the log, a txn a line, as the original does.
//!
//! It only reads. Where the original's `-r` writes a file with new checksums over what is damaged, and `-c` one that ends
//! earlier, `oxherd repair` is named: it knows which txns were acknowledged.
// Java: zkTxnLogToolkit.sh, TxnLogToolkit

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use jiff::{Timestamp, tz::TimeZone};
use oxherd_proto::{Acl, OpCode, Str, SubTxn, TxnHeader, TxnRecord, decode_txn};
use oxherd_storage::{LogReader, OsDisk};

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

// Java: TxnLogToolkit.printTxn
fn write_txn(header: &TxnHeader, record: &TxnRecord, out: &mut impl Write) -> io::Result<()> {
    let at = Timestamp::from_millisecond(header.time).unwrap_or(Timestamp::UNIX_EPOCH);
    let at = at.to_zoned(TimeZone::system());
    write!(
        out,
        "{} session 0x{:x} cxid 0x{:x} zxid 0x{:x} {} ",
        at.strftime("%-m/%-d/%y, %-I:%M:%S %p %Z"),
        header.client_id.0,
        i64::from(header.cxid.0),
        header.zxid.0,
        name(header.kind),
    )?;
    writeln!(out, "{}", shown(record))
}

// Java: TxnLogToolkit.getFormattedTxnStr
fn shown(record: &TxnRecord) -> String {
    let data = |data: &Option<_>| data.as_deref().map_or_else(String::new, text);
    match record {
        TxnRecord::Create(txn) => {
            let (path, acl) = (text(&txn.path), listed(&txn.acl));
            format!("{path},{},{acl},{},{}", data(&txn.data), txn.ephemeral, txn.parent_c_version)
        }
        TxnRecord::CreateContainer(txn) => {
            let (path, acl) = (text(&txn.path), listed(&txn.acl));
            format!("{path},{},{acl},{}", data(&txn.data), txn.parent_c_version)
        }
        TxnRecord::CreateTtl(txn) => {
            let (path, acl) = (text(&txn.path), listed(&txn.acl));
            format!("{path},{},{acl},{},{}", data(&txn.data), txn.parent_c_version, txn.ttl)
        }
        TxnRecord::SetData(txn) => format!("{},{},{}", text(&txn.path), data(&txn.data), txn.version),
        TxnRecord::Delete(txn) => escaped(&txn.path),
        TxnRecord::SetAcl(txn) => {
            let entries: Vec<String> = txn.acl.iter().map(|acl| format!("s{{{}}}", entry(acl))).collect();
            format!("{},v{{{}}},{}", escaped(&txn.path), entries.join(","), txn.version)
        }
        TxnRecord::Check(txn) => format!("{},{}", escaped(&txn.path), txn.version),
        TxnRecord::CreateSession(txn) => txn.time_out.to_string(),
        TxnRecord::CloseSession(None) => String::new(),
        TxnRecord::CloseSession(Some(txn)) => {
            let paths: Vec<String> = txn.paths_to_delete.iter().map(escaped).collect();
            format!("v{{{}}}", paths.join(","))
        }
        TxnRecord::Error(code) => code.code().to_string(),
        TxnRecord::Multi(subs) => subs.iter().map(sub).collect::<Vec<_>>().join(";"),
    }
}

/// The record's bytes taken for text, as the original does.
fn sub(sub: &SubTxn) -> String {
    format!("{}:{}", name(sub.kind), text(&sub.record.to_vec()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Each entry ends its own line.
// Java: ACL.toString, AbstractCollection.toString
fn listed(acls: &[Acl]) -> String {
    let entries: Vec<String> = acls.iter().map(|acl| format!("{}\n", entry(acl))).collect();
    format!("[{}]", entries.join(", "))
}

fn entry(acl: &Acl) -> String {
    format!("{},s{{{},{}}}", acl.perms, escaped(&acl.id.scheme), escaped(&acl.id.id))
}

// Java: ToStringOutputArchive.escapeString
fn escaped(text: &Str) -> String {
    let mut shown = "'".to_owned();
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '\0' | '\n' | '\r' | ',' | '}' | '%' => shown.push_str(&format!("%{:02X}", u32::from(character))),
            other => shown.push(other),
        }
    }
    shown
}

// Java: Request.op2String
fn name(kind: i32) -> String {
    let name = match OpCode::from_code(kind) {
        Some(OpCode::Create) => "create",
        Some(OpCode::Create2) => "create2",
        Some(OpCode::CreateContainer) => "createContainer",
        Some(OpCode::CreateTtl) => "createTTL",
        Some(OpCode::Delete) => "delete",
        Some(OpCode::DeleteContainer) => "deleteContainer",
        Some(OpCode::SetData) => "setData",
        Some(OpCode::Reconfig) => "reconfig",
        Some(OpCode::SetAcl) => "setACL",
        Some(OpCode::Check) => "check",
        Some(OpCode::Multi) => "multi",
        Some(OpCode::CreateSession) => "createSession",
        Some(OpCode::CloseSession) => "closeSession",
        Some(OpCode::Error) => "error",
        _ => return format!("unknown {kind}"),
    };
    name.to_owned()
}
