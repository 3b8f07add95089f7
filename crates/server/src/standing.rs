//! Whether a member of an ensemble may vote with the data it found.
//!
//! One that may not waits for a leader that the others elect, learns everything from it, and votes from then on.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs};

use oxherd_config::Config;
use oxherd_proto::{Epoch, Zxid};
use oxherd_storage::{Layout, OsDisk, Recovery, StorageError};
use oxherd_tree::Tree;
use oxherd_zab::{EnsembleConfig, Past};
use tracing::{info, warn};

use crate::driver::Driver;

/// Where the tree keeps the list of members.
const CONFIG_PATH: &[u8] = b"/zookeeper/config";

/// Why a member must not vote, or not without more ado.
#[derive(Debug, PartialEq, Eq)]
enum Doubt {
    /// It is noted that acknowledged txns or epochs are missing.
    Incomplete,
    /// There is nothing, and `db.autocreate=false` says that this is wrong.
    Empty,
    /// There is nothing, and nobody said whether this is right.
    New,
    /// Its data is of an ensemble on other machines.
    Foreign(String),
}

/// What the data is worth to agreement; says why it is worth less than it seems, and the way out. Takes the
/// `initialize` file, with which an operator says that the data is meant to be as it is. `current` is the epoch in
/// which this server learned from a leader or was one.
// Java: FileTxnSnapLog.restore, of which an empty directory with db.autocreate=false is the only case
pub(crate) fn past(
    config: &Config,
    layout: &Layout,
    recovery: &Recovery,
    current: Epoch,
    tree: Option<&Tree>,
) -> Result<Past, StorageError> {
    let is_meant = layout.take_initialize(&OsDisk)?;
    let doubt = doubt(config, layout, recovery, (current, tree), is_meant)?;
    let Some(doubt) = doubt else { return Ok(Past::Whole(recovery.last_zxid)) };
    let file = config.storage.data_dir.join("initialize");
    let dir = layout.snap_dir.display();
    match doubt {
        Doubt::New => {
            info!(
                "{dir} is empty: this server votes as long as no other server of its ensemble has a history"
            );
            return Ok(Past::Empty);
        }
        Doubt::Incomplete => warn!(
            "acknowledged txns or epochs are missing in {dir}: this server does not vote until it has learned \
             everything from a leader; if no other server has more, remove {}, and its data counts as it is",
            layout.incomplete_path().display()
        ),
        Doubt::Empty => warn!(
            "{dir} is empty and db.autocreate=false: this server does not vote until it has learned everything from \
             a leader; for a new ensemble, make the file {} and start it again",
            file.display()
        ),
        Doubt::Foreign(servers) => warn!(
            "{dir} holds data of another ensemble, of {servers}: this server does not vote until it has learned \
             everything from a leader; check dataDir, and if all servers were moved, make the file {} and start it \
             again",
            file.display()
        ),
    }
    Ok(Past::Unknown)
}

fn doubt(
    config: &Config,
    layout: &Layout,
    recovery: &Recovery,
    (current, tree): (Epoch, Option<&Tree>),
    is_meant: bool,
) -> Result<Option<Doubt>, StorageError> {
    if layout.is_incomplete(&OsDisk)? {
        return Ok(Some(Doubt::Incomplete));
    }
    // Before the first txn there is nothing to lose, and names in zoo.cfg may still be put right.
    if recovery.last_zxid == Zxid::ZERO {
        let allowed = if config.storage.trust_empty { Some(true) } else { config.storage.create_database };
        let doubt = || doubt_of_nothing(allowed, recovery.snapshot.is_some(), current);
        return Ok(if is_meant { None } else { doubt() });
    }
    let foreign = tree.filter(|_| !is_meant).and_then(|tree| foreign_servers(config, tree));
    Ok(foreign.map(Doubt::Foreign))
}

/// Whether the data names none of the machines of this configuration; one that may vote nevertheless was moved.
pub(crate) fn is_foreign(config: &Config, tree: &Tree) -> bool {
    foreign_servers(config, tree).is_some()
}

/// Notes whose data it is, so that another ensemble's is told apart from the first snapshot on, and that of moved
/// servers counts at the next start too. In memory; every role does it again.
// Java: QuorumPeerMain.runFromConfig, which does it before the first snapshot
pub(crate) fn name_ensemble(config: &Config, tree: &mut Tree) {
    let (text, version) = (config.membership.to_string(), config.membership.version);
    tree.set_config_node(text.as_bytes(), Zxid(version), Driver::now().unix_ms);
}

