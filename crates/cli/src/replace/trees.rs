//! Reads the trees of two members through clients, and compares them while others write.
//!
//! A difference counts only when it cannot be a matter of time: the node is read on the leader, then on the member
//! behind a `sync`, then on the leader behind a `sync` again. If both readings of the leader are the same, nothing has
//! changed the node in between, and the member had to have exactly that.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use oxherd_client::{Client, ClientError};
use oxherd_proto::{ErrorCode, Stat};
use tokio::task::JoinSet;

use super::facts::Comparison;

/// Most paths that are looked at again at a time, and that are reported.
pub(crate) const DIFFERENT_MAX: usize = 1_000;
/// Nodes read at the same time.
const BATCH: usize = 512;
/// Nodes from one word about progress to the next.
const TOLD_EACH: usize = 50_000;
/// Looks at a node that changes all the while.
const LOOKS_MAX: usize = 5;
/// Written by each member for itself, so it differs.
const CONFIG: &str = "/zookeeper/config";

/// A node as one member has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// It does not exist.
    Absent,
    /// The user may not read it.
    Hidden,
    /// Stat, and a hash of data and ACL.
    Present(Box<Stat>, u64),
}

/// The nodes of one member, by path.
pub(crate) type Tree = BTreeMap<String, Node>;

/// What three readings of a node say: leader, member behind a sync, leader behind a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Different,
    Changing,
}

fn verdict(before: &Node, member: &Node, after: &Node) -> Verdict {
    if member == before || member == after {
        Verdict::Same
    } else if before == after {
        Verdict::Different
    } else {
        Verdict::Changing
    }
}

/// Paths that two readings do not agree on, sorted.
fn unlike(left: &Tree, right: &Tree) -> Vec<String> {
    let paths: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    paths.into_iter().filter(|path| left.get(*path) != right.get(*path)).cloned().collect()
}

/// Reads every node, a level at a time; `Err` with the number of nodes so far when there are more than `nodes_max`.
/// `tell` hears now and then how many there are.
pub(crate) async fn walk(
    client: &Client,
    nodes_max: u64,
    tell: &mut impl FnMut(usize),
) -> Result<Result<Tree, u64>, ClientError> {
    client.sync("/").await?;
    let (mut tree, mut level, mut told) = (Tree::new(), vec!["/".to_owned()], 0);
    while !level.is_empty() {
        let mut below = Vec::new();
        for batch in level.chunks(BATCH) {
            for (path, node, children) in read_batch(client, batch).await? {
                below.extend(
                    children.into_iter().map(|name| child(&path, &name)).filter(|path| path != CONFIG),
                );
                if node != Node::Absent {
                    tree.insert(path, node);
                }
            }
            if tree.len() - told >= TOLD_EACH {
                told = tree.len();
                tell(told);
            }
            if tree.len() as u64 > nodes_max {
                return Ok(Err(tree.len() as u64));
            }
        }
        level = below;
    }
    Ok(Ok(tree))
}

fn child(parent: &str, name: &str) -> String {
    format!("{}/{name}", parent.trim_end_matches('/'))
}

type Read = (String, Node, Vec<String>);

async fn read_batch(client: &Client, paths: &[String]) -> Result<Vec<Read>, ClientError> {
    let mut reads = JoinSet::new();
    for path in paths {
        let (client, path) = (client.clone(), path.clone());
        reads.spawn(async move {
            let node = read(&client, &path).await?;
            let children = match &node {
                Node::Absent => Vec::new(),
                // Most nodes have none: no need to ask.
                Node::Present(stat, _) if stat.num_children == 0 => Vec::new(),
                _ => allowed(client.get_children(&path, false).await)?.unwrap_or_default(),
            };
            Ok((path, node, children))
        });
    }
    reads.join_all().await.into_iter().collect()
}

