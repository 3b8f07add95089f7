//! Metadata, ACLs, dates and dumps as text and as JSON.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use oxherd_client::Event;
use oxherd_proto::{Acl, Id, Stat, Str};
use serde_json::{Value, json};

/// Metadata, one field a line.
// Java: StatPrinter.print
pub(crate) fn stat_text(stat: &Stat) -> String {
    format!(
        "cZxid = 0x{:x}\nctime = {}\nmZxid = 0x{:x}\nmtime = {}\npZxid = 0x{:x}\ncversion = {}\n\
         dataVersion = {}\naclVersion = {}\nephemeralOwner = 0x{:x}\ndataLength = {}\nnumChildren = {}",
        stat.czxid.0,
        date(stat.ctime),
        stat.mzxid.0,
        date(stat.mtime),
        stat.pzxid.0,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner.0,
        stat.data_length,
        stat.num_children
    )
}

/// Metadata for scripts; ids and zxids as hexadecimal text, because JSON numbers lose 64-bit values.
pub(crate) fn stat_json(stat: &Stat) -> Value {
    json!({
        "cZxid": stat.czxid.to_string(),
        "ctime": stat.ctime,
        "mZxid": stat.mzxid.to_string(),
        "mtime": stat.mtime,
        "pZxid": stat.pzxid.to_string(),
        "cversion": stat.cversion,
        "dataVersion": stat.version,
        "aclVersion": stat.aversion,
        "ephemeralOwner": stat.ephemeral_owner.to_string(),
        "dataLength": stat.data_length,
        "numChildren": stat.num_children,
    })
}

/// A time in the local zone, as in `Mon Jan 05 13:04:05 CET 2026`.
// Java: Date.toString
fn date(wall_ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(wall_ms) else {
        return format!("{wall_ms} ms");
    };
    at.to_zoned(TimeZone::system()).strftime("%a %b %d %H:%M:%S %Z %Y").to_string()
}

const PERMISSIONS: [(char, i32); 5] = [('c', 4), ('d', 8), ('r', 1), ('w', 2), ('a', 16)];

/// The letters of a permission set.
// Java: ZKUtil.getPermString
pub(crate) fn permissions(perms: i32) -> String {
    PERMISSIONS.iter().filter(|(_, bit)| perms & bit != 0).map(|(letter, _)| letter).collect()
}

/// Reads `scheme:id:perms[,…]`; what cannot be read is left out and told in the second list.
// Java: AclParser.parse
pub(crate) fn parse_acl(text: &str) -> (Vec<Acl>, Vec<String>) {
    let mut acl = Vec::new();
    let mut problems = Vec::new();
    for entry in text.split(',') {
        let parts = entry.split_once(':').and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once(':')?)));
        let Some((scheme, (id, letters))) = parts else {
            problems.push(format!("{entry} does not have the form scheme:id:perm"));
            continue;
        };
        let mut perms = 0;
        for letter in letters.chars() {
            match PERMISSIONS.iter().find(|(known, _)| *known == letter) {
                Some((_, bit)) => perms |= bit,
                None => problems.push(format!("Unknown perm type: {letter}")),
            }
        }
        acl.push(Acl { perms, id: Id { scheme: Str::from(scheme), id: Str::from(id) } });
    }
    (acl, problems)
}

/// A list as `[a, b]`.
pub(crate) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

/// Bytes as a table of 16 a row.
// Java: HexDumpOutputFormatter
pub(crate) fn hex_dump(data: &[u8]) -> String {
    use std::fmt::Write;
    if data.is_empty() {
        return String::new();
    }
    let rule = format!("+--------+{}+{}+", "-".repeat(49), "-".repeat(16));
    let columns: String = (0..16).map(|column| format!("  {column:x}")).collect();
    let mut text = format!("         +{}+\n         |{columns} |\n{rule}", "-".repeat(49));
    for (row, bytes) in data.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let plain = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
        let plain: String = bytes.iter().map(plain).collect();
        // Writing to a String cannot fail.
        let _ = write!(text, "\n|{:08x}|{hex:<48} |{plain:<16}|", row * 16);
    }
    text + "\n" + &rule
}

/// An event as the shell shows it, between blank lines.
// Java: WatchedEvent.toString, ZooKeeperMain.printMessage
pub(crate) fn event_text(event: &Event) -> String {
    let path = event.path.as_deref().unwrap_or("null");
    let Event { kind, state, zxid, .. } = event;
    format!("\nWATCHER::\n\nWatchedEvent state:{state} type:{kind} path:{path} zxid: {}\n", zxid.0)
}

/// An event for scripts.
pub(crate) fn event_json(event: &Event) -> Value {
    json!({ "event": {
        "type": event.kind.to_string(),
        "state": event.state.to_string(),
        "path": event.path,
        "zxid": event.zxid.0,
    }})
}

#[cfg(test)]
mod tests {
    use oxherd_client::{EventType, KeeperState};
    use oxherd_proto::Zxid;

    use super::*;

    #[test]
    fn an_acl_is_read_and_shown_with_the_same_letters() {
        let (acl, problems) = parse_acl("world:anyone:r,digest:u:h=:cdrwa,ip:::1:rw");
        assert!(problems.is_empty());
        let shown: Vec<_> = acl.iter().map(|entry| permissions(entry.perms)).collect();
        assert_eq!(shown, ["r", "cdrwa", "rw"]);
        assert_eq!(acl[1].id.id, Str::from("u:h="));
        let (acl, problems) = parse_acl("world,world:anyone:rx");
        assert_eq!(acl.len(), 1);
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn a_dump_has_sixteen_bytes_a_row() {
        let dump = hex_dump(b"0123456789abcdef\n\xff");
        let rows: Vec<_> = dump.lines().collect();
        assert_eq!(rows[0].len(), 60);
        assert_eq!(rows[1], "         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |");
        assert_eq!(rows[3], "|00000000| 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 |0123456789abcdef|");
        assert_eq!(rows[4], format!("|00000010| 0a ff{}|..{}|", " ".repeat(43), " ".repeat(14)));
        assert_eq!(rows.len(), 6);
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn an_event_is_shown_between_blank_lines() {
        let event = Event {
            kind: EventType::NodeCreated,
            state: KeeperState::SyncConnected,
            path: Some("/a".to_owned()),
            zxid: Zxid(7),
        };
        let expected = "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeCreated path:/a zxid: 7\n";
        assert_eq!(event_text(&event), expected);
    }
}
