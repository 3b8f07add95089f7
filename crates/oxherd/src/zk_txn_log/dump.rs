//! Printing a file of the log, and writing it again with other checksums.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oxherd_proto::decode_txn;

use super::entries::{Entries, Entry, Next};
use super::show::write_txn;
use super::{Outcome, beside};

const QUESTION: &str = "Would you like to fix it (Yes/No/Abort) ? ";

/// What to do with a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dump {
    pub(super) path: PathBuf,
    /// Write it again.
    pub(super) recover: bool,
    /// Ask nothing.
    pub(super) yes: bool,
    /// Print intact txns too; without `recover` they always are.
    pub(super) verbose: bool,
}

/// Errors: what cannot be read or written. A file written until then holds all txns before it.
// Java: TxnLogToolkit.dump, TxnLogToolkit.printStat
pub(super) fn run(asked: &Dump, answers: &mut impl BufRead, out: &mut impl Write) -> Result<Outcome> {
    let mut entries = Entries::open(&asked.path)?;
    if !entries.is_log() {
        let name = asked.path.file_name().unwrap_or_default().display();
        return Ok(Outcome::Refused(format!("Invalid magic number for {name}")));
    }
    let mut fixed = asked.recover.then(|| Fixed::begin(&asked.path, entries.header())).transpose()?;
    entries.write_title(out)?;
    let mut count = 0;
    loop {
        let mut entry = match entries.next()? {
            Next::Entry(entry) => entry,
            Next::End => break,
            Next::Broken(reason) => bail!(reason),
            Next::Unfinished(offset) => {
                tell_unfinished(offset);
                break;
            }
        };
        if !entry.is_intact() {
            match judge(asked, &entry, answers, out)? {
                Verdict::Fix => fix(&mut entry, fixed.as_mut()),
                Verdict::Keep => {}
                Verdict::Abort => return fixed.map_or(Ok(()), Fixed::end).map(|()| Outcome::Aborted),
            }
        }
        if !asked.recover || asked.verbose {
            write_line("", &entry, out)?;
        }
        if !entry.is_closed {
            bail!("Last transaction was partial: the one at byte {} lacks its closing byte", entry.offset);
        }
        fixed.as_mut().map_or(Ok(()), |fixed| entry.write(&mut fixed.file))?;
        count += 1;
    }
    writeln!(out, "EOF reached after {count} txns.")?;
    if let Some(fixed) = fixed {
        let (path, count) = (fixed.path.display().to_string(), fixed.count);
        fixed.end()?;
        writeln!(out, "Recovery file {path} has been written with {count} fixed CRC error(s)")?;
    }
    Ok(Outcome::Done)
}

/// The original passes over it in silence.
#[expect(clippy::print_stderr, reason = "this is about the command line")]
fn tell_unfinished(offset: u64) {
    eprintln!("from byte {offset} on: the beginning of a txn that was never finished");
}

enum Verdict {
    Fix,
    Keep,
    Abort,
}

/// What becomes of an entry whose checksum is not that of its bytes.
fn judge(asked: &Dump, entry: &Entry, answers: &mut impl BufRead, out: &mut impl Write) -> Result<Verdict> {
    if asked.recover && asked.yes {
        write_line("CRC FIXED - ", entry, out)?;
        return Ok(Verdict::Fix);
    }
    write_line("CRC ERROR - ", entry, out)?;
    if asked.recover { ask(answers, out) } else { Ok(Verdict::Keep) }
}

fn fix(entry: &mut Entry, fixed: Option<&mut Fixed>) {
    entry.sum = entry.sum_found();
    if let Some(fixed) = fixed {
        fixed.count += 1;
    }
}

/// Asks until a word begins with one of the letters.
// Java: TxnLogToolkit.askForFix
fn ask(answers: &mut impl BufRead, out: &mut impl Write) -> Result<Verdict> {
    loop {
        write!(out, "{QUESTION}")?;
        out.flush()?;
        match first_of_word(answers)?.map(|letter| letter.to_ascii_uppercase()) {
            Some(b'Y') => return Ok(Verdict::Fix),
            Some(b'N') => return Ok(Verdict::Keep),
            Some(b'A') => return Ok(Verdict::Abort),
            Some(_) => {}
            None => bail!("nobody answers; -y says yes to all"),
        }
    }
}

/// The first letter of the next word, which is taken off the input; `None` at its end.
fn first_of_word(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    let mut first = None;
    for byte in Read::bytes(input) {
        match (byte?, first) {
            (byte, None) if byte.is_ascii_whitespace() => {}
            (byte, None) => first = Some(byte),
            (byte, Some(_)) if byte.is_ascii_whitespace() => break,
            _ => {}
        }
    }
    Ok(first)
}

/// Errors: bytes that are no txn. No checksum makes them one.
// Java: TxnLogToolkit.printTxn
fn write_line(mark: &str, entry: &Entry, out: &mut impl Write) -> Result<()> {
    let txn = decode_txn(entry.payload.clone());
    let txn = txn.with_context(|| format!("the txn at byte {} cannot be read", entry.offset))?;
    write!(out, "{mark}")?;
    Ok(write_txn(&txn.header, &txn.record, out)?)
}

/// The file that is written.
struct Fixed {
    path: PathBuf,
    file: BufWriter<File>,
    /// Checksums that were replaced.
    count: u32,
}

impl Fixed {
    /// Errors: a file that is there already.
    fn begin(log: &Path, header: &[u8]) -> Result<Self> {
        let path = beside(log, ".fixed");
        let created = File::create_new(&path);
        let created = created
            .with_context(|| format!("Recovery file {} already exists or not writable", path.display()));
        let mut file = BufWriter::new(created?);
        file.write_all(header)?;
        Ok(Self { path, file, count: 0 })
    }

    fn end(self) -> Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(file.sync_all()?)
    }
}