fn foreign_servers(config: &Config, tree: &Tree) -> Option<String> {
    let known = tree.node(CONFIG_PATH).and_then(|node| node.data());
    let known = String::from_utf8_lossy(known.unwrap_or_default()).into_owned();
    foreign(&known, &config.membership.to_string(), &look_up)
}

/// What to think of data without a txn. A snapshot of nothing is made at every start with a vote; whoever has learned
/// or led has an epoch as well.
fn doubt_of_nothing(allowed: Option<bool>, has_snapshot: bool, current: Epoch) -> Option<Doubt> {
    match allowed {
        Some(true) => None,
        Some(false) => (!has_snapshot).then_some(Doubt::Empty),
        None => (current == Epoch(0)).then_some(Doubt::New),
    }
}

/// The servers of a list that shares no machine with this configuration; nothing when it shares one, be it under
/// another name, or when either names none.
fn foreign(known: &str, configured: &str, look_up: &dyn Fn(&str) -> Vec<IpAddr>) -> Option<String> {
    let (known, configured) = (hosts(known), hosts(configured));
    if known.is_empty() || configured.is_empty() || !known.is_disjoint(&configured) {
        return None;
    }
    let addresses = |hosts: &BTreeSet<String>| -> BTreeSet<IpAddr> {
        hosts.iter().flat_map(|host| look_up(host)).collect()
    };
    let is_foreign = addresses(&known).is_disjoint(&addresses(&configured));
    is_foreign.then(|| known.into_iter().collect::<Vec<_>>().join(", "))
}

fn look_up(host: &str) -> Vec<IpAddr> {
    (host, 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default()
}

/// The machines of a list; an address that stands for every one names none.
fn hosts(text: &str) -> BTreeSet<String> {
    let Ok(ensemble) = EnsembleConfig::parse(text) else { return BTreeSet::new() };
    let addresses = ensemble.members.values().flat_map(|member| &member.addresses);
    let is_any = |host: &str| host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    addresses.map(|address| address.host.to_lowercase()).filter(|host| !is_any(host)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "server.1=zk1:2888:3888:participant\nserver.2=ZK2:2888:3888:participant\nversion=0";

    fn look_up(host: &str) -> Vec<IpAddr> {
        host.strip_prefix("alias-of-").unwrap_or(host).parse().into_iter().collect()
    }

    #[test]
    fn an_empty_disk_is_taken_for_a_new_one_only_where_nobody_said_anything() {
        for has_snapshot in [false, true] {
            assert_eq!(doubt_of_nothing(None, has_snapshot, Epoch(0)), Some(Doubt::New));
            assert_eq!(
                doubt_of_nothing(None, has_snapshot, Epoch(1)),
                None,
                "it has learned that there is nothing"
            );
            assert_eq!(doubt_of_nothing(Some(true), has_snapshot, Epoch(0)), None);
        }
        assert_eq!(doubt_of_nothing(Some(false), false, Epoch(0)), Some(Doubt::Empty));
        assert_eq!(
            doubt_of_nothing(Some(false), true, Epoch(0)),
            None,
            "it was begun with the file initialize"
        );
    }

    #[test]
    fn another_name_of_the_same_machine_is_not_foreign() {
        let list = |host| format!("server.1={host}:2888:3888:participant\nversion=0");
        assert_eq!(foreign(&list("alias-of-10.0.0.1"), &list("10.0.0.1"), &look_up), None);
        let found = foreign(&list("alias-of-10.0.0.2"), &list("10.0.0.1"), &look_up);
        assert_eq!(found, Some("alias-of-10.0.0.2".to_owned()));
        assert_eq!(foreign(&list("0.0.0.0"), &list("10.0.0.1"), &look_up), None);
    }

    #[test]
    fn data_of_other_machines_is_foreign() {
        let there = "server.1=a1:2888:3888:participant\nserver.2=a2:2888:3888:participant\nversion=100000000";
        assert_eq!(foreign(there, HERE, &look_up), Some("a1, a2".to_owned()));
    }

    #[test]
    fn an_ensemble_that_changed_in_part_is_the_same() {
        let before = "server.1=old:2888:3888:participant\nserver.7=zk2:2888:3888:observer\nversion=0";
        assert_eq!(foreign(before, HERE, &look_up), None);
        assert_eq!(foreign(HERE, HERE, &look_up), None);
    }

    #[test]
    fn data_that_names_nobody_is_nobodys() {
        for nothing in ["", "version=0", "\u{0}\u{1}"] {
            assert_eq!(foreign(nothing, HERE, &look_up), None, "{nothing:?}");
        }
    }
}
