//! The binary under the name `zkSnapShotToolkit.sh`.
//!
//! What is expected is what the toolkit of ZooKeeper 3.9.5 prints of the same files in UTC, with children sorted.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Of an Oxherd server: an ephemeral node and its session, a container, a TTL, a quota, a name with a quote in it and a backslash.
const OURS: &[u8] = include_bytes!("data/oxherd-snapshot.d");
const OURS_PRINTED: &str = include_str!("data/oxherd-snapshot.d.txt");
/// Of ZooKeeper, packed in its two ways; hexadecimal.
const SNAPPY: &str = include_str!("../../storage/tests/data/snapshot.10.snappy.hex");
const SNAPPY_PRINTED: &str = include_str!("data/java-3.9.5-snapshot.10.txt");
const GZIP: &str = include_str!("../../storage/tests/data/snapshot.f.gz.hex");
const GZIP_JSON: &str = concat!(
    r#",[{"name":"/","asize":0,"dsize":0,"dev":0,"ino":1001},"#,
    r#"[{"name":"a","asize":2,"dsize":2,"dev":0,"ino":1002},"#,
    r#"{"name":"b","asize":2,"dsize":2,"dev":0,"ino":1003},"#,
    r#"{"name":"e","asize":3,"dsize":3,"dev":0,"ino":1004}],"#,
    r#"{"name":"acl","asize":6,"dsize":6,"dev":0,"ino":1005},"#,
    r#"{"name":"seq-0000000001","asize":0,"dsize":0,"dev":0,"ino":1006},"#,
    r#"[{"name":"zookeeper","asize":0,"dsize":0,"dev":0,"ino":1007},"#,
    r#"{"name":"config","asize":0,"dsize":0,"dev":0,"ino":1008},"#,
    r#"{"name":"quota","asize":0,"dsize":0,"dev":0,"ino":1009}]]]"#
);

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte =
        |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("a byte");
    digits.chunks(2).map(byte).collect()
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        symlink(env!("CARGO_BIN_EXE_oxherd"), place.path("zkSnapShotToolkit.sh")).expect("linked");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(self.path("zkSnapShotToolkit.sh"));
        let output = command.args(words).current_dir(self.0.path()).env("TZ", "UTC").output();
        let Output { status, stdout, stderr } = output.expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }

    /// Of a file with these bytes.
    fn print(&self, name: &str, bytes: &[u8], option: &[&str]) -> (Option<i32>, String, String) {
        std::fs::write(self.path(name), bytes).expect("written");
        self.run(&[option, &[name]].concat())
    }
}

#[test]
fn nodes_and_sessions_are_listed_as_the_original_lists_them() {
    let place = Place::new();
    let all_well = |text: &str| (Some(0), text.to_owned(), String::new());
    assert_eq!(place.print("snapshot.d", OURS, &["-d"]), all_well(OURS_PRINTED));
    assert_eq!(place.print("snapshot.10.snappy", &bytes_of(SNAPPY), &[]), all_well(SNAPPY_PRINTED));

    let (_, renamed, _) = place.print("of-monday", OURS, &["-d"]);
    assert_eq!(renamed, OURS_PRINTED, "the nodes tell the zxid too");
    let (_, later, _) = place.print("snapshot.ff", OURS, &["-d"]);
    assert!(later.ends_with("----\nLast zxid: 0xff\n"), "{later}");
}

#[test]
fn nodes_become_what_ncdu_reads() {
    let place = Place::new();
    let (code, out, said) = place.print("snapshot.f.gz", &bytes_of(GZIP), &["-json"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let (about, nodes) = out.split_once('}').expect("an object");
    assert!(about.starts_with(r#"[1,0,{"progname":"SnapshotFormatter.java","progver":"0.01","timestamp":1"#));
    assert_eq!(nodes, GZIP_JSON);

    let (_, out, _) = place.print("snapshot.d", OURS, &["-json"]);
    let parsed: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(parsed[3][1][2]["name"], "ü\\\"q");
}

#[test]
fn damage_is_one_line_and_nothing_is_printed_of_the_file() {
    let place = Place::new();
    let mut changed = OURS.to_vec();
    let at = OURS.windows(9).position(|bytes| bytes == b"zwei drei").expect("in it");
    changed[at] = b'Z';
    let gzip = bytes_of(GZIP);
    let cases: [(&str, &[u8], &str); 5] = [
        ("snapshot.d", &changed, "checksum"),
        ("snapshot.d", &OURS[..at], "ends within the tree"),
        ("snapshot.d", &OURS[4..], "does not begin as a snapshot does"),
        ("snapshot.f.gz", &gzip[..gzip.len() - 9], "snapshot.f.gz"),
        ("snapshot.d", b"", "snapshot.d"),
    ];
    for (name, bytes, reason) in cases {
        for option in [&[][..], &["-json"]] {
            let (code, out, said) = place.print(name, bytes, option);
            assert_eq!((code, out.as_str()), (Some(1), ""), "{said}");
            assert!(said.contains(reason) && said.lines().count() == 1, "{said}");
        }
    }
}

#[test]
fn a_wrong_call_is_told_apart_from_damage() {
    let place = Place::new();
    std::fs::write(place.path("snapshot.d"), OURS).expect("written");
    let calls: [(&[&str], &str); 6] = [
        (&[], "USAGE: SnapshotFormatter [-d|-json] snapshot_file\n"),
        (&["-d"], "USAGE: SnapshotFormatter "),
        (&["snapshot.d", "-d"], "USAGE: SnapshotFormatter "),
        (&["-d", "-json", "snapshot.d"], "exclude each other"),
        (&["snapshot.e"], "/snapshot.e' does not exist."),
        (&["-json", "."], "is a directory"),
    ];
    for (words, reason) in calls {
        let (code, out, said) = place.run(words);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words:?}: {said}");
        assert!(said.contains(reason), "{words:?}: {said}");
    }
}
