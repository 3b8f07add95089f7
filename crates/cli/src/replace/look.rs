//! Asks the members: names, four-letter words, and sessions of their own for clocks and trees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oxherd_client::{Client, ClientOptions, SessionState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::facts::{Answer, Clock, Facts, Member, Mode, Server, Tree};
use super::target::{Address, Target};
use super::{trees, words};

/// For a name, a word, or a session.
const PATIENCE: Duration = Duration::from_secs(5);
/// For the walk through one member's tree.
const WALK_PATIENCE: Duration = Duration::from_secs(600);
/// Nodes in memory at most when several members are compared at the same time.
const NODES_AT_ONCE: u64 = 500_000;
/// Session timeout asked for, in milliseconds.
const SESSION_TIMEOUT_MS: i32 = 10_000;

/// How closely to look.
#[derive(Clone, Debug)]
pub(crate) struct Depth {
    /// Nodes of the largest tree that is compared; 0 compares none.
    pub(crate) tree_nodes_max: u64,
    /// `scheme:text` for the sessions.
    pub(crate) auth: Option<String>,
}

/// Names and words: cheap, and nothing is written.
pub(crate) async fn words(target: &Target) -> Facts {
    let mut asked = JoinSet::new();
    for (id, address) in target.members.clone() {
        asked.spawn(async move { (id, member(&address).await) });
    }
    Facts {
        members: asked.join_all().await.into_iter().collect(),
        weights: target.weights.clone(),
        config: target.config.clone(),
        disk: target.disk(),
    }
}

async fn member(address: &Address) -> Member {
    let mut member = Member {
        votes: address.votes,
        peers: address.peers.clone(),
        place: address.client.clone(),
        ..Member::default()
    };
    let client_host = address.client.as_ref().and_then(|place| place.rsplit_once(':')).map(|(host, _)| host);
    let mut hosts: Vec<&str> = address.peers.iter().map(|peer| peer.host.as_str()).collect();
    hosts.extend(client_host.map(|host| host.trim_matches(['[', ']'])));
    hosts.dedup();
    for host in hosts {
        if let Err(reason) = resolve(host).await {
            member.unresolved.push(format!("{host}: {reason}"));
        }
    }
    let Some(place) = &address.client else {
        return member;
    };
    member.answer = match word(place, "srvr").await {
        Ok(text) => words::read_srvr(&text),
        Err(reason) => Answer::Silent(reason),
    };
    if let Answer::Serving(server) = &mut member.answer {
        member.closed = more_words(place, server).await;
    }
    member
}

/// Adds what the other words say; those that are closed.
async fn more_words(place: &str, server: &mut Server) -> std::collections::BTreeSet<&'static str> {
    type Add = fn(&mut Server, &str);
    let mut asked: Vec<(&'static str, Add)> =
        vec![("mntr", words::add_mntr), ("hash", words::add_hash), ("conf", words::add_conf)];
    if server.mode == Mode::Leader {
        asked.push(("dump", words::add_dump));
    }
    // Asked again with a session, for the clock.
    asked.push(("cons", |_, _| {}));
    let mut closed = std::collections::BTreeSet::new();
    for (name, add) in asked {
        match word(place, name).await {
            Ok(text) if words::is_closed(&text) => drop(closed.insert(name)),
            Ok(text) => add(server, &text),
            // It went down in between; the next look tells.
            Err(_) => {}
        }
    }
    closed
}

async fn resolve(host: &str) -> Result<(), String> {
    match timeout(PATIENCE, lookup_host((host, 0))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {PATIENCE:?}")),
    }
}

async fn word(place: &str, word: &str) -> Result<String, String> {
    let answer = async {
        let mut link = TcpStream::connect(place).await?;
        link.write_all(word.as_bytes()).await?;
        let mut bytes = Vec::new();
        link.read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    match timeout(PATIENCE, answer).await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {PATIENCE:?}")),
    }
}

/// Clocks and trees, through a session on each member that serves. `tell` is told how it goes.
pub(crate) async fn closely(facts: &mut Facts, depth: &Depth, tell: &mut dyn FnMut(&str)) {
    let places: BTreeMap<i64, String> =
        facts.serving().filter_map(|(id, _)| Some((id, facts.members[&id].place.clone()?))).collect();
    let mut clients = BTreeMap::new();
    for (id, place) in places {
        let opened = open(&place, depth).await;
        let member = facts.members.get_mut(&id).expect("the places are those of members");
        match opened {
            Ok((client, clock)) => {
                member.clock = clock;
                clients.insert(id, client);
            }
            Err(reason) => member.tree = Tree::Unreadable(reason),
        }
    }
    if depth.tree_nodes_max > 0 {
        compare_trees(facts, &clients, depth, tell).await;
    }
    for client in clients.values() {
        // A session that cannot be closed ends by itself.
        drop(timeout(PATIENCE, client.close()).await);
    }
}

