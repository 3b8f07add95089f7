//! The files that follow a change of the membership, beside `zoo.cfg`.
//!
//! `zoo.cfg.dynamic.next` holds what is proposed, `zoo.cfg.dynamic.HEX` what is in force as of that zxid;
//! `zoo.cfg` names the latter and loses its own list of members. Each file is written aside, synced and
//! renamed, so that a crash leaves the former or the new one.
// Java: QuorumPeer.setQuorumVerifier, QuorumPeerConfig.writeDynamicConfig, QuorumPeerConfig.editStaticConfig

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::properties;

/// Where configuration files lie.
pub trait ConfigStore {
    /// All bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Makes these the bytes of a file, durably; a crash leaves the former or the new ones.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Removes a file.
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
        fs::remove_file(path)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }
}

/// The files of one server's configuration.
#[derive(Clone, Debug)]
pub struct DynamicFiles<S = OsFiles> {
    config: PathBuf,
    store: S,
}

impl DynamicFiles {
    /// Those beside this `zoo.cfg`.
    pub fn of(config: &Path) -> Self {
        Self::on(OsFiles, config)
    }
}

impl<S: ConfigStore> DynamicFiles<S> {
    /// Those beside this `zoo.cfg` of that store.
    pub fn on(store: S, config: &Path) -> Self {
        Self { config: config.to_owned(), store }
    }

    /// Keeps `zoo.cfg` as it is, as `zoo.cfg.bak`.
    // Java: QuorumPeerConfig.backupOldConfig
    pub fn back_up(&self) -> io::Result<()> {
        self.store.replace(&self.beside(".bak"), &self.store.read(&self.config)?)
    }

    /// What was proposed and kept; `None` when there is none.
    pub fn next(&self) -> Option<String> {
        String::from_utf8(self.store.read(&self.beside(".dynamic.next")).ok()?).ok()
    }

    /// Keeps a proposed membership, with its version.
    pub fn write_next(&self, text: &str) -> io::Result<()> {
        self.store.replace(&self.beside(".dynamic.next"), sorted_lines(text, true).as_bytes())
    }

    /// Puts a membership in force. `own_client` says that it names this server's client address, which
    /// `zoo.cfg` loses then.
    pub fn activate(&self, text: &str, version: i64, own_client: bool) -> io::Result<()> {
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

    /// Forgets what was proposed; that there is nothing is fine.
    pub fn remove_next(&self) -> io::Result<()> {
        match self.store.remove(&self.beside(".dynamic.next")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
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
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(dir)?.sync_all()
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

    #[test]
    fn what_is_proposed_is_kept_with_its_version() {
        let (_dir, path) = dir_with("");
        let files = DynamicFiles::of(&path);
        assert_eq!(files.next(), None);
        files.write_next(TEXT).unwrap();
        let want = "server.10=c:1:2:participant;0.0.0.0:2183\nserver.1=a:1:2:participant;0.0.0.0:2181\n\
                    server.2=b:1:2:participant\nversion=10000000a";
        assert_eq!(files.next().as_deref(), Some(want));
        files.remove_next().unwrap();
        files.remove_next().unwrap();
        assert_eq!(files.next(), None);
    }

    #[test]
    fn the_static_file_loses_its_members_and_names_the_dynamic_one() {
        let config = "# ours\ntickTime=2000\nserver.1=a:1:2\nserver.2=b:1\\\n   :2\ngroup.1=1\npeerType=observer\n\
                      clientPort=2181\nclientPortAddress=a\nsecureClientPort=2281\ndataDir=/d";
        let (dir, path) = dir_with(config);
        let files = DynamicFiles::of(&path);
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
        DynamicFiles::of(&path).activate("server.1=a:1:2:participant\nversion=1", 1, false).unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with("clientPort=2181\ndynamicConfigFile="));
    }
}
