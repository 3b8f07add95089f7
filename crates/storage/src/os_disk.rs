//! The disk of the operating system.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::direct::{DirectRead, DirectWrite};
use crate::disk::{Disk, DiskFile};

/// Reads of fewer bytes go past the window of a stream.
const SHORT_READ_BYTES: usize = 512;

/// The operating system's disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    type File = OsFile;

    fn create(&self, path: &Path) -> io::Result<OsFile> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(OsFile { file, writes: None, reads: None })
    }

    fn create_stream(&self, path: &Path) -> io::Result<OsFile> {
        let mut created = self.create(path)?;
        created.writes = DirectWrite::open(path);
        Ok(created)
    }

    fn open_stream(&self, path: &Path) -> io::Result<OsFile> {
        let mut opened = self.open(path)?;
        opened.reads = DirectRead::open(path).map(RefCell::new);
        Ok(opened)
    }

    fn open(&self, path: &Path) -> io::Result<OsFile> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(OsFile { file, writes: None, reads: None })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let names: io::Result<Vec<String>> = entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect();
        let mut names = names?;
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// A file of the operating system.
#[derive(Debug)]
pub struct OsFile {
    file: File,
    /// The way past the system's cache, for streams, where system and disk have one.
    writes: Option<DirectWrite>,
    reads: Option<RefCell<DirectRead>>,
}

impl DiskFile for OsFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some(direct) = &mut self.writes {
            match direct.write_at(&self.file, bytes, offset) {
                // The disk wants other blocks than these.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    direct.finish(&self.file)?;
                    self.writes = None;
                }
                written => return written,
            }
        }
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Some(reads) = &self.reads {
            let mut reads = reads.borrow_mut();
            // A look at a few bytes elsewhere is not worth a whole window.
            if buffer.len() >= SHORT_READ_BYTES || reads.holds(offset) {
                match reads.read_at(buffer, offset) {
                    // The disk wants other blocks than these.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                    read => return read,
                }
            }
        }
        self.file.read_at(buffer, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(direct) = &mut self.writes {
            direct.finish(&self.file)?;
        }
        self.file.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        if let Some(direct) = &mut self.writes {
            direct.resized(len);
        }
        Ok(())
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, len) {
            Ok(()) => {}
            // Some file systems reserve nothing; then the space is taken as it is written.
            Err(rustix::io::Errno::OPNOTSUPP) => self.file.set_len(len)?,
            Err(error) => return Err(error.into()),
        }
        if let Some(direct) = &mut self.writes {
            direct.extended(len);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let len = self.file.metadata()?.len();
        Ok(self.writes.as_ref().map_or(len, |direct| direct.len_of(len)))
    }
}
