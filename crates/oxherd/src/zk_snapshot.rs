//! The binary under the name `zkSnapShotToolkit.sh`: prints a snapshot, a node a block or all of them as JSON for ncdu.
//!
//! Unlike the original it checks the seals too, before it prints anything, and children come sorted, so that the
//! listings of two snapshots can be compared.
// Java: zkSnapShotToolkit.sh, SnapshotFormatter

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, tz::TimeZone};
use oxherd_proto::{SessionId, StatPersisted, Zxid};
use oxherd_storage::{BodyProgress, Compression, OsDisk, SnapshotBody, SnapshotFile, load_snapshot};
use oxherd_tree::{LoadProgress, Loader, NodeView, Tree, TreeOptions};

use crate::zk_server;

const USAGE: &str = "USAGE: SnapshotFormatter [-d|-json] snapshot_file
       -d print the data of each node, as base64
       -json print nodes and their sizes as JSON";
const BOTH: &str = "-d and -json exclude each other";
// Java: ExitCode.INVALID_INVOCATION
const WRONG_CALL: u8 = 2;
/// The number of the node before the first: ncdu wants each to have its own.
// Java: SnapshotFormatter.INODE_IDX
const INODE_BEFORE: u64 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lengths,
    Data,
    Json,
}

/// Runs under that name; `program` is how it was called.
#[expect(clippy::print_stderr, reason = "this is about the command line")]
pub(crate) fn run(program: &Path, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    // The file needs no configuration, but the script understands the words.
    let _ = zk_server::take_config(program, &mut words);
    let (form, path) = match parse(&words) {
        Ok(asked) => asked,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::from(WRONG_CALL);
        }
    };
    match print(form, &path, &mut BufWriter::new(io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that wants no more of it, such as `head`.
        Err(error) if is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_reader_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The file comes last. Errors: what to say instead.
// Java: SnapshotFormatter.main
fn parse(words: &[String]) -> Result<(Form, PathBuf), String> {
    let Some((file, options)) = words.split_last() else { return Err(USAGE.to_owned()) };
    if options.iter().any(|word| word != "-d" && word != "-json") || file == "-d" || file == "-json" {
        return Err(USAGE.to_owned());
    }
    let path = readable(file)?;
    let has = |option: &str| options.iter().any(|word| word == option);
    match (has("-d"), has("-json")) {
        (true, true) => Err(BOTH.to_owned()),
        (true, false) => Ok((Form::Data, path)),
        (false, true) => Ok((Form::Json, path)),
        (false, false) => Ok((Form::Lengths, path)),
    }
}

// Java: ZKUtil.validateFileInput
fn readable(file: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(file);
    let shown = std::path::absolute(&path).unwrap_or_else(|_| path.clone()).display().to_string();
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("File '{shown}' does not exist."))
        }
        Err(error) => Err(format!("File '{shown}' cannot be read: {error}")),
        Ok(_) if path.is_dir() => Err(format!("'{shown}' is a directory; a file is needed.")),
        Ok(_) => Ok(path),
    }
}

/// Errors: what cannot be read, before anything is printed, or written.
// Java: SnapshotFormatter.run
fn print(form: Form, path: &Path, out: &mut impl Write) -> Result<()> {
    let (zxid, compression) = of_name(path);
    let measured = path.metadata().with_context(|| format!("cannot measure {}", path.display()))?;
    let file = SnapshotFile { path: path.to_owned(), zxid, len: measured.len(), compression };
    let (tree, sessions) = load(&file)?;
    match form {
        Form::Json => write_json(&tree, out)?,
        _ => write_listing(&tree, &sessions, form == Form::Data, zxid, out)?,
    }
    Ok(out.flush()?)
}

/// Zxid, -1 if there is none, and packing. A file that is checked by hand may have been renamed.
// Java: Util.getZxidFromName, SnapStream.getStreamMode
fn of_name(path: &Path) -> (Zxid, Compression) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parts: Vec<&str> = name.split('.').collect();
    let zxid = match parts[..] {
        ["snapshot", hex, ..] => i64::from_str_radix(hex, 16).unwrap_or(-1),
        _ => -1,
    };
    let compression = parts[1..].last().and_then(|method| Compression::from_method(method));
    (Zxid(zxid), compression.unwrap_or_default())
}

struct Body(Loader);

impl SnapshotBody for Body {
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>> {
        Ok(match self.0.push(bytes)? {
            LoadProgress::More => BodyProgress::More,
            LoadProgress::Done { consumed } => BodyProgress::Done { consumed },
        })
    }
}

fn load(file: &SnapshotFile) -> Result<(Tree, Vec<(SessionId, i32)>)> {
    let options = TreeOptions { digest: false, ..TreeOptions::default() };
    let mut body = Body(Loader::new(options).expecting(file.len));
    load_snapshot(&OsDisk, file, &mut body)?;
    Ok(body.0.finish()?)
}

/// One step of a walk that has no other stack than its own: paths may be deep.
enum Step {
    Enter(Vec<u8>),
    /// All below the last node entered that has children and was not left.
    Leave,
}

/// Puts the children of a node on the stack, the first in the order of names on top.
fn push_children(node: &NodeView<'_>, path: &[u8], steps: &mut Vec<Step>) {
    let above = if path == b"/" { b"" } else { path };
    let mut names: Vec<&[u8]> = node.children().collect();
    names.sort_unstable_by(|one, other| other.cmp(one));
    steps.extend(names.into_iter().map(|name| Step::Enter([above, b"/", name].concat())));
}

