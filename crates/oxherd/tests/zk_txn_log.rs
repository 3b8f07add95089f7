//! The binary under the name `zkTxnLogToolkit.sh`.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use oxherd_proto::Zxid;
use oxherd_storage::{LogReader, OsDisk};

/// A log of ZooKeeper 3.9.5 with every kind of txn but reconfig, and what its own toolkit prints of it in UTC.
const LOG: &[u8] = include_bytes!("data/java-3.9.5-log.1");
const PRINTED: &str = include_str!("data/java-3.9.5-log.1.txt");
/// Where a node's name stands in the txn 0x11, and where that txn begins.
const DAMAGED_AT: usize = 1795;
const DAMAGED_TXN: usize = 1747;
/// Where the last of the 19 txns ends.
const END: usize = 1998;
const TITLE: &str = "ZooKeeper Transactional Log File with dbid 0 txnlog format version 2\n";
const QUESTION: &str = "Would you like to fix it (Yes/No/Abort) ? ";
/// The damaged txn, as it is printed.
const CHANGED: &str = "11/24/26, 3:43:58 AM UTC session 0x1000057080a0000 cxid 0x1f zxid 0x11 create \
    !seq-0000000004,s,[31,s{'world,'anyone}\n],false,5\n";

fn damaged() -> Vec<u8> {
    let mut log = LOG.to_vec();
    assert_eq!(std::mem::replace(&mut log[DAMAGED_AT], b'!'), b'/');
    log
}

/// What is printed of the damaged log, but for the marks.
fn damaged_printed() -> String {
    let at = PRINTED.rfind("/seq-").expect("in it");
    format!("{}!{}", &PRINTED[..at], &PRINTED[at + 1..])
}

struct Place(tempfile::TempDir);

struct Ended {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Place {
    fn new(log: &[u8]) -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        symlink(env!("CARGO_BIN_EXE_oxherd"), place.path("zkTxnLogToolkit.sh")).expect("linked");
        std::fs::write(place.path("log.1"), log).expect("written");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(name)).ok()
    }

    fn run(&self, words: &str) -> Ended {
        self.answer(words, "")
    }

    /// With these answers to what it asks.
    fn answer(&self, words: &str, answers: &str) -> Ended {
        let mut command = Command::new(self.path("zkTxnLogToolkit.sh"));
        command.args(words.split_whitespace()).current_dir(self.0.path()).env("TZ", "UTC");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        // One that asks nothing may have ended already.
        drop(child.stdin.take().expect("a pipe").write_all(answers.as_bytes()));
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Ended { code: output.status.code(), out: text(output.stdout), said: text(output.stderr) }
    }

    /// Zxids of a file that a server would read.
    fn zxids(&self, name: &str) -> Vec<Zxid> {
        let mut reader = LogReader::open(&OsDisk, &self.path(name)).expect("a log").expect("not empty");
        std::iter::from_fn(|| reader.next_record().expect("whole").map(|record| record.zxid)).collect()
    }
}

fn zxids(last: i64) -> Vec<Zxid> {
    (1..=last).map(Zxid).collect()
}

#[test]
fn a_log_is_printed_as_the_original_prints_it_with_its_damage() {
    let ended = Place::new(LOG).run("--dump log.1");
    assert_eq!((ended.code, ended.out.as_str(), ended.said.as_str()), (Some(0), PRINTED, ""));

    let ended = Place::new(&damaged()).run("log.1");
    let marked = damaged_printed().replace(CHANGED, &format!("CRC ERROR - {CHANGED}{CHANGED}"));
    assert_eq!((ended.code, ended.out, ended.said), (Some(0), marked, String::new()));

    let place = Place::new(&LOG[..DAMAGED_AT]);
    let ended = place.run("log.1");
    assert!(ended.code == Some(0) && ended.out.ends_with("EOF reached after 16 txns.\n"), "{}", ended.out);
    assert!(ended.said.contains(&format!("from byte {DAMAGED_TXN} on")), "{}", ended.said);
}

