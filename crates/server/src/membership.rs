//! What this server keeps of a change of the ensemble: files, and the port for clients.

use std::io;

use oxherd_config::{Config, DynamicFiles, Mode, Written};
use oxherd_proto::ServerId;
use oxherd_zab::EnsembleConfig;
use tracing::{info, warn};

use crate::StartError;

/// A change, in its place among the storage commands: a proposed ensemble is on disk before the proposal is.
#[derive(Debug)]
pub(crate) enum MembershipChange {
    /// Proposed.
    Seen(EnsembleConfig),
    /// In force.
    Active(EnsembleConfig),
}

/// The files of a member. What cannot be written beside `zoo.cfg` is kept with the data, and told; where that fails
/// too the server stops: it would acknowledge a change and after a restart count votes without it.
// Java: QuorumPeer.setQuorumVerifier, which goes on
#[derive(Debug)]
pub(crate) struct MembershipFiles {
    files: DynamicFiles,
    server: ServerId,
    seen: i64,
}

impl MembershipFiles {
    /// Nothing for a server alone, for one without a file, and where the ensemble does not change.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        if config.mode != Mode::Ensemble || !config.quorum.reconfig_enabled {
            return None;
        }
        let files = files_of(config)?;
        let seen = files.next().ok().flatten().and_then(|next| EnsembleConfig::parse(&next).ok());
        let seen = seen.map_or(0, |next| next.version);
        Some(Self { files, server: config.server_id?, seen })
    }

    /// Before the first start with a list of members of its own the file is copied. Members that were kept with the
    /// data go where they belong, if that can be done now.
    pub(crate) fn settle(&mut self, config: &Config) -> io::Result<()> {
        if config.quorum.dynamic_file.is_none()
            && let Err(error) = self.files.back_up()
        {
            warn!(%error, "cannot copy the configuration file to one that ends in .bak");
        }
        let kept = self.files.kept_active()?.filter(|(version, _)| *version == config.membership.version);
        match kept.and_then(|(_, text)| EnsembleConfig::parse(&text).ok()) {
            Some(kept) => self.activate(&kept),
            None => Ok(()),
        }
    }

    pub(crate) fn carry_out(&mut self, change: &MembershipChange) -> io::Result<()> {
        match change {
            MembershipChange::Seen(config) => {
                self.seen = config.version;
                self.files.write_next(&config.to_string()).map(|written| tell("proposed ensemble", &written))
            }
            MembershipChange::Active(config) => self.activate(config),
        }
    }

    fn activate(&mut self, config: &EnsembleConfig) -> io::Result<()> {
        info!(version = format!("{:x}", config.version), "the ensemble is another one now");
        let own = config.members.get(&self.server);
        let own_client = own.is_some_and(|member| member.client.is_some());
        tell("ensemble", &self.files.activate(&config.to_string(), config.version, own_client)?);
        if self.seen <= config.version
            && let Err(error) = self.files.remove_next()
        {
            warn!(%error, "cannot remove the file of the proposed ensemble; it is passed over");
        }
        Ok(())
    }
}

fn tell(what: &str, written: &Written) {
    if let Written::Instead(error) = written {
        warn!(%error, "cannot write the {what} beside the configuration file; it is kept in the data directory");
    }
}

fn files_of(config: &Config) -> Option<DynamicFiles> {
    Some(DynamicFiles::of(config.file.as_deref()?, &config.storage.data_dir))
}

/// A proposed ensemble that was kept and is not in force yet. One that cannot be read is an error: this server may
/// have acknowledged it.
// Java: QuorumPeerConfig.parse, which goes on without
pub(crate) fn next(config: &Config) -> Result<Option<EnsembleConfig>, StartError> {
    if config.quorum.dynamic_file.is_none() && config.membership.version == 0 {
        return Ok(None);
    }
    let Some(files) = files_of(config) else { return Ok(None) };
    let text = files.next().map_err(|error| {
        StartError::Setting(format!("cannot read the ensemble that was proposed last: {error}"))
    })?;
    let parsed = text.map(|text| EnsembleConfig::parse(&text)).transpose();
    parsed.map_err(|error| {
        StartError::Setting(format!(
            "the ensemble that was proposed last, in the file that ends in .dynamic.next or in membership.next, \
             makes no sense: {error}; remove the file if the change was given up"
        ))
    })
}
