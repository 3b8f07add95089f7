//! What must hold between values, and the files that values name.
// Java: QuorumPeerConfig.parseProperties and setupQuorumPeerConfig

mod access;
mod java_env;
mod protection;

use std::path::{Path, PathBuf};

use oxherd_proto::ServerId;

use crate::config::{Config, ConfigError, Mode, Parsed, parse, read};
use crate::dynamic::DynamicFiles;
use crate::membership::{Membership, Role};
use crate::properties::Entry;
use crate::report::{Report, Severity};
use crate::settings::{Origin, Settings};
use crate::table::{self, Place, Status};

pub use access::{DIGEST_ALGORITHMS, SCHEMES};

/// Fewest snapshots that may be kept.
const RETAIN_MIN: i32 = 3;
/// Fewest committed proposals kept for learners.
const COMMIT_LOG_MIN: i32 = 500;
/// Fewest txns between two snapshots.
const SNAP_COUNT_MIN: i32 = 2;
/// Fewest extra bytes of a field.
const EXTRA_BYTES_MIN: i32 = 1024;

/// All checks, with the dynamic file and `myid`.
pub(crate) fn with_files(parsed: &mut Parsed) -> Result<(), ConfigError> {
    let mut report = Report { findings: std::mem::take(&mut parsed.findings) };
    let config = &mut parsed.config;
    values(config, &parsed.settings, &mut report);
    config.server_id = my_id(&config.storage.data_dir, &mut report);
    if let Some(path) = config.quorum.dynamic_file.clone() {
        dynamic_file(config, &path, &mut report)?;
    }
    let version = kept_membership(config, &mut report)?;
    membership(config, version, &parsed.settings, &mut report);
    protection::check(config, &parsed.settings, &mut report);
    if let Some(file) = &config.file {
        java_env::check(file, &parsed.settings, &mut report);
    }
    parsed.findings = report.findings;
    Ok(())
}

/// The checks that need no file.
pub(crate) fn without_files(parsed: &mut Parsed) {
    let mut report = Report { findings: std::mem::take(&mut parsed.findings) };
    values(&mut parsed.config, &parsed.settings, &mut report);
    parsed.findings = report.findings;
}

fn values(config: &mut Config, settings: &Settings, report: &mut Report) {
    unknown_keys(settings, report);
    place_notes(settings, report);
    addresses(config, report);
    timeouts(config, report);
    minima(config, report);
    choices(config, report);
    sasl(config, report);
    access::check(config, settings, report);
    risks(config, report);
    members_in_two_places(config, settings, report);
}

fn unknown_keys(settings: &Settings, report: &mut Report) {
    for (name, setting) in settings.unknown() {
        let known = table::find(name);
        let text = match known.map(|key| key.place) {
            Some(Place::Bare) => {
                format!("takes effect only as -D{name} or {}", crate::settings::variable_of(name))
            }
            Some(_) => "takes effect only in the config file".to_owned(),
            None => match table::closest(name) {
                Some(close) => format!("unknown key, without effect; did you mean {close}?"),
                None => "unknown key, without effect".to_owned(),
            },
        };
        report.add(Severity::Warning, Some((name, &setting.origin)), text);
    }
}

/// Says of every given key that has no effect here, or not yet, that it is so.
fn place_notes(settings: &Settings, report: &mut Report) {
    for (_, key) in table::keys() {
        let given: Vec<_> = match key.family() {
            Some(_) => settings.family(key).collect(),
            None => settings.get(key, key.name).map(|setting| (key.name, setting)).into_iter().collect(),
        };
        for (name, setting) in given {
            let status = key.status_with(&setting.text);
            if status != Status::Honoured {
                report.add(Severity::Note, Some((name, &setting.origin)), status.label());
            }
        }
    }
}

/// A member of an ensemble may do without clients; a server alone would serve nobody.
fn any_port(config: &Config, settings: &Settings, report: &mut Report) {
    let given = ["clientPort", "clientPortAddress"].into_iter().any(|name| {
        let key = table::find(name).expect("a row of the table");
        settings.get(key, name).is_some()
    });
    // What is wrong with one that was given has been said.
    if config.mode == Mode::Standalone && config.client_port.port.is_none() && !given {
        report.error("clientPort", "required: a server alone without it serves nobody");
    }
}