#[test]
fn what_cannot_be_read_ends_the_listing_behind_what_can() {
    let mut open = LOG.to_vec();
    open[END - 1] = 0;
    let mut endless = LOG.to_vec();
    endless[DAMAGED_TXN + 8] = 0x80;
    let mut senseless = LOG.to_vec();
    senseless[DAMAGED_TXN + 12..DAMAGED_TXN + 112].fill(0x7f);
    for (log, last, reason) in [
        (open, "zxid 0x13 closeSession v{'/app/eph}\n", "Last transaction was partial"),
        (endless, "],4\n", "byte 1747 claims a length of -2147483548"),
        (senseless, "],4\n", "the txn at byte 1747 cannot be read"),
    ] {
        let ended = Place::new(&log).run("log.1");
        assert!(ended.code == Some(1) && ended.said.contains(reason), "{}", ended.said);
        assert!(ended.out.ends_with(last), "{}", ended.out);
    }
    let ended = Place::new(&[0; 100]).run("log.1");
    assert_eq!((ended.code, ended.said.as_str()), (Some(2), "Invalid magic number for log.1\n"));
    let ended = Place::new(b"ZKLG").run("log.1");
    assert!(ended.code == Some(1) && ended.said.contains("its header"), "{}", ended.said);
}

#[test]
fn wrong_checksums_are_replaced_in_another_file_that_servers_read() {
    let place = Place::new(&damaged());
    let ended = place.run("--recover --yes log.1");
    let told =
        "EOF reached after 19 txns.\nRecovery file log.1.fixed has been written with 1 fixed CRC error(s)\n";
    assert_eq!((ended.code, ended.out), (Some(0), format!("{TITLE}CRC FIXED - {CHANGED}{told}")));
    assert_eq!(place.read("log.1"), Some(damaged()), "the file itself is left alone");
    let fixed = place.read("log.1.fixed").expect("written");
    let changed: Vec<usize> = (0..END).filter(|at| fixed[*at] != damaged()[*at]).collect();
    assert!(!changed.is_empty() && changed.iter().all(|at| (DAMAGED_TXN..DAMAGED_TXN + 8).contains(at)));
    assert_eq!((fixed.len(), place.zxids("log.1.fixed")), (END, zxids(19)));
    assert_eq!(place.run("log.1.fixed").out, damaged_printed());

    let ended = place.run("-r -y log.1");
    assert!(ended.code == Some(1) && ended.said.contains("log.1.fixed already exists"), "{}", ended.said);
    assert_eq!(place.read("log.1.fixed"), Some(fixed), "and so is one that is there");
}

#[test]
fn all_txns_are_shown_when_asked_for() {
    let place = Place::new(&damaged());
    let ended = place.run("-rvy log.1");
    let all = damaged_printed().replace(CHANGED, &format!("CRC FIXED - {CHANGED}{CHANGED}"));
    assert!(ended.code == Some(0) && ended.out.starts_with(&all), "{}", ended.out);
    assert!(ended.out[all.len()..].starts_with("Recovery file "), "{}", ended.out);
}

#[test]
fn each_wrong_checksum_is_asked_about() {
    let mut two = damaged();
    // The checksum of the first txn.
    two[16 + 7] ^= 1;
    let place = Place::new(&two);
    let ended = place.answer("-r log.1", "what? No\nyes");
    assert!(ended.code == Some(0) && ended.out.contains("with 1 fixed CRC error(s)\n"), "{}", ended.out);
    assert!(ended.out.contains(&format!(" createSession 30000\n{QUESTION}{QUESTION}CRC ERROR - {CHANGED}")));
    let fixed = place.read("log.1.fixed").expect("written");
    assert_eq!(fixed[16 + 7], two[16 + 7], "as it was");
    std::fs::rename(place.path("log.1.fixed"), place.path("log.1")).expect("renamed");

    let ended = place.answer("-r log.1", "y");
    assert!(ended.code == Some(0) && ended.out.contains("with 1 fixed CRC error(s)\n"), "{}", ended.out);
    assert_eq!(place.zxids("log.1.fixed"), zxids(19));
}

