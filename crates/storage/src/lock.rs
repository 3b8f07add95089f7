//! Keeps a second server out of a directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::StorageError;

/// Java knows no such file and passes over it.
const NAME: &str = "oxherd.lock";

/// A directory held by this process until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    /// The system's lock is on the open file.
    _file: File,
}

impl DirLock {
    /// Takes a directory that exists.
    ///
    /// Errors: [`StorageError::Refused`] when another server has it.
    pub fn take(dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(NAME);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(StorageError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let reason = format!(
                    "{} is in use by another server; each needs directories of its own",
                    dir.display()
                );
                Err(StorageError::Refused(reason))
            }
            Err(TryLockError::Error(error)) => Err(StorageError::io("lock", &path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_server_is_kept_out_until_the_first_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = DirLock::take(dir.path()).expect("nobody has it");
        let refused = DirLock::take(dir.path()).expect_err("the first has it").to_string();
        assert!(refused.contains(&dir.path().display().to_string()), "{refused}");
        drop(first);
        DirLock::take(dir.path()).expect("nobody has it any more");
    }

    #[test]
    fn missing_directory_is_an_error_of_the_system() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = DirLock::take(&dir.path().join("none")).expect_err("there is no such directory");
        assert!(matches!(error, StorageError::Io { action: "open", .. }), "{error}");
    }
}
