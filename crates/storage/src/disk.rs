//! The few calls that storage makes, so that a simulated disk can stand in for the real one.

use std::fmt;
use std::io;
use std::path::Path;

/// A disk: directories and files by path.
///
/// A change of a directory (create, rename, remove) is durable only after [`Disk::sync_dir`]; the bytes of a
/// file only after [`DiskFile::sync`].
pub trait Disk: Clone + Send + Sync + fmt::Debug + 'static {
    /// An open file.
    type File: DiskFile;

    /// Makes an empty file, in place of one that is there.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// As [`Self::create`], for a file that is written at its end, much, and synced: its bytes need not stay in memory.
    fn create_stream(&self, path: &Path) -> io::Result<Self::File> {
        self.create(path)
    }
    /// Opens a file to read and write.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// As [`Self::open`], for a file that is read from its beginning to its end while nobody writes it.
    fn open_stream(&self, path: &Path) -> io::Result<Self::File> {
        self.open(path)
    }
    /// Gives a file another name, in place of one that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, sorted; none when there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a directory and those above it.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the directory's entries durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that can still be written below a directory.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait DiskFile: Send + fmt::Debug {
    /// Writes all bytes at an offset.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads at an offset; fewer bytes than asked for, or none, at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes the bytes durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts or extends with zeros.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Reserves space up to this length and extends with zeros; an error when there is no space.
    fn allocate(&mut self, len: u64) -> io::Result<()>;
    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
}
