//! Writing a snapshot.

use std::io;
use std::path::{Path, PathBuf};

use oxherd_proto::Zxid;
use simd_adler32::Adler32;

use super::encode::Encoder;
use super::{Compression, DIGEST_VERSION, HEADER, SEAL_END, Seal, file_name, received_name, temporary_name};
use crate::disk::Disk;
use crate::error::StorageError;

/// Writes one snapshot into a temporary file, which takes its name only when all of it is durable.
///
/// Dropped before [`SnapshotWriter::finish`], it leaves nothing behind.
// Java: FileSnap.serialize
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    dir: PathBuf,
    temporary: PathBuf,
    name: String,
    /// `None` once finished or given up.
    encoder: Option<Encoder<D::File>>,
    checksum: Adler32,
}

impl<D: Disk> std::fmt::Debug for SnapshotWriter<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotWriter").field("temporary", &self.temporary).finish_non_exhaustive()
    }
}

impl<D: Disk> SnapshotWriter<D> {
    /// Begins the snapshot that is to be called after `zxid`: the last txn that the whole of it holds.
    pub fn begin(disk: D, dir: &Path, zxid: Zxid, compression: Compression) -> Result<Self, StorageError> {
        Self::begin_as(disk, dir, &temporary_name(zxid, compression), zxid, compression)
    }

    /// The same with a body that comes over a link of this number, while other snapshots may be written and removed.
    pub fn begin_received(
        disk: D,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
        link: u64,
    ) -> Result<Self, StorageError> {
        Self::begin_as(disk, dir, &received_name(link, compression), zxid, compression)
    }

    fn begin_as(
        disk: D,
        dir: &Path,
        temporary: &str,
        zxid: Zxid,
        compression: Compression,
    ) -> Result<Self, StorageError> {
        let temporary = dir.join(temporary);
        let file = disk.create_stream(&temporary).map_err(StorageError::io("create", &temporary))?;
        let mut writer = Self {
            disk,
            dir: dir.to_owned(),
            name: file_name(zxid, compression),
            encoder: None,
            checksum: Adler32::new(),
            temporary,
        };
        let encoder =
            Encoder::new(file, compression).map_err(StorageError::io("write", &writer.temporary))?;
        writer.encoder = Some(encoder);
        writer.write(&HEADER)?;
        Ok(writer)
    }

    /// Adds bytes of the body. After an error there is no snapshot, and nothing more can be written.
    pub fn write(&mut self, body: &[u8]) -> Result<(), StorageError> {
        self.checksum.write(body);
        let Some(encoder) = &mut self.encoder else {
            let error = io::Error::other("an earlier write failed");
            return Err(StorageError::io("write", &self.temporary)(error));
        };
        let written = encoder.write_all(body).map_err(StorageError::io("write", &self.temporary));
        if written.is_err() {
            self.give_up();
        }
        written
    }

    /// Seals the file, makes it durable and gives it its name; where it is then.
    pub fn finish(mut self, seal: &Seal) -> Result<PathBuf, StorageError> {
        self.write_seal()?;
        if let Some((zxid, digest)) = seal.digest {
            self.write(&zxid.0.to_be_bytes())?;
            self.write(&DIGEST_VERSION.to_be_bytes())?;
            self.write(&digest.to_be_bytes())?;
            self.write_seal()?;
        }
        if let Some(zxid) = seal.last_zxid {
            self.write(&zxid.0.to_be_bytes())?;
            self.write_seal()?;
        }
        self.install()
    }

    // Java: SnapStream.sealStream
    fn write_seal(&mut self) -> Result<(), StorageError> {
        let sum = i64::from(self.checksum.finish());
        self.write(&sum.to_be_bytes())?;
        self.write(&SEAL_END)
    }

    fn install(&mut self) -> Result<PathBuf, StorageError> {
        let encoder = self.encoder.take().expect("the seal was written with it");
        let finished = encoder.finish().map_err(StorageError::io("sync", &self.temporary));
        let path = self.dir.join(&self.name);
        let rename = |()| {
            self.disk.rename(&self.temporary, &path).map_err(StorageError::io("rename", &self.temporary))
        };
        if let Err(error) = finished.and_then(rename) {
            self.remove_temporary();
            return Err(error);
        }
        self.disk.sync_dir(&self.dir).map_err(StorageError::io("sync", &self.dir))?;
        Ok(path)
    }

    fn give_up(&mut self) {
        // The encoder may still write when it is dropped, so it goes first.
        if self.encoder.take().is_some() {
            self.remove_temporary();
        }
    }

    /// Best effort: purge finds what stays.
    fn remove_temporary(&self) {
        if let Err(error) = self.disk.remove(&self.temporary) {
            tracing::warn!(path = %self.temporary.display(), %error, "cannot remove an unfinished snapshot");
        }
    }
}

impl<D: Disk> Drop for SnapshotWriter<D> {
    fn drop(&mut self) {
        self.give_up();
    }
}