fn addresses(config: &Config, report: &mut Report) {
    let port = &config.client_port;
    if port.port.is_none() && port.address.is_some() {
        report.error("clientPortAddress", "expected clientPort beside it");
    }
    if port.secure_port.is_none() && port.secure_address.is_some() {
        report.error("secureClientPortAddress", "expected secureClientPort beside it");
    }
    if config.storage.data_dir.as_os_str().is_empty() {
        report.error("dataDir", "required: the directory of snapshots and myid");
    }
}

fn timeouts(config: &mut Config, report: &mut Report) {
    let session = &mut config.session;
    if session.tick_time_ms == 0 {
        report.error("tickTime", "expected a length of more than 0 ms");
    }
    if session.timeout_ms_min == -1 {
        session.timeout_ms_min = session.tick_time_ms.wrapping_mul(2);
    }
    if session.timeout_ms_max == -1 {
        session.timeout_ms_max = session.tick_time_ms.wrapping_mul(20);
    }
    if session.timeout_ms_min > session.timeout_ms_max {
        let text =
            format!("{} is more than maxSessionTimeout, {}", session.timeout_ms_min, session.timeout_ms_max);
        report.error("minSessionTimeout", text);
    }
}

fn minima(config: &mut Config, report: &mut Report) {
    let frame = config.limits.frame_bytes_max;
    config.limits.extra_bytes = Some(config.limits.extra_bytes.unwrap_or(frame).max(EXTRA_BYTES_MIN));
    let raised = [
        ("autopurge.snapRetainCount", &mut config.purge.retain, RETAIN_MIN),
        ("commitLogCount", &mut config.quorum.commit_log_count, COMMIT_LOG_MIN),
        ("snapCount", &mut config.storage.snap_count, SNAP_COUNT_MIN),
    ];
    for (key, value, least) in raised {
        if *value < least {
            report.warning(key, format!("{value} is less than {least}, which is used"));
            *value = least;
        }
    }
}

fn choices(config: &Config, report: &mut Report) {
    if config.quorum.election_algorithm != 3 {
        report.error("electionAlg", format!("expected 3, found {}", config.quorum.election_algorithm));
    }
    if let Err(error) = Role::parse(&config.quorum.peer_type) {
        report.error("peerType", error);
    }
    let compression = config.storage.compression.as_str();
    if !["", "gz", "snappy"].contains(&compression) {
        let text =
            format!("expected gz, snappy or nothing, found \"{compression}\"; snapshots are not compressed");
        report.warning("snapshot.compression.method", text);
    }
    let provider = config.metrics.provider.rsplit('.').next().unwrap_or_default();
    if !["DefaultMetricsProvider", "PrometheusMetricsProvider", "NullMetricsProvider"].contains(&provider) {
        let text = format!(
            "expected DefaultMetricsProvider, PrometheusMetricsProvider or NullMetricsProvider, found \"{provider}\"; the default is used"
        );
        report.warning("metricsProvider.className", text);
    }
    let factory = config.client_port.factory.rsplit('.').next().unwrap_or_default();
    if !["NIOServerCnxnFactory", "NettyServerCnxnFactory"].contains(&factory) {
        report.warning(
            "serverCnxnFactory",
            format!("expected NIOServerCnxnFactory or NettyServerCnxnFactory, found \"{factory}\""),
        );
    }
}

fn sasl(config: &Config, report: &mut Report) {
    let auth = &config.quorum_auth;
    if !auth.enabled && auth.server_required {
        report.error("quorum.auth.serverRequireSasl", "expected quorum.auth.enableSasl=true beside it");
    }
    if !auth.enabled && auth.learner_required {
        report.error("quorum.auth.learnerRequireSasl", "expected quorum.auth.enableSasl=true beside it");
    }
    if !auth.learner_required && auth.server_required {
        report
            .error("quorum.auth.serverRequireSasl", "expected quorum.auth.learnerRequireSasl=true beside it");
    }
    let scheme = &config.tls_client.auth_provider;
    if config.client_port.secure_port.is_some()
        && scheme != "x509"
        && !config.auth.providers.contains_key(scheme)
    {
        report.error("ssl.authProvider", format!("expected authProvider.{scheme} beside it"));
    }
}

