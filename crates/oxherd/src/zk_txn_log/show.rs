//! A txn as one line of text.

use std::io::{self, Write};

use jiff::{Timestamp, tz::TimeZone};
use oxherd_proto::{Acl, OpCode, Str, SubTxn, TxnHeader, TxnRecord};

// Java: TxnLogToolkit.printTxn
pub(super) fn write_txn(header: &TxnHeader, record: &TxnRecord, out: &mut impl Write) -> io::Result<()> {
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
