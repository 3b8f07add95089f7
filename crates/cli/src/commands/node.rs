//! Commands on one node: create, delete, get, set, stat.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use oxherd_client::{Client, ClientError, open_acl};
use oxherd_proto::{CreateMode, ErrorCode, Stat};
use serde_json::{Value, json};

use super::Spec;
use crate::answer::{Answer, Failure, code_message};
use crate::arguments::Arguments;
use crate::render;

// Java: CreateCommand
pub(super) async fn create(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let ttl_ms: Option<i64> = args.number("t")?;
    let mode = create_mode(args, ttl_ms)?;
    let data = args.words.get(1).map(|data| Bytes::from(data.clone()));
    let (acl, problems) = match args.words.get(2) {
        Some(text) => render::parse_acl(text),
        None => (open_acl(), Vec::new()),
    };
    let created = match ttl_ms {
        Some(ttl_ms) => client.create_ttl(path, data, acl, mode, ttl_ms).await.map(|(path, _)| path),
        None => client.create(path, data, acl, mode).await,
    };
    let path = created.map_err(|error| with_notes(error, &problems))?;
    let answer = problems.iter().fold(Answer::json(json!({ "path": path })), Answer::note);
    Ok(answer.note(format!("Created {path}")))
}

fn create_mode(args: &Arguments, ttl_ms: Option<i64>) -> Result<CreateMode, Failure> {
    let wrong = |message: &str| Err(Failure::new(message));
    match (args.has("e"), args.has("s"), args.has("c"), ttl_ms) {
        (true, _, true, _) | (_, true, true, _) => wrong("-c goes with neither -s nor -e"),
        (true, _, _, Some(_)) => wrong("an ephemeral node has no time to live: -t does not go with -e"),
        (_, _, true, Some(_)) => wrong("a container has no time to live: -t does not go with -c"),
        (_, _, _, Some(ttl_ms)) if !(1..=CreateMode::TTL_MS_MAX).contains(&ttl_ms) => {
            Err(Failure::new(format!("-t must be from 1 to {} ms", CreateMode::TTL_MS_MAX)))
        }
        (true, true, ..) => Ok(CreateMode::EphemeralSequential),
        (true, ..) => Ok(CreateMode::Ephemeral),
        (_, true, _, Some(_)) => Ok(CreateMode::PersistentSequentialTtl),
        (_, true, ..) => Ok(CreateMode::PersistentSequential),
        (_, _, true, _) => Ok(CreateMode::Container),
        (_, _, _, Some(_)) => Ok(CreateMode::PersistentTtl),
        _ => Ok(CreateMode::Persistent),
    }
}

/// What was wrong with the ACL stands before the failure it led to.
fn with_notes(error: ClientError, problems: &[String]) -> Failure {
    let mut notes = problems.to_vec();
    if let ClientError::Keeper { code, path } = &error {
        match code {
            ErrorCode::InvalidAcl => notes.push(code_message(*code, path)),
            ErrorCode::EphemeralOnLocalSession => {
                notes.push("Unable to create ephemeral node on a local session".to_owned());
            }
            _ => {}
        }
    }
    let mut failure = Failure::from(error);
    notes.push(failure.message);
    failure.message = notes.join("\n");
    failure
}

/// The old form with the version as second word still means that version.
// Java: DeleteCommand
pub(super) async fn delete(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let old = args.words.get(1);
    let version = match (args.number("v")?, old) {
        (Some(version), _) => version,
        (None, Some(old)) => old.parse().map_err(|_| Failure::new(spec.usage()))?,
        (None, None) => -1,
    };
    client.delete(path, version).await?;
    let answer = Answer::json(json!({ "deleted": path }));
    Ok(if old.is_some() { deprecated(answer, spec) } else { answer })
}

fn deprecated(answer: Answer, spec: &Spec) -> Answer {
    answer.note(format!("deprecated form; write: {}", spec.usage()))
}

/// The old form has a second word that asks for a watch.
fn is_watched(args: &Arguments) -> bool {
    args.has("w") || args.words.len() > 1
}

/// Null data is shown as the word `null`.
// Java: GetCommand
pub(super) async fn get(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let (data, stat) = client.get_data(path, is_watched(args)).await?;
    let bytes = data.as_deref().unwrap_or(b"null");
    let text = if args.has("x") {
        render::hex_dump(bytes)
    } else if args.has("b") {
        STANDARD.encode(bytes)
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    let mut answer = Answer::json(data_json(path, data.as_deref(), &stat, args.has("b"))).line(text);
    if args.words.len() > 1 {
        answer = deprecated(answer, spec);
    }
    Ok(with_stat(answer, args, &stat))
}

/// Data as text where it is UTF-8, else in base64.
fn data_json(path: &str, data: Option<&[u8]>, stat: &Stat, base64: bool) -> Value {
    let text = data.and_then(|data| std::str::from_utf8(data).ok()).filter(|_| !base64);
    let (encoding, data) = match (data, text) {
        (None, _) => (Value::Null, Value::Null),
        (Some(_), Some(text)) => (json!("utf-8"), json!(text)),
        (Some(data), None) => (json!("base64"), json!(STANDARD.encode(data))),
    };
    json!({ "path": path, "data": data, "encoding": encoding, "stat": render::stat_json(stat) })
}

pub(super) fn with_stat(answer: Answer, args: &Arguments, stat: &Stat) -> Answer {
    if args.has("s") { answer.line(render::stat_text(stat)) } else { answer }
}

// Java: SetCommand
pub(super) async fn set(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let given = args.word(spec, 1)?;
    let data = if args.has("b") {
        let decoded = STANDARD.decode(given);
        decoded.map_err(|error| Failure::new(format!("data is not base64: {error}")))?
    } else {
        given.as_bytes().to_vec()
    };
    let version = args.number("v")?.unwrap_or(-1);
    let stat = client.set_data(path, Some(Bytes::from(data)), version).await?;
    let answer = Answer::json(json!({ "path": path, "stat": render::stat_json(&stat) }));
    Ok(with_stat(answer, args, &stat))
}

// Java: StatCommand
pub(super) async fn stat(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let stat = client.exists(path, is_watched(args)).await?;
    let missing = || ClientError::Keeper { code: ErrorCode::NoNode, path: path.to_owned() };
    let stat = stat.ok_or_else(missing)?;
    let answer = Answer::json(json!({ "path": path, "stat": render::stat_json(&stat) }));
    let answer = answer.line(render::stat_text(&stat));
    Ok(if args.words.len() > 1 { deprecated(answer, spec) } else { answer })
}