/// A session on this member alone, and its clock where `cons` tells when the connection was accepted.
async fn open(place: &str, depth: &Depth) -> Result<(Client, Option<Clock>), String> {
    let options = ClientOptions { timeout_ms: SESSION_TIMEOUT_MS, ..ClientOptions::default() };
    let before = now_ms();
    let (client, _events) = Client::connect(place, &options).map_err(|error| error.to_string())?;
    let state = timeout(PATIENCE, client.connected()).await.map_err(|_| "no session".to_owned())?;
    if state != SessionState::Connected {
        return Err(format!("the session is {state:?}"));
    }
    let after = now_ms();
    let clock = match word(place, "cons").await {
        Ok(text) => {
            words::established_ms(&text, client.session_id().0).map(|theirs| clock(before, theirs, after))
        }
        Err(_) => None,
    };
    if let Some((scheme, text)) = depth.auth.as_ref().and_then(|auth| auth.split_once(':')) {
        client.add_auth(scheme, text.as_bytes());
    }
    Ok((client, clock))
}

/// The connection was accepted between two readings of the own clock, and once by the member's.
fn clock(before_ms: i64, theirs_ms: i64, after_ms: i64) -> Clock {
    let half = (after_ms - before_ms) / 2;
    Clock { ahead_ms: theirs_ms - before_ms - half, precision_ms: half + 1 }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn compare_trees(
    facts: &mut Facts,
    clients: &BTreeMap<i64, Client>,
    depth: &Depth,
    tell: &mut dyn FnMut(&str),
) {
    let Some((leader, nodes)) = facts.leader().map(|(id, server)| (id, server.nodes)) else {
        return;
    };
    let others: Vec<i64> = facts.members.keys().copied().filter(|id| *id != leader).collect();
    let mut set = |id: i64, tree: Tree| {
        if let Some(member) = facts.members.get_mut(&id) {
            member.tree = tree;
        }
    };
    if nodes > depth.tree_nodes_max {
        return others.iter().for_each(|id| set(*id, Tree::TooBig(nodes)));
    }
    let Some(of_leader) = clients.get(&leader) else {
        return;
    };
    tell(&format!("reading the tree of server {leader}, {nodes} nodes"));
    let mut far = |count: usize| tell(&format!("  {count} of {nodes} nodes"));
    let walk = trees::walk(of_leader, depth.tree_nodes_max, &mut far);
    let tree = match timeout(WALK_PATIENCE, walk).await {
        Ok(Ok(Ok(tree))) => Arc::new(tree),
        Ok(Ok(Err(nodes))) => return others.iter().for_each(|id| set(*id, Tree::TooBig(nodes))),
        Ok(Err(error)) => return set(leader, Tree::Unreadable(error.to_string())),
        Err(_) => return set(leader, Tree::Unreadable(format!("not done in {WALK_PATIENCE:?}"))),
    };
    let comparing = Comparing { leader: of_leader.clone(), tree, nodes, nodes_max: depth.tree_nodes_max };
    let others: Vec<_> = clients.iter().filter(|(id, _)| **id != leader).collect();
    for group in others.chunks(comparing.members_at_once()) {
        for (id, found) in comparing.members(group, tell).await {
            set(id, found);
        }
    }
}

/// What members are compared with.
#[derive(Clone)]
struct Comparing {
    leader: Client,
    tree: Arc<trees::Tree>,
    nodes: u64,
    nodes_max: u64,
}

impl Comparing {
    /// As many as keep [`NODES_AT_ONCE`] nodes in memory; members are apart, so that none has more to do for it.
    fn members_at_once(&self) -> usize {
        usize::try_from(NODES_AT_ONCE / self.nodes.max(1)).unwrap_or(usize::MAX).max(1)
    }

    async fn members(&self, group: &[(&i64, &Client)], tell: &mut dyn FnMut(&str)) -> Vec<(i64, Tree)> {
        let (progress, mut told) = mpsc::unbounded_channel();
        let mut running = JoinSet::new();
        for &(id, client) in group {
            tell(&format!("comparing the tree of server {id}"));
            let (comparing, id, client, progress) = (self.clone(), *id, client.clone(), progress.clone());
            running.spawn(async move { (id, comparing.member(id, &client, &progress).await) });
        }
        drop(progress);
        while let Some(text) = told.recv().await {
            tell(&text);
        }
        running.join_all().await
    }

    async fn member(&self, id: i64, client: &Client, progress: &mpsc::UnboundedSender<String>) -> Tree {
        let mut far = |count: usize| {
            // Whoever listens may have gone.
            progress.send(format!("  server {id}: {count} of {} nodes", self.nodes)).unwrap_or(());
        };
        let compared = trees::compare((&self.leader, &self.tree), client, self.nodes_max, &mut far);
        match timeout(WALK_PATIENCE, compared).await {
            Ok(Ok(Ok(comparison))) => Tree::Compared(comparison),
            Ok(Ok(Err(nodes))) => Tree::TooBig(nodes),
            Ok(Err(error)) => Tree::Unreadable(error.to_string()),
            Err(_) => Tree::Unreadable(format!("not done in {WALK_PATIENCE:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_known_as_well_as_the_handshake_was_quick() {
        assert_eq!(clock(1000, 1005, 1010), Clock { ahead_ms: 0, precision_ms: 6 });
        assert_eq!(clock(1000, 4000, 1001), Clock { ahead_ms: 3000, precision_ms: 1 });
        assert_eq!(clock(1000, 500, 1100), Clock { ahead_ms: -550, precision_ms: 51 });
    }
}
