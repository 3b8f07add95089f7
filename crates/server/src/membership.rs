//! What this server keeps of a change of the ensemble: files, and the port for clients.

use std::io;

use oxherd_config::{Config, DynamicFiles, Mode};
use oxherd_proto::ServerId;
use oxherd_zab::EnsembleConfig;
use tracing::{error, info};

/// A change, in its place among the storage commands: a proposed ensemble is on disk before the proposal is.
#[derive(Debug)]
pub(crate) enum MembershipChange {
    /// Proposed.
    Seen(EnsembleConfig),
    /// In force.
    Active(EnsembleConfig),
}

/// The files of a member. That they cannot be written is told and does not stop the server: the history has
/// the ensemble too.
// Java: QuorumPeer.setQuorumVerifier, which goes on as well
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
        let files = DynamicFiles::of(config.file.as_deref()?);
        let seen = next(config).map_or(0, |next| next.version);
        Some(Self { files, server: config.server_id?, seen })
    }

    /// Before the first start with a list of members of its own the file is copied.
    pub(crate) fn back_up(&self, config: &Config) {
        if config.quorum.dynamic_file.is_none() {
            tell("copy zoo.cfg", self.files.back_up());
        }
    }

    pub(crate) fn carry_out(&mut self, change: &MembershipChange) {
        match change {
            MembershipChange::Seen(config) => {
                self.seen = config.version;
                tell("write the proposed ensemble", self.files.write_next(&config.to_string()));
            }
            MembershipChange::Active(config) => self.activate(config),
        }
    }

    fn activate(&mut self, config: &EnsembleConfig) {
        info!(version = format!("{:x}", config.version), "the ensemble is another one now");
        let own = config.members.get(&self.server);
        let own_client = own.is_some_and(|member| member.client.is_some());
        let written = self.files.activate(&config.to_string(), config.version, own_client);
        if tell("write the ensemble", written) && self.seen <= config.version {
            tell("remove the proposed ensemble", self.files.remove_next());
        }
    }
}

fn tell(what: &str, result: io::Result<()>) -> bool {
    if let Err(error) = &result {
        error!(%error, "cannot {what} beside the configuration file; after a restart this server knows an older one");
    }
    result.is_ok()
}

/// A proposed ensemble that was kept and is not in force yet.
// Java: QuorumPeerConfig.parse
pub(crate) fn next(config: &Config) -> Option<EnsembleConfig> {
    config.quorum.dynamic_file.as_ref()?;
    let text = DynamicFiles::of(config.file.as_deref()?).next()?;
    match EnsembleConfig::parse(&text) {
        Ok(next) => Some(next),
        Err(error) => {
            error!(%error, "cannot read the proposed ensemble in the file that ends in .dynamic.next");
            None
        }
    }
}
