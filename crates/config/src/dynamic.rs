//! The files that follow a change of the membership, beside `zoo.cfg`.
//!
//! `zoo.cfg.dynamic.next` holds what is proposed, `zoo.cfg.dynamic.HEX` what is in force as of that zxid;
//! `zoo.cfg` names the latter and loses its own list of members. Each file is written aside, synced and
//! renamed, so that a crash leaves the former or the new one. What cannot be written there is kept in the data
//! directory instead, as `membership.next` and `membership.active`: a server that acknowledged a change and forgot
//! it would count votes by an ensemble of the past.
// Java: QuorumPeer.setQuorumVerifier, QuorumPeerConfig.writeDynamicConfig, QuorumPeerConfig.editStaticConfig

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::properties;

const KEPT_NEXT: &str = "membership.next";
const KEPT_ACTIVE: &str = "membership.active";

/// Where configuration files lie.
pub trait ConfigStore {
    /// All bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Makes these the bytes of a file, durably; a crash leaves the former or the new ones.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Removes a file, durably.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The path as a reader elsewhere finds it.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFiles;

impl ConfigStore for OsFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    // Java: AtomicFileWritingIdiom
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        write_whole(path, bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        File::open(dir_of(path))?.sync_all()
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }
}

/// Where a membership was written.
#[derive(Debug)]
pub enum Written {
    /// Beside `zoo.cfg`.
    Beside,
    /// In the data directory, because of this error beside `zoo.cfg`.
    Instead(io::Error),
}

/// The files of one server's configuration.
#[derive(Clone, Debug)]
pub struct DynamicFiles<S = OsFiles> {
    config: PathBuf,
    data_dir: PathBuf,
    store: S,
}

impl DynamicFiles {
    /// Those beside this `zoo.cfg`, with this data directory for what cannot be written there.
    pub fn of(config: &Path, data_dir: &Path) -> Self {
        Self::on(OsFiles, config, data_dir)
    }
}

impl<S: ConfigStore> DynamicFiles<S> {
    /// Those beside this `zoo.cfg` of that store, with this data directory for what cannot be written there.
    pub fn on(store: S, config: &Path, data_dir: &Path) -> Self {
        Self { config: config.to_owned(), data_dir: data_dir.to_owned(), store }
    }

    /// Keeps `zoo.cfg` as it is, as `zoo.cfg.bak`.
    // Java: QuorumPeerConfig.backupOldConfig
    pub fn back_up(&self) -> io::Result<()> {
        self.store.replace(&self.beside(".bak"), &self.store.read(&self.config)?)
    }

    /// What was proposed and kept; `None` when there is none. What is with the data came last: it goes when the file
    /// beside `zoo.cfg` is written.
    pub fn next(&self) -> io::Result<Option<String>> {
        match self.text(&self.data_dir.join(KEPT_NEXT))? {
            None => self.text(&self.beside(".dynamic.next")),
            kept => Ok(kept),
        }
    }

    /// What is in force as of the data directory, with its version, when it could not be written beside `zoo.cfg`.
    pub fn kept_active(&self) -> io::Result<Option<(i64, String)>> {
        Ok(self.text(&self.kept_active_path())?.map(|text| (version_in(&text), text)))
    }

    /// Where [`Self::kept_active`] lies.
    pub fn kept_active_path(&self) -> PathBuf {
        self.data_dir.join(KEPT_ACTIVE)
    }

    /// Keeps a proposed membership, with its version. An error when there is no place for it.
    pub fn write_next(&self, text: &str) -> io::Result<Written> {
        let beside = self.store.replace(&self.beside(".dynamic.next"), sorted_lines(text, true).as_bytes());
        self.or_keep(beside, KEPT_NEXT, text)
    }

    /// Puts a membership in force. `own_client` says that it names this server's client address, which
    /// `zoo.cfg` loses then. An error when there is no place for it.
    pub fn activate(&self, text: &str, version: i64, own_client: bool) -> io::Result<Written> {
        self.or_keep(self.activate_beside(text, version, own_client), KEPT_ACTIVE, text)
    }

