//! From the configuration to what the core and the shell want to know.

mod limits;

use std::time::Duration;

use oxherd_config::{Config, Mode};
use oxherd_proto::ServerId;
use oxherd_replica::{
    AuthOptions, BatchOptions, ClientOptions, ContainerOptions, DigestAlgorithm, LocalSessionOptions,
    PrepareOptions, ReplicaOptions, Scheme, SnapshotOptions,
};
use oxherd_tree::TreeOptions;

use crate::client_port::PortLimits;
use crate::server::StartError;

/// Number of a standalone server in the ids of its sessions, whatever `myid` says.
// Java: ZooKeeperServer.createSessionTracker
const STANDALONE_ID: ServerId = ServerId(1);

pub(crate) fn tree_options(config: &Config, hash_seed: u64) -> TreeOptions {
    TreeOptions {
        extended_types: config.limits.extended_types,
        emulate_353_ttl: config.limits.emulate_353_ttl,
        digest: config.storage.digest,
        hash_seed,
    }
}

pub(crate) fn client_options(config: &Config) -> Result<ClientOptions, StartError> {
    Ok(ClientOptions {
        frame_len_max: usize::try_from(config.limits.frame_bytes_max).unwrap_or(0),
        session_timeout_ms_min: config.session.timeout_ms_min,
        session_timeout_ms_max: config.session.timeout_ms_max,
        outstanding_limit: limits::outstanding(config),
        audit: config.auth.audit.then(owner),
        limits: limits::options(config),
        skip_acl: config.auth.skip_acl,
        auth: auth_options(config)?,
    })
}

/// Under whose name the server runs.
fn owner() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "oxherd".to_owned())
}

fn auth_options(config: &Config) -> Result<AuthOptions, StartError> {
    let auth = &config.auth;
    let has = |name: &str| auth.providers.values().any(|class| class.rsplit('.').next() == Some(name));
    Ok(AuthOptions {
        digest: auth.digest_enabled || has("DigestAuthenticationProvider"),
        digest_algorithm: digest_algorithm(&auth.digest_algorithm)?,
        super_digest: auth.super_digest.clone(),
        x509: config.client_port.secure_port.is_some() || has("X509AuthenticationProvider"),
        sasl: has("SASLAuthenticationProvider"),
        ensemble: has("EnsembleAuthenticationProvider"),
        ensemble_names: auth.ensemble_names.as_deref().map(split_list),
        enforced_schemes: enforced_schemes(config)?,
    })
}

fn digest_algorithm(name: &str) -> Result<DigestAlgorithm, StartError> {
    DigestAlgorithm::from_name(name).ok_or_else(|| {
        StartError::Setting(format!(
            "DigestAuthenticationProvider.digestAlg={name}: expected SHA1, SHA-256 or SHA-512"
        ))
    })
}

fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

// Java: AuthenticationHelper.initConfigurations
fn enforced_schemes(config: &Config) -> Result<Option<Vec<Scheme>>, StartError> {
    let auth = &config.auth;
    if auth.require_sasl {
        return Ok(Some(vec![Scheme::Sasl]));
    }
    if !auth.enforce {
        return Ok(None);
    }
    let names = auth.enforce_schemes.as_deref().unwrap_or_default();
    let names = split_list(names);
    let schemes = names.iter().map(|name| {
        Scheme::from_name(name.as_bytes()).ok_or_else(|| {
            StartError::Setting(format!("enforce.auth.schemes: {name} is no scheme of this server"))
        })
    });
    let schemes: Vec<Scheme> = schemes.collect::<Result<_, _>>()?;
    if schemes.is_empty() {
        let reason = "enforce.auth.enabled=true needs enforce.auth.schemes, a comma list such as digest,x509";
        return Err(StartError::Setting(reason.to_owned()));
    }
    Ok(Some(schemes))
}

pub(crate) fn replica_options(config: &Config, seed: u64) -> Result<ReplicaOptions, StartError> {
    Ok(ReplicaOptions {
        server: match config.mode {
            Mode::Standalone => STANDALONE_ID,
            Mode::Ensemble => config.server_id.unwrap_or(STANDALONE_ID),
        },
        tick_ms: positive(i64::from(config.session.tick_time_ms)),
        prepare: prepare_options(config)?,
        snapshot: SnapshotOptions {
            txns: positive(i64::from(config.storage.snap_count)),
            bytes: (config.storage.snap_size_kb > 0).then(|| positive(config.storage.snap_size_kb) * 1024),
        },
        local_sessions: LocalSessionOptions {
            enabled: config.mode == Mode::Ensemble && config.session.local,
            upgrade: config.session.local_upgrade,
        },
        containers: ContainerOptions {
            check_interval_ms: positive(config.limits.container_interval_ms),
            per_minute_max: positive(i64::from(config.limits.container_per_minute_max)),
            never_used_ms_max: config.limits.container_unused_ms,
        },
        seed,
    })
}

fn prepare_options(config: &Config) -> Result<PrepareOptions, StartError> {
    Ok(PrepareOptions {
        extended_types: config.limits.extended_types,
        emulate_353_ttl: config.limits.emulate_353_ttl,
        digest: config.storage.digest,
        skip_acl: config.auth.skip_acl,
        eager_acl: config.auth.eager_acl_check,
        enforce_quota: config.limits.enforce_quota,
        close_session_paths: config.session.close_lists_ephemerals,
        reconfig: config.quorum.reconfig_enabled,
        standalone_enabled: config.quorum.standalone_enabled,
        multi_address: config.quorum.multi_address,
        auth: auth_options(config)?,
    })
}

// Java: ZooKeeperServer.MAX_WRITE_QUEUE_POLL_SIZE
pub(crate) fn batch_options(config: &Config) -> BatchOptions {
    let storage = &config.storage;
    let delay_ms = u64::try_from(storage.flush_delay_ms).unwrap_or(0);
    let idle_ms = storage.idle_flush_ms.map_or(delay_ms / 3, |idle| u64::try_from(idle).unwrap_or(0));
    BatchOptions {
        delay: Duration::from_millis(delay_ms),
        idle: Duration::from_millis(idle_ms),
        len_max: usize::try_from(storage.batch_max).unwrap_or(0),
    }
}

pub(crate) fn held_drain_max(config: &Config) -> Duration {
    Duration::from_millis(u64::try_from(config.request_throttle.shutdown_ms).unwrap_or(0))
}

pub(crate) fn port_limits(config: &Config) -> PortLimits {
    let port = &config.client_port;
    let greeting_ms = positive(i64::from(port.sessionless_timeout_ms));
    PortLimits {
        per_address_max: usize::try_from(port.per_address_max).unwrap_or(0),
        total_max: usize::try_from(port.connections_max).unwrap_or(0),
        greeting_timeout: Duration::from_millis(greeting_ms),
        keep_alive: port.tcp_keep_alive,
    }
}

/// Milliseconds from which a sync of the log is told as slow.
pub(crate) fn slow_sync_ms(config: &Config) -> i64 {
    config.storage.sync_warning_ms
}

/// Bytes of log files that may be read for a learner, as a share of the newest snapshot.
pub(crate) fn log_share(config: &Config) -> f64 {
    config.quorum.snapshot_size_factor
}

/// Whether clients are served while this server leads.
pub(crate) fn leader_serves(config: &Config) -> bool {
    config.quorum.leader_serves
}

pub(crate) fn positive_len(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn positive(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests;