#[test]
fn a_recovery_may_be_given_up_and_is_without_answers() {
    let place = Place::new(&damaged());
    let ended = place.answer("-r log.1", "abort");
    assert_eq!((ended.code, ended.said.as_str()), (Some(0), "Recovery aborted.\n"));
    assert_eq!(ended.out, format!("{TITLE}CRC ERROR - {CHANGED}{QUESTION}"));
    assert_eq!(place.zxids("log.1.fixed"), zxids(16), "what came before");

    std::fs::remove_file(place.path("log.1.fixed")).expect("removed");
    let ended = place.run("-r log.1");
    assert!(ended.code == Some(1) && ended.said.contains("nobody answers"), "{}", ended.said);
}

#[test]
fn a_log_is_chopped_behind_a_txn() {
    let place = Place::new(LOG);
    for words in ["-c -z 0x11 log.1", "--chop log.1 --zxid=17"] {
        let ended = place.run(words);
        let told = format!("{TITLE}Chopping at 11 new log has 17 records\n");
        assert_eq!((ended.code, ended.out, ended.said), (Some(0), told, String::new()));
        let chopped = place.read("log.1.chopped17").expect("written");
        assert!(LOG.starts_with(&chopped));
        assert_eq!(place.zxids("log.1.chopped17"), zxids(17));
        std::fs::remove_file(place.path("log.1.chopped17")).expect("removed");
    }
    let place = Place::new(&damaged());
    assert_eq!(place.run("-c -z 16 log.1").code, Some(0), "the damage is behind it");
    assert_eq!(place.zxids("log.1.chopped16"), zxids(16));
}

#[test]
fn nothing_to_chop_makes_no_file() {
    for (log, zxid, code, reason) in [
        (LOG.to_vec(), "19", 2, "Failed to chop log.1: nothing follows that txn"),
        (LOG.to_vec(), "20", 2, "Failed to chop log.1: it ends before 0x14"),
        (LOG.to_vec(), "0", 2, "Failed to chop log.1: it does not hold 0x0"),
        (damaged(), "17", 1, "CRC doesn't match"),
        (vec![0; 16], "1", 2, "does not begin as a txn log does"),
    ] {
        let place = Place::new(&log);
        let ended = place.run(&format!("-c -z {zxid} log.1"));
        assert!(ended.code == Some(code) && ended.said.contains(reason), "{}", ended.said);
        assert_eq!(place.read(&format!("log.1.chopped{zxid}")), None);
    }
}

#[test]
fn gaps_are_named_while_chopping() {
    // Without the txns 3 and 4, which lie one behind the other.
    let log = [&LOG[..182], &LOG[393..]].concat();
    let ended = Place::new(&log).run("-c -z 6 log.1");
    let told =
        format!("{TITLE}There is intra-epoch gap between 2 and 5\nChopping at 6 new log has 4 records\n");
    assert_eq!((ended.code, ended.out), (Some(0), told));
}

#[test]
fn a_wrong_call_is_answered_with_the_usage() {
    let place = Place::new(LOG);
    let ended = place.run("--help");
    assert!(ended.code == Some(0) && ended.out.starts_with("usage: TxnLogToolkit"), "{}", ended.out);
    assert!(ended.out.contains("oxherd repair"), "{}", ended.out);
    for words in ["", "-q log.1", "-c log.1", "-c -z -1 log.1"] {
        let ended = place.run(words);
        assert!(ended.code == Some(1) && ended.out.starts_with("usage: TxnLogToolkit"), "{}", ended.out);
    }
    let ended = place.run("log.2");
    assert!(ended.code == Some(1) && ended.said.contains("exist or not readable: log.2"), "{}", ended.said);
}