    fn activate_beside(&self, text: &str, version: i64, own_client: bool) -> io::Result<()> {
        let file = self.beside(&format!(".dynamic.{version:x}"));
        self.store.replace(&file, sorted_lines(text, false).as_bytes())?;
        let old = self.store.read(&self.config)?;
        let mut new = properties::without(&old, |key| is_dynamic(key, own_client));
        if new.last().is_some_and(|byte| *byte != b'\n') {
            new.push(b'\n');
        }
        new.extend_from_slice(b"dynamicConfigFile=");
        new.extend_from_slice(self.store.absolute(&file)?.to_string_lossy().as_bytes());
        new.push(b'\n');
        self.store.replace(&self.config, &new)
    }

    /// What is not beside `zoo.cfg` goes to the data directory; what is, goes from there.
    fn or_keep(&self, beside: io::Result<()>, name: &str, text: &str) -> io::Result<Written> {
        let kept = self.data_dir.join(name);
        let keep = || self.store.replace(&kept, sorted_lines(text, true).as_bytes());
        match beside {
            Ok(()) => self.remove(&kept).or_else(|_| keep()).map(|()| Written::Beside),
            Err(error) => match keep() {
                Ok(()) => Ok(Written::Instead(error)),
                Err(second) => {
                    let text = format!("{second}; and beside the configuration file: {error}");
                    Err(io::Error::new(second.kind(), text))
                }
            },
        }
    }

    /// Forgets what was proposed; that there is nothing is fine.
    pub fn remove_next(&self) -> io::Result<()> {
        let kept = self.remove(&self.data_dir.join(KEPT_NEXT));
        self.remove(&self.beside(".dynamic.next")).and(kept)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.store.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The text of a file; `None` when there is none. What cannot be read is not taken for nothing.
    fn text(&self, path: &Path) -> io::Result<Option<String>> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match self.store.read(path) {
            // A data directory that is none is told of elsewhere.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(io::Error::new(error.kind(), told(&error))),
            Ok(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, told(&error))),
        }
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.config.clone().into_os_string();
        name.push(end);
        name.into()
    }
}

/// Keys that move out of the static file.
fn is_dynamic(key: &str, own_client: bool) -> bool {
    let moves = ["server.", "group", "weight", "dynamicConfigFile", "peerType"];
    moves.iter().any(|start| key.starts_with(start)) || (own_client && key.starts_with("clientPort"))
}