/// `None` when the node is gone, or may not be read.
fn allowed<T>(result: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.code(), Some(ErrorCode::NoNode | ErrorCode::NoAuth)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// One node; its stat and data belong together, and its ACL is told by the stat's version of it.
async fn read(client: &Client, path: &str) -> Result<Node, ClientError> {
    let (data, acl) = tokio::join!(client.get_data(path, false), client.get_acl(path));
    let (data, stat) = match data {
        Ok(found) => found,
        Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(Node::Absent),
        Err(error) if error.code() == Some(ErrorCode::NoAuth) => return Ok(Node::Hidden),
        Err(error) => return Err(error),
    };
    let Some((acl, _)) = allowed(acl)? else {
        return Ok(Node::Absent);
    };
    let mut hash = DefaultHasher::new();
    data.as_deref().hash(&mut hash);
    for entry in &acl {
        (entry.perms, &entry.id.scheme[..], &entry.id.id[..]).hash(&mut hash);
    }
    Ok(Node::Present(Box::new(stat), hash.finish()))
}

/// Compares a member's tree with the leader's, which has been read already.
pub(crate) async fn compare(
    (leader, tree): (&Client, &Tree),
    member: &Client,
    nodes_max: u64,
    tell: &mut impl FnMut(usize),
) -> Result<Result<Comparison, u64>, ClientError> {
    let theirs = match walk(member, nodes_max, tell).await? {
        Ok(theirs) => theirs,
        Err(nodes) => return Ok(Err(nodes)),
    };
    let (different, changing) = look_again(leader, member, &unlike(tree, &theirs)).await?;
    let hidden = theirs.values().filter(|node| **node == Node::Hidden).count() as u64;
    Ok(Ok(Comparison { nodes: theirs.len() as u64, hidden, changing, different }))
}

/// What a comparison needs of a member; a test has its own.
trait Reads {
    fn catch_up(&self) -> impl Future<Output = Result<(), ClientError>> + Send;
    fn nodes(&self, paths: &[String]) -> impl Future<Output = Result<Tree, ClientError>> + Send;
}

impl Reads for Client {
    async fn catch_up(&self) -> Result<(), ClientError> {
        self.sync("/").await.map(drop)
    }

    async fn nodes(&self, paths: &[String]) -> Result<Tree, ClientError> {
        read_all(self, paths).await
    }
}

/// Looks again at every node that was not the same at the first reading: those that are different, sorted, and the
/// number of those that change all the while. It ends early only when more are different than are reported.
async fn look_again(
    leader: &(impl Reads + Sync),
    member: &(impl Reads + Sync),
    unlike: &[String],
) -> Result<(Vec<String>, u64), ClientError> {
    let (mut different, mut changing) = (Vec::new(), 0);
    for part in unlike.chunks(DIFFERENT_MAX) {
        let mut open = part.to_vec();
        for _ in 0..LOOKS_MAX {
            if open.is_empty() {
                break;
            }
            let before = leader.nodes(&open).await?;
            member.catch_up().await?;
            let seen = member.nodes(&open).await?;
            leader.catch_up().await?;
            let after = leader.nodes(&open).await?;
            let of = |path: &String| verdict(&before[path], &seen[path], &after[path]);
            different.extend(open.iter().filter(|path| of(path) == Verdict::Different).cloned());
            open.retain(|path| of(path) == Verdict::Changing);
        }
        changing += open.len() as u64;
        if different.len() >= DIFFERENT_MAX {
            break;
        }
    }
    different.sort();
    different.truncate(DIFFERENT_MAX);
    Ok((different, changing))
}

async fn read_all(client: &Client, paths: &[String]) -> Result<Tree, ClientError> {
    let mut tree = Tree::new();
    for batch in paths.chunks(BATCH) {
        tree.extend(read_batch(client, batch).await?.into_iter().map(|(path, node, _)| (path, node)));
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(version: i32) -> Node {
        Node::Present(Box::new(Stat { version, ..Stat::default() }), 1)
    }

    #[test]
    fn only_a_node_that_stood_still_can_be_different() {
        assert_eq!(verdict(&node(1), &node(1), &node(1)), Verdict::Same);
        assert_eq!(verdict(&node(1), &node(1), &node(2)), Verdict::Same);
        assert_eq!(verdict(&node(1), &node(2), &node(2)), Verdict::Same);
        assert_eq!(verdict(&node(1), &node(2), &node(3)), Verdict::Changing);
        assert_eq!(verdict(&node(1), &node(2), &node(1)), Verdict::Different);
        assert_eq!(verdict(&node(1), &Node::Absent, &node(1)), Verdict::Different);
        assert_eq!(verdict(&Node::Absent, &node(1), &Node::Absent), Verdict::Different);
    }

    #[test]
    fn a_node_too_much_one_too_few_and_one_that_differs_are_looked_at_again() {
        let tree = |nodes: &[(&str, i32)]| -> Tree {
            nodes.iter().map(|(path, version)| ((*path).to_owned(), node(*version))).collect()
        };
        let (left, right) =
            (tree(&[("/", 0), ("/a", 1), ("/b", 1)]), tree(&[("/", 0), ("/b", 2), ("/c", 1)]));
        assert_eq!(unlike(&left, &right), ["/a", "/b", "/c"]);
        assert!(unlike(&left, &left).is_empty());
        assert_eq!((child("/", "a"), child("/a", "b")), ("/a".to_owned(), "/a/b".to_owned()));
    }

    /// A member whose nodes stand still.
    struct Still(Tree);

    impl Reads for Still {
        async fn catch_up(&self) -> Result<(), ClientError> {
            Ok(())
        }

        async fn nodes(&self, paths: &[String]) -> Result<Tree, ClientError> {
            let node = |path: &String| self.0.get(path).cloned().unwrap_or(Node::Absent);
            Ok(paths.iter().map(|path| (path.clone(), node(path))).collect())
        }
    }

    #[test]
    fn a_lost_node_is_found_behind_any_number_that_were_only_written_meanwhile() {
        let moved = 3 * DIFFERENT_MAX;
        let mut tree: Tree = (0..moved).map(|number| (format!("/a/{number:06}"), node(1))).collect();
        let member = Still(tree.clone());
        tree.insert("/z".to_owned(), node(1));
        let unlike: Vec<String> = tree.keys().cloned().collect();
        let leader = Still(tree);
        let work = look_again(&leader, &member, &unlike);
        let found = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work).unwrap();
        assert_eq!(found, (vec!["/z".to_owned()], 0));
    }
}
