//! The ensemble as its configuration tells it: who is in it, where to ask, what the file says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oxherd_config::{Config, ConfigError, Finding, Member, Membership, Parsed, Severity, Sources};

use super::facts::{self, ConfigFact, ConfigWeight, Disk, Peers};

/// What to look at.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// By number.
    pub(crate) members: BTreeMap<i64, Address>,
    /// Group and weight of each voter, where there are groups.
    pub(crate) weights: BTreeMap<i64, (i64, i64)>,
    /// What is to be said about the file.
    pub(crate) config: Vec<ConfigFact>,
    /// The file, absolute.
    pub(crate) file: PathBuf,
    /// The number of the member on whose machine this runs, with its directories.
    pub(crate) own: Option<(i64, Vec<PathBuf>)>,
}

/// Where a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) votes: bool,
    /// Where its peers find it.
    pub(crate) peers: Peers,
    /// `host:port` for clients, when it is known.
    pub(crate) client: Option<String>,
}

impl Target {
    /// Reads a `zoo.cfg` with what it names; `places` override where clients connect.
    pub(crate) fn load(file: &Path, places: &[(i64, String)]) -> Result<Self, ConfigError> {
        let parsed = Parsed::load(&Sources { file: Some(file.to_owned()), ..Sources::default() })?;
        let config = &parsed.config;
        let own = config
            .server_id
            .map(|id| id.0)
            .filter(|id| config.membership.members.keys().any(|key| key.0 == *id));
        let members = config.membership.members.iter().map(|(id, member)| {
            let given = places.iter().find(|(other, _)| *other == id.0).map(|(_, place)| place.clone());
            let client = given.or_else(|| client_of(config, member, own == Some(id.0)));
            let peers = facts::sorted(member.addresses.clone());
            let votes = config.membership.participants().any(|voter| voter == *id);
            (id.0, Address { votes, peers, client })
        });
        Ok(Self {
            members: members.collect(),
            weights: weights(&config.membership),
            config: config_facts(&parsed),
            file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
            own: own.map(|id| (id, directories(config))),
        })
    }

    /// Space on the fuller of the disks of the member on whose machine this runs.
    pub(crate) fn disk(&self) -> Option<Disk> {
        let (member, dirs) = self.own.as_ref()?;
        let data = dirs.iter().map(|dir| newest_snapshot_bytes(dir)).max().unwrap_or(0);
        let disks = dirs.iter().filter_map(|dir| {
            let stat = rustix::fs::statvfs(dir).ok()?;
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            Some(Disk { member: *member, dir: dir.clone(), free, data })
        });
        disks.min_by_key(|disk| disk.free)
    }
}

fn weights(membership: &Membership) -> BTreeMap<i64, (i64, i64)> {
    let groups = membership.groups.iter();
    groups.map(|(id, group)| (id.0, (*group, membership.weight(*id)))).collect()
}

fn directories(config: &Config) -> Vec<PathBuf> {
    vec![config.storage.data_dir.clone(), config.log_dir().to_owned()]
}

/// Bytes of the largest snapshot file below a data directory; 0 when there is none.
fn newest_snapshot_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir.join("version-2")).into_iter().flatten().flatten();
    let snapshots = files.filter(|file| file.file_name().to_string_lossy().starts_with("snapshot."));
    snapshots.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).max().unwrap_or(0)
}

