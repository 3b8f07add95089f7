//! Commands on quotas, which are nodes below `/zookeeper/quota`.

use bytes::Bytes;
use oxherd_client::{Client, ClientError, open_acl, validate_path};
use oxherd_proto::{CreateMode, ErrorCode};
use serde_json::json;

use super::quota_track::{BYTES, BYTES_HARD, COUNT, COUNT_HARD, QuotaTrack};
use super::{Spec, tree};
use crate::answer::{Answer, Failure};
use crate::arguments::Arguments;

const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";
/// Option letter and key of each limit, and the smallest value it takes.
const KEYS: [(&str, &str, i64); 4] =
    [("n", COUNT, 1), ("b", BYTES, 0), ("N", COUNT_HARD, 1), ("B", BYTES_HARD, 0)];

async fn read(client: &Client, path: &str) -> Result<QuotaTrack, ClientError> {
    let (data, _) = client.get_data(path, false).await?;
    Ok(QuotaTrack::parse(&data.unwrap_or_default()))
}

fn is_missing(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::NoNode)
}

// Java: ListQuotaCommand
pub(super) async fn list(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let limits_path = format!("{ROOT}{path}/{LIMITS}");
    let place = format!("absolute path is {limits_path}");
    let both = async {
        let limits = read(client, &limits_path).await?;
        Ok((limits, read(client, &format!("{ROOT}{path}/{STATS}")).await?))
    };
    match both.await {
        Ok((limits, stats)) => {
            let json = json!({ "path": path, "quota": limits.json(), "stat": stats.json() });
            let answer = Answer::json(json).note(place);
            let answer = answer.line(format!("Output quota for {path} {}", limits.to_line()));
            Ok(answer.line(format!("Output stat for {path} {}", stats.to_line())))
        }
        Err(error) if is_missing(&error) => {
            let answer = Answer::json(json!({ "path": path, "quota": null, "stat": null })).note(place);
            Ok(answer.note(format!("quota for {path} does not exist.")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Without an option the whole quota goes, with its empty parents.
// Java: DelQuotaCommand
pub(super) async fn remove(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let limits_path = format!("{ROOT}{path}/{LIMITS}");
    if client.exists(&limits_path, false).await?.is_none() {
        let answer = Answer::json(json!({ "path": path, "quota": null }));
        return Ok(answer.line(format!("Quota does not exist for {path}")));
    }
    let chosen: Vec<_> = KEYS.iter().filter(|(letter, ..)| args.has(letter)).collect();
    match chosen[..] {
        [] => remove_nodes(client, format!("{ROOT}{path}")).await?,
        [(_, key, _)] => {
            let mut limits = read(client, &limits_path).await?;
            limits.set(key, -1);
            client.set_data(&limits_path, Some(Bytes::from(limits.to_line())), -1).await?;
        }
        _ => return Err(Failure::new(format!("one option only: {}", spec.usage()))),
    }
    Ok(Answer::done())
}

async fn remove_nodes(client: &Client, mut node: String) -> Result<(), ClientError> {
    for child in [LIMITS, STATS] {
        match client.delete(&tree::child_path(&node, child), -1).await {
            Err(error) if !is_missing(&error) => return Err(error),
            _ => {}
        }
    }
    while node != ROOT && client.get_children(&node, false).await?.is_empty() {
        client.delete(&node, -1).await?;
        node.truncate(node.rfind('/').unwrap_or(0));
    }
    Ok(())
}

// Java: SetQuotaCommand
pub(super) async fn set(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let chosen: Vec<_> = KEYS.iter().filter(|(letter, ..)| args.value(letter).is_some()).collect();
    let [(letter, key, least)] = chosen[..] else {
        return Err(Failure::new(format!("exactly one option is needed: {}", spec.usage())));
    };
    let path = args.word(spec, 0)?;
    if path.starts_with(ROOT) {
        return Err(Failure::new(format!("cannot set a quota under the path: {ROOT}")));
    }
    let value: i64 = args.number(letter)?.unwrap_or(-1);
    if value < *least {
        return Err(Failure::new(format!("-{letter} must be at least {least}")));
    }
    check_place(client, path).await?;
    let (limits, stats) = store(client, path, key, value).await?;
    Ok(warn(Answer::json(json!({ "path": path, "quota": limits.json() })), &limits, &stats))
}

/// A quota needs its node, and no other quota above or below it.
async fn check_place(client: &Client, path: &str) -> Result<(), Failure> {
    validate_path(path).map_err(ClientError::from)?;
    if client.exists(path, false).await?.is_none() {
        return Err(Failure::new(format!("{path} does not exist.")));
    }
    let own = format!("{ROOT}{path}");
    let below = match tree::walk(client, &own, false).await {
        Ok(nodes) => nodes,
        Err(error) if is_missing(&error) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let other =
        |node: &&String| node.strip_suffix(LIMITS).is_some_and(|parent| parent.trim_end_matches('/') != own);
    if let Some(node) = below.iter().find(other) {
        let place = &node[ROOT.len()..node.len() - LIMITS.len() - 1];
        return Err(Failure::new(format!("{path} has a child {place} which has a quota")));
    }
    for (at, _) in path.match_indices('/').skip(1) {
        let above = &path[..at];
        if client.exists(&format!("{ROOT}{above}/{LIMITS}"), false).await?.is_some() {
            return Err(Failure::new(format!("{path} has a parent {above} which has a quota")));
        }
    }
    Ok(())
}

async fn store(
    client: &Client,
    path: &str,
    key: &str,
    value: i64,
) -> Result<(QuotaTrack, QuotaTrack), ClientError> {
    let own = if path == "/" { ROOT.to_owned() } else { format!("{ROOT}{path}") };
    let limits_path = format!("{own}/{LIMITS}");
    let stats_path = format!("{own}/{STATS}");
    if client.exists(&limits_path, false).await?.is_some() {
        let mut limits = read(client, &limits_path).await?;
        limits.set(key, value);
        let stats = read(client, &stats_path).await?;
        client.set_data(&limits_path, Some(Bytes::from(limits.to_line())), -1).await?;
        return Ok((limits, stats));
    }
    for (at, _) in own.match_indices('/').skip(1).chain([(own.len(), "")]) {
        create(client, &own[..at], None).await?;
    }
    let mut limits = QuotaTrack::unlimited();
    limits.set(key, value);
    create(client, &limits_path, Some(limits.to_line())).await?;
    create(client, &stats_path, Some(QuotaTrack::unused().to_line())).await?;
    Ok((limits, read(client, &stats_path).await?))
}

/// Makes a node unless it is there.
async fn create(client: &Client, path: &str, data: Option<String>) -> Result<(), ClientError> {
    let made = client.create(path, data.map(Bytes::from), open_acl(), CreateMode::Persistent).await;
    match made {
        Err(error) if error.code() != Some(ErrorCode::NodeExists) => Err(error),
        _ => Ok(()),
    }
}

fn warn(mut answer: Answer, limits: &QuotaTrack, stats: &QuotaTrack) -> Answer {
    for (word, soft, hard) in [("count", COUNT, COUNT_HARD), ("bytes", BYTES, BYTES_HARD)] {
        let used = stats.get(soft);
        let exceeds = |limit: i64| limit > -1 && limit < used;
        if exceeds(limits.get(soft)) || exceeds(limits.get(hard)) {
            let text =
                format!("[Warning]: the {word} quota you create is less than the existing {word}:{used}");
            answer = answer.line(text);
        }
    }
    answer
}
