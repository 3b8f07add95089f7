//! Keys of the data directories, the txn log, snapshots and retention.

use std::path::PathBuf;

use super::section;

section! {
    /// Txn log and snapshots.
    Storage {
        /// Directory of snapshots and `myid`; required in a file.
        data_dir: PathBuf = "dataDir", File, M, Honoured, "";
        /// Directory of txn logs; absent means the data directory.
        log_dir: Option<PathBuf> = "dataLogDir", File, M, Honoured, "";
        /// Txns after which a snapshot is begun (at random from half of it on); at least 2.
        snap_count: i32 = "snapCount", Property, M, Honoured, "100000";
        /// Kilobytes of log after which a snapshot is begun; 0 or less turns the limit off.
        snap_size_kb: i64 = "snapSizeLimitInKb", Property, M, Honoured, "4194304";
        /// Kilobytes after which a new log file is begun; -1 means no limit.
        log_size_kb: i64 = "txnLogSizeLimitInKb", Property, A, Honoured, "-1";
        /// Kilobytes by which a log file grows ahead of its content.
        preallocate_kb: i64 = "preAllocSize", Property, A, Honoured, "65536";
        /// Wait for the disk before a write is acknowledged; `no` risks acknowledged data.
        force_sync: bool = "forceSync", Property, M, Honoured, "yes";
        /// Milliseconds from which a sync of the log is reported as slow.
        sync_warning_ms: i64 = "fsync.warningthresholdms", PropertyOrBare, A, Honoured, "1000";
        /// Least milliseconds from one sync to the next, unless a batch is full or no more txns come; 0 syncs at once.
        flush_delay_ms: i64 = "flushDelay", Property, A, Honoured, "0";
        /// Milliseconds without another txn after which a batch is synced before its delay is over; absent means a third of the delay.
        idle_flush_ms: Option<i64> = "maxWriteQueuePollTime", Property, A, Honoured, "";
        /// Txns synced together at most; 0 or less means no limit.
        batch_max: i32 = "maxBatchSize", Property, A, Honoured, "1000";
        /// Compression of snapshots: empty, `gz` or `snappy`.
        compression: String = "snapshot.compression.method", Property, M, Honoured, "";
        /// Accept logs without any snapshot beside them.
        trust_empty: bool = "snapshot.trust.empty", Property, A, Honoured, "false";
        /// Create missing data directories.
        create_dirs: bool = "datadir.autocreate", Property, M, Honoured, "true";
        /// Begin on an empty directory; `false` needs an `initialize` file, absent means while no other has a history.
        create_database: Option<bool> = "db.autocreate", Property, A, Honoured, "";
        /// Keep a digest of the tree and check it on replay.
        digest: bool = "digest.enabled", Property, M, Honoured, "true";
        /// Snapshots end with the zxid they reach.
        seal_zxid: bool = "serializeLastProcessedZxid.enabled", Property, M, Honoured, "true";
        /// First zxid of a new database, for the original's own tests.
        initial_zxid: Option<i64> = "testingonly.initialZxid", Property, J, Jvm, "";
    }
}

section! {
    /// Removal of old snapshots and logs. On by default here, unlike the original.
    Purge {
        /// Snapshots kept, with the logs they need; at least 3.
        retain: i32 = "autopurge.snapRetainCount", File, M, Honoured, "3";
        /// Hours between two removals; 0 turns removal off (the original's default).
        interval_hours: i32 = "autopurge.purgeInterval", File, M, Honoured, "1";
    }
}