fn client_of(config: &Config, member: &Member, own: bool) -> Option<String> {
    let peer = &member.addresses.first()?.host;
    let (host, port) = match &member.client {
        Some((host, port)) => (host.clone(), *port),
        // A static file has the client port of its own machine alone; ensembles use the same one everywhere.
        None => {
            let port = &config.client_port;
            let host = port.address.as_ref().filter(|_| own).map_or_else(|| peer.clone(), Clone::clone);
            (host, port.port?)
        }
    };
    let is_any = matches!(host.as_str(), "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0");
    let host = if is_any { peer.clone() } else { host };
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

fn config_facts(parsed: &Parsed) -> Vec<ConfigFact> {
    let config = &parsed.config;
    let myid = config.storage.data_dir.join("myid");
    let elsewhere = !config.membership.members.is_empty() && config.server_id.is_none() && !myid.is_file();
    let fact = |finding: &Finding| {
        if elsewhere && finding.key.as_deref() == Some("myid") {
            let text = format!(
                "{} is not there or may not be seen, so this is taken for no member's machine: no disk is looked at",
                myid.display()
            );
            return Some(ConfigFact { weight: ConfigWeight::Harmless, text });
        }
        let weight = match finding.severity {
            Severity::Error => ConfigWeight::Error,
            Severity::Warning | Severity::Note if unserved(finding) => ConfigWeight::Unserved,
            Severity::Warning => ConfigWeight::Harmless,
            Severity::Note => return None,
        };
        Some(ConfigFact { weight, text: finding.to_string() })
    };
    parsed.findings.iter().filter_map(fact).collect()
}

/// Keys that switch something on that peers or clients would miss.
fn unserved(finding: &Finding) -> bool {
    const SWITCHES: [&str; 6] = [
        "secureClientPort",
        "client.portUnification",
        "sslQuorum",
        "quorum.auth.enableSasl",
        "sessionRequireClientSASLAuth",
        "authProvider.",
    ];
    let Some(key) = &finding.key else {
        return false;
    };
    SWITCHES.iter().any(|switch| key.starts_with(switch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, places: &[(i64, String)]) -> Target {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("zoo.cfg");
        std::fs::write(dir.path().join("myid"), "2\n").unwrap();
        std::fs::write(&file, format!("dataDir={}\n{text}", dir.path().display())).unwrap();
        Target::load(&file, places).unwrap()
    }

    #[test]
    fn clients_are_where_the_list_the_file_or_the_user_says() {
        let text = "initLimit=5\nsyncLimit=2\nclientPort=2181\nserver.1=zk1:1:2;0.0.0.0:2281\nserver.2=zk2:1:2\n\
                    server.3=zk3:1:2:observer\nserver.4=[::1]:1:2\n";
        let target = load(text, &[(3, "other:99".to_owned())]);
        let places: Vec<_> = target.members.values().map(|member| member.client.clone().unwrap()).collect();
        assert_eq!(places, ["zk1:2281", "zk2:2181", "other:99", "[::1]:2181"]);
        assert!(target.members[&1].votes && !target.members[&3].votes);
        assert_eq!(target.own.as_ref().map(|(id, _)| *id), Some(2));
    }

    #[test]
    fn what_the_file_says_is_weighed() {
        let members = "initLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
        let weights = |text: &str| -> Vec<_> {
            load(&format!("clientPort=2181\n{members}{text}"), &[])
                .config
                .iter()
                .map(|fact| fact.weight)
                .collect()
        };
        assert_eq!(weights(""), []);
        assert_eq!(weights("tickTimes=3\n"), [ConfigWeight::Harmless]);
        assert_eq!(weights("electionAlg=1\n"), [ConfigWeight::Error]);
        assert!(weights("sslQuorum=true\n").contains(&ConfigWeight::Error));
        assert_eq!(weights("secureClientPort=2281\n"), [ConfigWeight::Unserved]);
        assert!(weights("quorum.auth.enableSasl=true\n").contains(&ConfigWeight::Unserved));
    }

    #[test]
    fn a_machine_without_a_number_is_no_members_and_one_with_a_wrong_number_is_in_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("zoo.cfg");
        let text =
            "clientPort=2181\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
        std::fs::write(&file, format!("dataDir={}\n{text}", dir.path().display())).unwrap();
        let target = Target::load(&file, &[]).unwrap();
        assert_eq!(target.own, None);
        assert_eq!(target.config.len(), 1, "{:?}", target.config);
        assert_eq!(target.config[0].weight, ConfigWeight::Harmless);
        std::fs::write(dir.path().join("myid"), "one\n").unwrap();
        let target = Target::load(&file, &[]).unwrap();
        assert!(target.config.iter().any(|fact| fact.weight == ConfigWeight::Error), "{:?}", target.config);
    }

    #[test]
    fn groups_and_weights_are_those_of_the_file() {
        let text = "clientPort=1\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
        assert!(load(text, &[]).weights.is_empty());
        let target = load(&format!("{text}group.7=1:2:3\nweight.3=5\n"), &[]);
        assert_eq!(target.weights, BTreeMap::from([(1, (7, 1)), (2, (7, 1)), (3, (7, 5))]));
    }

    #[test]
    fn the_disk_of_the_own_member_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("version-2")).unwrap();
        std::fs::write(dir.path().join("version-2/snapshot.1"), [0; 700]).unwrap();
        let mut target = load("clientPort=1\nserver.1=a:1:2\nserver.2=b:1:2\n", &[]);
        target.own = Some((2, vec![dir.path().to_owned()]));
        let disk = target.disk().unwrap();
        assert_eq!((disk.member, disk.data), (2, 700));
        assert!(disk.free > 0);
    }
}