/// The version that a membership's text tells, 0 without one.
fn version_in(text: &str) -> i64 {
    let version = text.lines().find_map(|line| line.strip_prefix("version="));
    version.and_then(|hex| i64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

fn sorted_lines(text: &str, with_version: bool) -> String {
    let lines = text.lines().filter(|line| with_version || !line.starts_with("version"));
    let mut lines: Vec<&str> = lines.collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.to_owned().into_os_string();
    aside.push(".tmp");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(dir_of(path))?.sync_all()
}

fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "server.2=b:1:2:participant\nserver.10=c:1:2:participant;0.0.0.0:2183\n\
                        server.1=a:1:2:participant;0.0.0.0:2181\nversion=10000000a";

    fn dir_with(config: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zoo.cfg");
        fs::write(&path, config).unwrap();
        (dir, path)
    }

    fn files_of(path: &Path) -> DynamicFiles {
        DynamicFiles::of(path, &path.parent().unwrap().join("data"))
    }

    #[test]
    fn what_is_proposed_is_kept_with_its_version() {
        let (_dir, path) = dir_with("");
        let files = files_of(&path);
        assert_eq!(files.next().unwrap(), None);
        files.write_next(TEXT).unwrap();
        let want = "server.10=c:1:2:participant;0.0.0.0:2183\nserver.1=a:1:2:participant;0.0.0.0:2181\n\
                    server.2=b:1:2:participant\nversion=10000000a";
        assert_eq!(files.next().unwrap().as_deref(), Some(want));
        files.remove_next().unwrap();
        files.remove_next().unwrap();
        assert_eq!(files.next().unwrap(), None);
    }

    #[test]
    fn the_static_file_loses_its_members_and_names_the_dynamic_one() {
        let config = "# ours\ntickTime=2000\nserver.1=a:1:2\nserver.2=b:1\\\n   :2\ngroup.1=1\npeerType=observer\n\
                      clientPort=2181\nclientPortAddress=a\nsecureClientPort=2281\ndataDir=/d";
        let (dir, path) = dir_with(config);
        let files = files_of(&path);
        files.back_up().unwrap();
        files.activate(TEXT, 0x1_0000_000a, true).unwrap();
        let dynamic = dir.path().canonicalize().unwrap().join("zoo.cfg.dynamic.10000000a");
        let dynamic_text = fs::read_to_string(&dynamic).unwrap();
        assert!(dynamic_text.ends_with("server.2=b:1:2:participant") && !dynamic_text.contains("version"));
        let rest = "# ours\ntickTime=2000\nsecureClientPort=2281\ndataDir=/d\n";
        let want = format!("{rest}dynamicConfigFile={}\n", dynamic.display());
        assert_eq!(fs::read_to_string(&path).unwrap(), want);
        assert_eq!(fs::read_to_string(dir.path().join("zoo.cfg.bak")).unwrap(), config);

        files.activate(TEXT, 0x1_0000_000b, false).unwrap();
        let again = fs::read_to_string(&path).unwrap();
        assert!(again.starts_with(rest) && again.ends_with("zoo.cfg.dynamic.10000000b\n"));
        assert_eq!(again.matches("dynamicConfigFile").count(), 1);
    }

    #[test]
    fn a_client_port_that_only_the_static_file_has_stays_there() {
        let (_dir, path) = dir_with("clientPort=2181\nserver.1=a:1:2\n");
        files_of(&path).activate("server.1=a:1:2:participant\nversion=1", 1, false).unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with("clientPort=2181\ndynamicConfigFile="));
    }

    #[test]
    fn what_cannot_be_written_beside_the_file_is_kept_with_the_data_until_it_can() {
        let (dir, path) = dir_with("clientPort=2181\nserver.1=a:1:2\n");
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let gone = DynamicFiles::of(&dir.path().join("no such place/zoo.cfg"), &data);
        assert!(matches!(gone.write_next(TEXT).unwrap(), Written::Instead(_)));
        assert!(matches!(gone.activate(TEXT, 0x1_0000_000a, true).unwrap(), Written::Instead(_)));

        let files = files_of(&path);
        assert!(files.next().unwrap().unwrap().ends_with("version=10000000a"));
        assert_eq!(files.kept_active().unwrap().unwrap().0, 0x1_0000_000a);
        let newer = TEXT.replace("version=10000000a", "version=10000000b");
        assert!(matches!(files.write_next(&newer).unwrap(), Written::Beside));
        assert!(files.next().unwrap().unwrap().ends_with("version=10000000b"));
        assert!(matches!(files.activate(&newer, 0x1_0000_000b, true).unwrap(), Written::Beside));
        assert!(files.kept_active().unwrap().is_none() && fs::read_dir(&data).unwrap().next().is_none());
    }

    #[test]
    fn a_change_that_can_be_kept_nowhere_is_an_error() {
        let (dir, _) = dir_with("");
        let gone = dir.path().join("no such place");
        let files = DynamicFiles::of(&gone.join("zoo.cfg"), &gone);
        let error = files.write_next(TEXT).unwrap_err().to_string();
        assert!(error.contains("; and beside the configuration file: "), "{error}");
        assert!(files.activate(TEXT, 10, true).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let (dir, path) = dir_with("");
        let data = dir.path().join("data");
        fs::create_dir_all(data.join(KEPT_ACTIVE)).unwrap();
        fs::write(data.join(KEPT_NEXT), [0xff]).unwrap();
        let files = files_of(&path);
        assert!(files.next().unwrap_err().to_string().contains("membership.next: "));
        assert!(files.kept_active().is_err());
    }

    /// A leader that lacks a proposed ensemble takes it back.
    #[test]
    fn of_two_proposed_ensembles_the_last_one_written_counts() {
        let (dir, path) = dir_with("");
        fs::create_dir(dir.path().join("data")).unwrap();
        let files = files_of(&path);
        files.write_next(TEXT).unwrap();
        let older = TEXT.replace("version=10000000a", "version=100000005");
        files.or_keep(Err(io::Error::other("read-only")), KEPT_NEXT, &older).unwrap();
        assert!(files.next().unwrap().unwrap().ends_with("version=100000005"));
        files.write_next(TEXT).unwrap();
        assert!(files.next().unwrap().unwrap().ends_with("version=10000000a"));
    }
}
