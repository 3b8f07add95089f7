//! Reading the log for learners, on a thread of its own: the leader's writes do not wait for it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use oxherd_config::Config;
use oxherd_proto::Zxid;
use oxherd_replica::Input;
use oxherd_storage::{Layout, LogReader, OsDisk, StorageError, log_files, log_files_from, snapshots};
use oxherd_zab::{ReadId, StorageEvent};
use parking_lot::Mutex;
use tracing::warn;

use crate::driver::Driver;
use crate::settings;

/// Most bytes of the log that are read for a learner; more, and the tree is sent instead.
const READ_BYTES_MAX: usize = 64 << 20;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogRead {
    pub(super) id: ReadId,
    pub(super) from: Zxid,
    pub(super) through: Zxid,
}

/// The reads under way: one after the other, so that many learners do not fill the memory.
#[derive(Debug, Default)]
pub(super) struct Reads {
    turn: Arc<Mutex<()>>,
}

impl Reads {
    /// Reads, and gives the answer to the replica; what cannot be read counts as not there.
    ///
    /// Everything up to the last txn asked for is durable already. What is cut or purged meanwhile fails the read, and
    /// the learner gets the tree.
    pub(super) fn begin(&self, layout: &Layout, config: &Config, driver: &Arc<Driver>, read: LogRead) {
        let (turn, driver_there) = (Arc::clone(&self.turn), Arc::clone(driver));
        let files = Files { layout: layout.clone(), share: settings::log_share(config) };
        let started = std::thread::Builder::new().name("log-reader".to_owned()).spawn(move || {
            let _turn = turn.lock();
            let txns = files.read(read.from, read.through).unwrap_or_else(|error| {
                warn!(%error, "cannot read the log for a learner, which gets the tree instead");
                None
            });
            answer(&driver_there, read.id, txns);
        });
        if let Err(error) = started {
            warn!(%error, "cannot start a thread that reads the log for a learner, which gets the tree instead");
            answer(driver, read.id, None);
        }
    }
}

fn answer(driver: &Driver, id: ReadId, txns: Option<Vec<(Zxid, Bytes)>>) {
    driver.submit_one(Input::Storage(StorageEvent::LogRead { id, txns }));
}

struct Files {
    layout: Layout,
    /// Logs larger than this share of the newest snapshot are not read.
    share: f64,
}

impl Files {
    /// The txns from exactly `from` on, unless they are not there or too long.
    fn read(&self, from: Zxid, through: Zxid) -> Result<Option<Vec<(Zxid, Bytes)>>, StorageError> {
        let files = log_files(&OsDisk, &self.layout.log_dir)?;
        let files = log_files_from(&files, from);
        let lens = files.iter().skip(1).map(|file| len_of(&file.path));
        if !self.is_worth_reading(lens.sum::<Result<u64, _>>()?)? {
            return Ok(None);
        }
        let (mut txns, mut bytes) = (Vec::new(), 0);
        for file in files {
            let Some(mut reader) = LogReader::open(&OsDisk, &file.path)? else { continue };
            while let Some(record) = reader.next_record()? {
                if record.zxid < from {
                    continue;
                }
                if txns.is_empty() && record.zxid != from {
                    return Ok(None);
                }
                bytes += record.payload.len();
                if bytes > READ_BYTES_MAX {
                    return Ok(None);
                }
                let zxid = record.zxid;
                if zxid <= through {
                    txns.push((zxid, record.payload));
                }
                if zxid >= through {
                    // What follows may be under way to the disk just now.
                    return Ok((!txns.is_empty()).then_some(txns));
                }
            }
        }
        Ok((!txns.is_empty()).then_some(txns))
    }

    /// Whether logs of so many bytes, without the first, are little enough beside the newest snapshot.
    // Java: ZKDatabase.calculateTxnLogSizeLimit, getProposalsFromTxnLog
    fn is_worth_reading(&self, log_bytes: u64) -> Result<bool, StorageError> {
        let newest = snapshots(&OsDisk, &self.layout.snap_dir)?.into_iter().max_by_key(|file| file.zxid);
        let snapshot_bytes = newest.map_or(Ok(0), |file| len_of(&file.path))?;
        Ok(is_little(log_bytes, snapshot_bytes, self.share))
    }
}

/// A share of nothing is no limit.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the original works out the limit so too, and a negative share reads no log at all"
)]
fn is_little(log_bytes: u64, snapshot_bytes: u64, share: f64) -> bool {
    let limit = (snapshot_bytes as f64 * share) as u64;
    limit == 0 || log_bytes <= limit
}

fn len_of(path: &Path) -> Result<u64, StorageError> {
    let failed = |source| StorageError::Io { action: "look at", path: path.to_owned(), source };
    std::fs::metadata(path).map(|found| found.len()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_read_for_a_learner_up_to_their_share_of_the_snapshot() {
        assert!(is_little(330, 1000, 0.33));
        assert!(!is_little(331, 1000, 0.33));
        assert!(is_little(u64::MAX, 0, 0.33), "without a snapshot there is nothing else to send");
        assert!(is_little(u64::MAX, 1000, 0.0));
    }
}
