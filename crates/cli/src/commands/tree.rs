//! Commands on a node and what is below it: ls, deleteall, the counts.

use std::collections::VecDeque;

use oxherd_client::{Client, ClientError, validate_path};
use oxherd_proto::{DeleteRequest, ErrorCode, MultiOp, MultiResult};
use serde_json::json;

use super::{Spec, node};
use crate::answer::{Answer, Failure};
use crate::arguments::Arguments;
use crate::render;

/// Nodes that go in one txn unless `-b` says otherwise.
const DELETE_BATCH_DEFAULT: i32 = 1000;

/// The path of a child.
pub(super) fn child_path(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

// Java: LsCommand
pub(super) async fn list(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    if args.has("?") {
        return Ok(Answer::json(json!({ "usage": spec.usage() })).line(spec.usage()).line(spec.about));
    }
    let path = args.word(spec, 0)?;
    let old_form = args.words.len() > 1;
    let watched = args.has("w") || old_form;
    let answer = if args.has("R") {
        let nodes = walk(client, path, watched).await?;
        let answer = Answer::json(json!({ "path": path, "nodes": nodes }));
        nodes.iter().fold(answer, Answer::line)
    } else {
        let (mut children, stat) = client.get_children2(path, watched).await?;
        children.sort();
        let stat_json = args.has("s").then(|| render::stat_json(&stat));
        let json = json!({ "path": path, "children": children, "stat": stat_json });
        node::with_stat(Answer::json(json).line(render::list(&children)), args, &stat)
    };
    let note = || format!("deprecated form; write: {}", spec.usage());
    Ok(if old_form { answer.note(note()) } else { answer })
}

/// The node, then level by level within each branch: all children of a node come before grandchildren.
// Java: ZKUtil.visitSubTreeDFS
pub(super) async fn walk(client: &Client, path: &str, watched: bool) -> Result<Vec<String>, ClientError> {
    client.get_data(path, watched).await?;
    let mut seen = vec![path.to_owned()];
    let mut todo = vec![path.to_owned()];
    while let Some(node) = todo.pop() {
        let mut names = match client.get_children(&node, watched).await {
            Ok(names) => names,
            Err(error) if error.code() == Some(ErrorCode::NoNode) => continue,
            Err(error) => return Err(error),
        };
        names.sort();
        let children: Vec<String> = names.iter().map(|name| child_path(&node, name)).collect();
        todo.extend(children.iter().rev().cloned());
        seen.extend(children);
    }
    Ok(seen)
}

// Java: DeleteAllCommand, ZKUtil.deleteRecursive
pub(super) async fn delete_all(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let batch = args.number("b")?.unwrap_or(DELETE_BATCH_DEFAULT);
    validate_path(path).map_err(ClientError::from)?;
    let nodes = breadth_first(client, path).await?;
    let mut done = true;
    match usize::try_from(batch) {
        Ok(batch) if batch > 0 => done = delete_in_batches(client, &nodes, batch).await?,
        _ => {
            for node in nodes.iter().rev() {
                client.delete(node, -1).await?;
            }
        }
    }
    let answer = Answer::json(json!({ "path": path, "nodes": nodes.len(), "ok": done }));
    Ok(if done { answer } else { answer.note("Failed to delete some node(s) in the subtree!") })
}

async fn breadth_first(client: &Client, root: &str) -> Result<Vec<String>, ClientError> {
    let mut queue = VecDeque::from([root.to_owned()]);
    let mut nodes = vec![root.to_owned()];
    while let Some(node) = queue.pop_front() {
        for name in client.get_children(&node, false).await? {
            let child = child_path(&node, &name);
            queue.push_back(child.clone());
            nodes.push(child);
        }
    }
    Ok(nodes)
}

/// Leaves go first; the first batch that fails is the last one tried.
async fn delete_in_batches(client: &Client, nodes: &[String], batch: usize) -> Result<bool, ClientError> {
    for nodes in nodes.rchunks(batch) {
        let delete = |node: &String| {
            MultiOp::Delete(DeleteRequest { path: client.chroot().join_unchecked(node), version: -1 })
        };
        let ops: Vec<MultiOp> = nodes.iter().rev().map(delete).collect();
        let results = client.multi(&ops).await?;
        if results.iter().any(|result| matches!(result, MultiResult::Error(_))) {
            return Ok(false);
        }
    }
    Ok(true)
}

// Java: GetAllChildrenNumberCommand
pub(super) async fn count(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let count = client.get_all_children_number(path).await?;
    Ok(Answer::json(json!({ "path": path, "count": count })).line(count.to_string()))
}

// Java: GetEphemeralsCommand
pub(super) async fn ephemerals(client: &Client, args: &Arguments) -> Result<Answer, Failure> {
    let prefix = args.words.first().map_or("/", String::as_str);
    let paths = client.get_ephemerals(prefix).await?;
    Ok(Answer::json(json!(paths)).line(render::list(&paths)))
}
