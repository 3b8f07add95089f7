//! The membership as one server keeps it beside its `zoo.cfg`, on the simulated disk.

use std::io;
use std::path::{Path, PathBuf};

use oxherd_config::{ConfigStore, DynamicFiles};
use oxherd_proto::ServerId;
use oxherd_storage::{Disk, DiskFile as _, StorageError};
use oxherd_zab::EnsembleConfig;

use crate::bug::Bug;
use crate::lying::LyingDisk;

/// Where every server has its configuration.
pub(crate) const CONFIG_FILE: &str = "/conf/zoo.cfg";
/// Where every server has its data.
pub(crate) const DATA_DIR: &str = "/data";

/// A change, in its place among the storage commands.
#[derive(Clone, Debug)]
pub(crate) enum MembershipChange {
    /// Proposed.
    Seen(EnsembleConfig),
    /// In force.
    Active(EnsembleConfig),
}

/// What a start finds.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// In force as far as the files know.
    pub(crate) active: EnsembleConfig,
    /// Proposed and kept.
    pub(crate) seen: Option<EnsembleConfig>,
}

#[derive(Clone, Debug)]
struct Store<D>(D);

impl<D: Disk> ConfigStore for Store<D> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.0.open(path)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut aside = path.to_owned().into_os_string();
        aside.push(".tmp");
        let aside = PathBuf::from(aside);
        let mut file = self.0.create(&aside)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        self.0.rename(&aside, path)?;
        self.0.sync_dir(path.parent().unwrap_or(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)?;
        self.0.sync_dir(path.parent().unwrap_or(path))
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}

/// The files of a running server.
#[derive(Debug)]
pub(crate) struct MembershipFiles {
    files: DynamicFiles<Store<LyingDisk>>,
    server: ServerId,
    seen: i64,
    bug: Option<Bug>,
}

impl MembershipFiles {
    pub(crate) fn new(disk: LyingDisk, server: ServerId, kept: &Kept, bug: Option<Bug>) -> Self {
        let seen = kept.seen.as_ref().map_or(0, |seen| seen.version);
        Self {
            files: DynamicFiles::on(Store(disk), Path::new(CONFIG_FILE), Path::new(DATA_DIR)),
            server,
            seen,
            bug,
        }
    }

    pub(crate) fn carry_out(&mut self, change: &MembershipChange) -> Result<(), StorageError> {
        let done = match change {
            MembershipChange::Seen(_) if self.bug == Some(Bug::ReconfigForgotten) => Ok(()),
            MembershipChange::Seen(config) if self.bug == Some(Bug::ReconfigAtProposal) => {
                self.activate(config)
            }
            MembershipChange::Seen(config) => {
                self.seen = config.version;
                self.files.write_next(&config.to_string()).map(drop)
            }
            MembershipChange::Active(config) => self.activate(config),
        };
        let path = Path::new(DATA_DIR).to_owned();
        done.map_err(|source| StorageError::Io { action: "write the ensemble below", path, source })
    }

    fn activate(&self, config: &EnsembleConfig) -> io::Result<()> {
        let own = config.members.get(&self.server).is_some_and(|member| member.client.is_some());
        self.files.activate(&config.to_string(), config.version, own)?;
        if self.seen <= config.version {
            // One that stays is passed over.
            self.files.remove_next().unwrap_or(());
        }
        Ok(())
    }
}

/// Where members in force are kept that could not be written beside `zoo.cfg`.
pub(crate) fn kept_with_data<D: Disk>(disk: &D) -> PathBuf {
    DynamicFiles::on(Store(disk.clone()), Path::new(CONFIG_FILE), Path::new(DATA_DIR)).kept_active_path()
}

/// Reads what the next start of a server is told: `zoo.cfg` with its members, or the file that it names.
pub(crate) fn read<D: Disk>(disk: &D) -> Result<Kept, StorageError> {
    let path = Path::new(CONFIG_FILE);
    let store = Store(disk.clone());
    let text = |path: &Path| -> Result<String, StorageError> {
        let failed = |source| StorageError::Io { action: "read", path: path.to_owned(), source };
        Ok(String::from_utf8_lossy(&store.read(path).map_err(failed)?).into_owned())
    };
    let config = text(path)?;
    let parse = |text: &str| {
        EnsembleConfig::parse(text).map_err(|error| StorageError::Refused(format!("zoo.cfg: {error}")))
    };
    let files = DynamicFiles::on(store.clone(), path, Path::new(DATA_DIR));
    let named = config.lines().find_map(|line| line.strip_prefix("dynamicConfigFile="));
    let version = named
        .and_then(|named| named.rsplit('.').next())
        .and_then(|hex| i64::from_str_radix(hex, 16).ok())
        .unwrap_or(0);
    let unread =
        |source| StorageError::Io { action: "read the ensemble beside", path: path.to_owned(), source };
    let kept = files.kept_active().map_err(unread)?.filter(|(kept, _)| *kept > version);
    let active = match (kept, named) {
        (Some((_, kept)), _) => parse(&kept)?,
        (None, Some(named)) => EnsembleConfig { version, ..parse(&text(Path::new(named))?)? },
        (None, None) => return Ok(Kept { active: parse(&config)?, seen: None }),
    };
    let next = files.next().map_err(unread)?;
    Ok(Kept { active, seen: next.map(|next| parse(&next)).transpose()? })
}