fn risks(config: &Config, report: &mut Report) {
    if !config.storage.force_sync {
        report.warning("forceSync", "writes are acknowledged before they are on disk; a crash can lose them");
    }
    if config.auth.skip_acl {
        report.warning("skipACL", "every client may do everything");
    }
    if let Some(path) = &config.quorum.oracle_path {
        let text = format!("{} is not asked: two servers tolerate no failure here", path.display());
        report.warning("oraclePath", text);
    }
    if config.purge.interval_hours <= 0 {
        report.add(
            Severity::Note,
            None,
            "old snapshots and logs are never removed (autopurge.purgeInterval)",
        );
    }
}

fn members_in_two_places(config: &Config, settings: &Settings, report: &mut Report) {
    if config.quorum.dynamic_file.is_none() {
        return;
    }
    for name in ["server.*", "group.*", "weight.*"] {
        let family = table::find(name).expect("a row of the table");
        for (name, setting) in settings.family(family) {
            let text = "belongs into the file that dynamicConfigFile names";
            report.add(Severity::Error, Some((name, &setting.origin)), text);
        }
    }
}

/// The number in `myid`; a standalone server needs none.
// Java: QuorumPeerConfig.setupMyId
fn my_id(data_dir: &Path, report: &mut Report) -> Option<ServerId> {
    let path = data_dir.join("myid");
    if !path.is_file() {
        return None;
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    match line.parse() {
        Ok(id) => Some(ServerId(id)),
        Err(_) => {
            report.error(
                "myid",
                format!("{}: expected a whole number in the first line, found \"{line}\"", path.display()),
            );
            None
        }
    }
}

/// Members out of the dynamic file; its version is the hexadecimal end of its name.
// Java: QuorumPeerConfig.parse and getVersionFromFilename
fn dynamic_file(config: &mut Config, path: &Path, report: &mut Report) -> Result<(), ConfigError> {
    name_members(config, path, &parse(path, &read(path)?)?, report);
    Ok(())
}

fn name_members(config: &mut Config, path: &Path, entries: &[Entry], report: &mut Report) {
    for entry in entries {
        let origin = Origin::File { file: path.display().to_string(), line: entry.line };
        let about = Some((entry.key.as_str(), &origin));
        let families = [
            ("server.", &mut config.quorum.servers),
            ("group.", &mut config.quorum.groups),
            ("weight.", &mut config.quorum.weights),
        ];
        match families
            .into_iter()
            .find_map(|(prefix, family)| Some((entry.key.strip_prefix(prefix)?, family)))
        {
            Some((id, family)) => {
                family.insert(id.to_owned(), entry.value.clone());
            }
            None if entry.key == "version" => {
                report.add(
                    Severity::Error,
                    about,
                    "not allowed in a dynamic file: the version is the end of the file's name",
                );
            }
            None => report.add(
                Severity::Error,
                about,
                "expected only server.*, group.* and weight.* in a dynamic file",
            ),
        }
    }
}

/// Version of a dynamic file by its name: `zoo.cfg.dynamic.1001` is 0x1001.
fn version_of(path: &Path) -> i64 {
    let end = path.to_string_lossy().rsplit_once('.').map(|(_, end)| end.to_owned());
    end.and_then(|end| i64::from_str_radix(&end, 16).ok()).unwrap_or(0)
}

/// The version of the members named. Those that could not be written beside `zoo.cfg` are taken from the data
/// directory.
fn kept_membership(config: &mut Config, report: &mut Report) -> Result<i64, ConfigError> {
    let version = config.quorum.dynamic_file.as_deref().map_or(0, version_of);
    let Some(file) = config.file.as_deref() else { return Ok(version) };
    let files = DynamicFiles::of(file, &config.storage.data_dir);
    let kept = match files.kept_active() {
        Ok(kept) => kept.filter(|(kept, _)| *kept > version),
        Err(error) => {
            report.error("dynamicConfigFile", format!("cannot read the members kept with the data: {error}"));
            None
        }
    };
    let Some((newer, text)) = kept else { return Ok(version) };
    let path = files.kept_active_path();
    let about = format!(
        "the members are those of version {newer:x} in {}, which could not be written here; to go by this file \
         remove that one",
        path.display()
    );
    report.warning("dynamicConfigFile", about);
    let quorum = &mut config.quorum;
    for family in [&mut quorum.servers, &mut quorum.groups, &mut quorum.weights] {
        family.clear();
    }
    let mut entries = parse(&path, text.as_bytes())?;
    entries.retain(|entry| entry.key != "version");
    name_members(config, &path, &entries, report);
    let own = config.server_id.and_then(|id| config.quorum.servers.get(&id.0.to_string()));
    if own.is_some_and(|own| own.contains(';')) {
        // As in `zoo.cfg`, had it been written.
        (config.client_port.port, config.client_port.address) = (None, None);
    }
    Ok(newer)
}

fn membership(config: &mut Config, version: i64, settings: &Settings, report: &mut Report) {
    let quorum = &config.quorum;
    match Membership::parse(&quorum.servers, &quorum.groups, &quorum.weights) {
        Ok(membership) => config.membership = membership,
        Err((key, error)) => return report.error(&key, error),
    }
    config.membership.version = version;
    if !quorum.multi_address
        && let Some((id, _)) = config.membership.members.iter().find(|(_, member)| member.addresses.len() > 1)
    {
        report.error(&format!("server.{}", id.0), "several addresses need multiAddress.enabled=true");
    }
    decide_mode(config, report);
    own_entry(config, report);
    any_port(config, settings, report);
}

// Java: QuorumPeerConfig.parseDynamicConfig, isDistributed and checkValidity
fn decide_mode(config: &mut Config, report: &mut Report) {
    let (voters, observers) =
        (config.membership.participants().count(), config.membership.observers().count());
    let standalone = config.quorum.standalone_enabled;
    match voters {
        0 if !standalone => report.error("standaloneEnabled", "false needs at least one participant"),
        0 | 1 if standalone && observers > 0 => {
            report.error("server.*", "observers need an ensemble to observe")
        }
        1 if standalone => {
            report.add(Severity::Note, None, "a single participant: the server runs standalone")
        }
        2 => report.warning("server.*", "two participants tolerate no failure; three tolerate one"),
        even if even > 0 && even % 2 == 0 => report
            .warning("server.*", format!("{even} participants tolerate no more failures than {}", even - 1)),
        _ => {}
    }
    if voters > 1 || !standalone {
        config.mode = Mode::Ensemble;
        ensemble_needs(config, report);
    }
}

fn ensemble_needs(config: &Config, report: &mut Report) {
    if config.quorum.init_limit == 0 {
        report.error("initLimit", "required in an ensemble: ticks to connect and catch up");
    }
    if config.quorum.sync_limit == 0 {
        report.error("syncLimit", "required in an ensemble: ticks a learner may lag");
    }
    if config.server_id.is_none() {
        let path: PathBuf = config.storage.data_dir.join("myid");
        report.error(
            "myid",
            format!("required in an ensemble: write this server's number into {}", path.display()),
        );
    }
    // Java: LearnerSyncThrottler, whose constructor ends a server when it comes to lead
    let syncs = [
        ("leader.maxConcurrentSnapSyncs", config.quorum.snap_syncs_max),
        ("leader.maxConcurrentDiffSyncs", config.quorum.diff_syncs_max),
    ];
    for (key, max) in syncs.into_iter().filter(|(_, max)| *max < 1) {
        report.error(
            key,
            format!("expected at least 1, found {max}: no observer could ever be brought up to date"),
        );
    }
}

/// What the list of members says about this server wins, unless it contradicts.
// Java: QuorumPeerConfig.setupClientPort and setupPeerType
fn own_entry(config: &mut Config, report: &mut Report) {
    let Some(member) = config.server_id.and_then(|id| config.membership.members.get(&id)) else {
        return;
    };
    if let Some((host, port)) = &member.client {
        let client = &mut config.client_port;
        let own_host = client.address.as_deref().filter(|address| !is_any(address));
        let same = client.port.is_none_or(|own| own == *port) && own_host.is_none_or(|own| own == host);
        if !same {
            report.error("clientPort", format!("differs from {host}:{port} in the list of servers"));
        }
        (client.port, client.address) = (Some(*port), Some(host.clone()).filter(|host| !is_any(host)));
    }
    if Role::parse(&config.quorum.peer_type).is_ok_and(|role| role != member.role) {
        report.warning("peerType", format!("the list of servers says {}, which counts", member.role));
        config.quorum.peer_type = member.role.to_string();
    }
}

fn is_any(host: &str) -> bool {
    host == "0.0.0.0" || host == "::"
}
