//! Writing a file of the log again up to a txn.
//!
//! The original copies as it reads, and leaves a copy of the whole file or a part of it when it finds nothing to chop.
//! Here the place is found first; without one no file is written.
// Java: LogChopper

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use oxherd_proto::{Jute as _, TxnHeader, Zxid};

use super::entries::{Entries, Entry, Next};
use super::{Outcome, beside};

/// The last txn that stays.
struct Place {
    /// Where it ends.
    end: u64,
    /// How many there are up to it.
    count: u64,
}

// Java: TxnLogToolkit.chop
pub(super) fn run(path: &Path, zxid: Zxid, out: &mut impl Write) -> Result<Outcome> {
    let mut entries = Entries::open(path)?;
    let refused = |reason: &str| {
        let name = path.file_name().unwrap_or_default().display();
        Ok(Outcome::Refused(format!("Failed to chop {name}: {reason}")))
    };
    if !entries.is_log() {
        return refused("it does not begin as a txn log does");
    }
    entries.write_title(out)?;
    match find(&mut entries, zxid, out)? {
        Ok(place) => {
            writeln!(out, "Chopping at {:x} new log has {} records", zxid.0, place.count)?;
            copy(path, &beside(path, &format!(".chopped{}", zxid.0)), place.end)?;
            Ok(Outcome::Done)
        }
        Err(reason) => refused(&reason),
    }
}

/// The place, or why there is none. What comes behind it is not judged, as it will be gone.
///
/// Errors: damage before the place.
// Java: LogChopper.chop
fn find(entries: &mut Entries, wanted: Zxid, out: &mut impl Write) -> Result<Result<Place, String>> {
    let (mut place, mut before, mut count) = (None, None, 0);
    loop {
        let zxid = match entries.next()? {
            Next::Entry(entry) => zxid_of(&entry),
            Next::Broken(reason) => Err(anyhow!(reason)),
            Next::Unfinished(offset) if place.is_some() => {
                Err(anyhow!("the txn at byte {offset} has no end"))
            }
            Next::Unfinished(_) | Next::End => {
                writeln!(out, "EOF reached after {count} txns.")?;
                return Ok(Err(match place {
                    Some(_) => "nothing follows that txn".to_owned(),
                    None => format!("it ends before 0x{:x}", wanted.0),
                }));
            }
        };
        let (zxid, end) = match zxid {
            Err(_) if place.is_some() => break,
            found => found?,
        };
        tell_gap(before.replace(zxid), zxid, out)?;
        if zxid > wanted {
            break;
        }
        count += 1;
        if zxid == wanted {
            place = Some(Place { end, count });
        }
    }
    Ok(place.ok_or_else(|| format!("it does not hold 0x{:x}", wanted.0)))
}

/// The zxid of an intact entry, and where it ends.
fn zxid_of(entry: &Entry) -> Result<(Zxid, u64)> {
    let offset = entry.offset;
    if !entry.is_closed {
        bail!("the txn at byte {offset} lacks its closing byte");
    }
    if !entry.is_intact() {
        bail!("CRC doesn't match {} vs {}, at byte {offset}", entry.sum, entry.sum_found());
    }
    let header = TxnHeader::from_bytes(entry.payload.clone());
    let header = header.with_context(|| format!("the txn at byte {offset} cannot be read"))?;
    Ok((header.zxid, entry.end))
}

/// Where the log lacks txns, for whoever looks into it.
fn tell_gap(before: Option<Zxid>, zxid: Zxid, out: &mut impl Write) -> io::Result<()> {
    let Some(before) = before.filter(|before| zxid.0 != before.0.wrapping_add(1)) else { return Ok(()) };
    let kind = match before.epoch() == zxid.epoch() {
        true => "intra-epoch",
        false if zxid.counter() == 1 => return Ok(()),
        false => "inter-epoch",
    };
    writeln!(out, "There is {kind} gap between {:x} and {:x}", before.0, zxid.0)
}

fn copy(from: &Path, to: &Path, end: u64) -> Result<()> {
    let mut source = File::open(from)?.take(end);
    let mut file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    let copied = io::copy(&mut source, &mut file).and_then(|_| file.sync_all());
    copied.with_context(|| format!("cannot write {}", to.display()))
}
