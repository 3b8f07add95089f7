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
        self.0.remove(path)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}

/// The files of a running server, which goes on when they cannot be written, as the server does.
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
        Self { files: DynamicFiles::on(Store(disk), Path::new(CONFIG_FILE)), server, seen, bug }
    }

    pub(crate) fn carry_out(&mut self, change: &MembershipChange) {
        match change {
            MembershipChange::Seen(_) if self.bug == Some(Bug::ReconfigForgotten) => {}
            MembershipChange::Seen(config) if self.bug == Some(Bug::ReconfigAtProposal) => {
                self.activate(config);
            }
            MembershipChange::Seen(config) => {
                self.seen = config.version;
                self.files.write_next(&config.to_string()).unwrap_or(());
            }
            MembershipChange::Active(config) => self.activate(config),
        }
    }

    fn activate(&self, config: &EnsembleConfig) {
        let own = config.members.get(&self.server).is_some_and(|member| member.client.is_some());
        let written = self.files.activate(&config.to_string(), config.version, own);
        if written.is_ok() && self.seen <= config.version {
            self.files.remove_next().unwrap_or(());
        }
    }
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
    let named = config.lines().find_map(|line| line.strip_prefix("dynamicConfigFile="));
    let parse = |text: &str| {
        EnsembleConfig::parse(text).map_err(|error| StorageError::Refused(format!("zoo.cfg: {error}")))
    };
    let Some(named) = named else { return Ok(Kept { active: parse(&config)?, seen: None }) };
    let mut active = parse(&text(Path::new(named))?)?;
    let version = named.rsplit('.').next().and_then(|hex| i64::from_str_radix(hex, 16).ok());
    active.version = version.unwrap_or(0);
    // A proposed ensemble that cannot be read is passed over, as the server does.
    let next = DynamicFiles::on(store.clone(), path).next();
    Ok(Kept { active, seen: next.and_then(|next| EnsembleConfig::parse(&next).ok()) })
}
