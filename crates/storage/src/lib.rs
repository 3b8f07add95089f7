//! Txn logs, snapshots and epoch files.