// Java: SnapshotFormatter.printDetails
fn write_listing(
    tree: &Tree,
    sessions: &[(SessionId, i32)],
    with_data: bool,
    named: Zxid,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "ZNode Details (count={}):", tree.node_count())?;
    let mut last = named;
    let mut steps = vec![Step::Enter(b"/".to_vec())];
    while let Some(step) = steps.pop() {
        let Step::Enter(path) = step else { continue };
        let Some(node) = tree.node(&path) else { continue };
        let stat = node.persisted();
        last = last.max(stat.mzxid).max(stat.pzxid);
        write_node(&path, &node, &stat, with_data, out)?;
        push_children(&node, &path, &mut steps);
    }
    writeln!(out, "----\nSession Details (sid, timeout, ephemeralCount):")?;
    for (session, timeout) in sessions {
        writeln!(out, "{}, {timeout}, {}", Hex(session.0), tree.ephemerals(*session).count())?;
    }
    writeln!(out, "----\nLast zxid: 0x{:x}", last.0)
}

// Java: SnapshotFormatter.printZnode, printStat
fn write_node(
    path: &[u8],
    node: &NodeView<'_>,
    stat: &StatPersisted,
    with_data: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "----")?;
    out.write_all(path)?;
    writeln!(out, "\n  cZxid = {}\n  ctime = {}", Hex(stat.czxid.0), date(stat.ctime))?;
    writeln!(out, "  mZxid = {}\n  mtime = {}", Hex(stat.mzxid.0), date(stat.mtime))?;
    writeln!(out, "  pZxid = {}\n  cversion = {}", Hex(stat.pzxid.0), stat.cversion)?;
    writeln!(out, "  dataVersion = {}\n  aclVersion = {}", stat.version, stat.aversion)?;
    writeln!(out, "  ephemeralOwner = {}", Hex(stat.ephemeral_owner.0))?;
    let data = node.data().unwrap_or_default();
    match with_data {
        true => writeln!(out, "  data = {}", STANDARD.encode(data)),
        false => writeln!(out, "  dataLength = {}", data.len()),
    }
}

/// At least 16 characters, its mark included.
struct Hex(i64);

impl fmt::Display for Hex {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:#016x}", self.0)
    }
}

/// In the local zone, as in `Mon Jan 05 13:04:05 CET 2026`.
// Java: Date.toString
fn date(wall_ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(wall_ms) else {
        return format!("{wall_ms} ms");
    };
    at.to_zoned(TimeZone::system()).strftime("%a %b %d %H:%M:%S %Z %Y").to_string()
}

/// ncdu's export format: a node that has children is a list of itself and of them.
// Java: SnapshotFormatter.printSnapshotJson, printZnodeJson
fn write_json(tree: &Tree, out: &mut impl Write) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let about = format!(r#"{{"progname":"SnapshotFormatter.java","progver":"0.01","timestamp":{now}}}"#);
    write!(out, "[1,0,{about}")?;
    let mut inode = INODE_BEFORE;
    let mut steps = vec![Step::Enter(b"/".to_vec())];
    while let Some(step) = steps.pop() {
        let Step::Enter(path) = step else {
            write!(out, "]")?;
            continue;
        };
        let Some(node) = tree.node(&path) else { continue };
        inode += 1;
        let has_children = node.child_count() > 0;
        write!(out, ",{}{}", if has_children { "[" } else { "" }, entry(&path, &node, inode)?)?;
        if has_children {
            steps.push(Step::Leave);
            push_children(&node, &path, &mut steps);
        }
    }
    write!(out, "]")
}

fn entry(path: &[u8], node: &NodeView<'_>, inode: u64) -> io::Result<String> {
    let name = oxherd_tree::name(path).unwrap_or(path);
    let name = serde_json::to_string(&String::from_utf8_lossy(name))?;
    let len = node.data().unwrap_or_default().len();
    Ok(format!(r#"{{"name":{name},"asize":{len},"dsize":{len},"dev":0,"ino":{inode}}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_zxid_and_packing_wherever_they_can() {
        let of = |name: &str| of_name(&Path::new("dir.gz").join(name));
        assert_eq!(of("snapshot.1f"), (Zxid(0x1f), Compression::None));
        assert_eq!(of("snapshot.100000005.gz"), (Zxid(0x1_0000_0005), Compression::Gzip));
        assert_eq!(of("snapshot.5.SNAPPY"), (Zxid(5), Compression::Snappy));
        assert_eq!(of("mine.gz"), (Zxid(-1), Compression::Gzip));
        assert_eq!(of("snapshot.5.of-monday"), (Zxid(5), Compression::None));
        assert_eq!(of("gz"), (Zxid(-1), Compression::None));
        assert_eq!(of("snapshot"), (Zxid(-1), Compression::None));
    }

    #[test]
    fn numbers_are_as_wide_as_those_of_the_original() {
        assert_eq!(Hex(0).to_string(), "0x00000000000000");
        assert_eq!(Hex(0x1_0000_0005).to_string(), "0x00000100000005");
        assert_eq!(Hex(0x0100_0000_0000_0001).to_string(), "0x100000000000001");
        assert_eq!(Hex(-1).to_string(), "0xffffffffffffffff");
    }
}
