//! Commands on ACLs.

use oxherd_client::Client;
use oxherd_proto::Acl;
use serde_json::{Value, json};

use super::{Spec, node, tree};
use crate::answer::{Answer, Failure};
use crate::arguments::Arguments;
use crate::render;

// Java: GetAclCommand
pub(super) async fn get(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let (acl, stat) = client.get_acl(path).await?;
    let entries: Vec<Value> = acl.iter().map(entry_json).collect();
    let json = json!({ "path": path, "acl": entries, "stat": render::stat_json(&stat) });
    let answer = acl.iter().map(entry_text).fold(Answer::json(json), Answer::line);
    Ok(node::with_stat(answer, args, &stat))
}

/// Scheme and id, then the permissions on a line of their own.
// Java: Id.toString
fn entry_text(entry: &Acl) -> String {
    format!("'{},'{}\n: {}", entry.id.scheme, entry.id.id, render::permissions(entry.perms))
}

fn entry_json(entry: &Acl) -> Value {
    json!({
        "scheme": entry.id.scheme.to_text(),
        "id": entry.id.id.to_text(),
        "perms": render::permissions(entry.perms),
    })
}

/// With `-R`, nodes that refuse are told and the others are changed.
// Java: SetAclCommand
pub(super) async fn set(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let (acl, problems) = render::parse_acl(args.word(spec, 1)?);
    let version = args.number("v")?.unwrap_or(-1);
    if args.has("R") {
        let nodes = tree::walk(client, path, false).await?;
        let mut refused = Vec::new();
        for node in &nodes {
            if let Err(error) = client.set_acl(node, acl.clone(), version).await {
                refused.push(Failure::from(error).message);
            }
        }
        let json = json!({ "path": path, "nodes": nodes.len(), "refused": refused });
        let answer = problems.iter().fold(Answer::json(json), Answer::note);
        return Ok(refused.iter().fold(answer, Answer::line));
    }
    let stat = match client.set_acl(path, acl, version).await {
        Ok(stat) => stat,
        Err(error) => {
            let mut failure = Failure::from(error);
            failure.message = problems.into_iter().chain([failure.message]).collect::<Vec<_>>().join("\n");
            return Err(failure);
        }
    };
    let answer = Answer::json(json!({ "path": path, "stat": render::stat_json(&stat) }));
    Ok(node::with_stat(problems.iter().fold(answer, Answer::note), args, &stat))
}
