//! Commands on the session and on the shell itself.

use std::time::Duration;

use oxherd_client::{Client, SessionState};
use serde_json::{Value, json};

use super::{COMMANDS, Spec, find};
use crate::answer::{Answer, Failure};
use crate::arguments::Arguments;
use crate::shell::Shell;

/// Longest wait for a sync.
// Java: SyncCommand.SYNC_TIMEOUT
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);
/// Commands of the history that are shown, without the latest.
const HISTORY_SHOWN: usize = 10;

/// Commands that need no live session; `None` for the others.
pub(super) async fn run_local(
    shell: &mut Shell,
    spec: &Spec,
    given: &[String],
) -> Option<Result<Answer, Failure>> {
    Some(match spec.name {
        "quit" | "exit" => {
            shell.leaving = true;
            Ok(Answer::done())
        }
        "help" => help(given),
        "version" => Ok(version()),
        "history" => Ok(history(shell)),
        "printwatches" => Ok(print_watches(shell, given)),
        "connect" => {
            let servers = given.first().cloned().unwrap_or_else(|| shell.servers.clone());
            shell.connect(&servers).await.map(|()| Answer::done())
        }
        _ => return None,
    })
}

fn help(given: &[String]) -> Result<Answer, Failure> {
    let specs: Vec<&Spec> = match given.first() {
        Some(name) => vec![find(name).ok_or_else(|| super::unknown(name))?],
        None => COMMANDS.iter().collect(),
    };
    let rows: Vec<Value> =
        specs.iter().map(|spec| json!({ "usage": spec.usage(), "about": spec.about })).collect();
    let line = |spec: &&Spec| format!("{}\n        {}", spec.usage(), spec.about);
    Ok(specs.iter().map(line).fold(Answer::json(json!(rows)), Answer::line))
}

fn version() -> Answer {
    let version = env!("CARGO_PKG_VERSION");
    let json = json!({ "name": "oxherd", "version": version });
    Answer::json(json).line(format!("ZooKeeper CLI version: oxherd {version}"))
}

/// The last eleven, the present one included.
fn history(shell: &Shell) -> Answer {
    let first = shell.history.len().saturating_sub(HISTORY_SHOWN + 1);
    let rows = || shell.history.iter().enumerate().skip(first);
    let json: Vec<Value> = rows().map(|(number, line)| json!({ "number": number, "line": line })).collect();
    rows().map(|(number, line)| format!("{number} - {line}")).fold(Answer::json(json!(json)), Answer::line)
}

fn print_watches(shell: &mut Shell, given: &[String]) -> Answer {
    let told = given.is_empty();
    if let Some(word) = given.first() {
        shell.print_watches = word == "on";
    }
    let word = if shell.print_watches { "on" } else { "off" };
    let answer = Answer::json(json!({ "printwatches": shell.print_watches }));
    if told { answer.line(format!("printwatches is {word}")) } else { answer }
}

// Java: AddAuthCommand
pub(super) fn add_auth(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let scheme = args.word(spec, 0)?;
    let auth = args.words.get(1).map_or("", String::as_str);
    client.add_auth(scheme, auth.as_bytes());
    Ok(Answer::done())
}

/// A session that was not yet, or no longer, connected ends just as well.
pub(super) async fn close(client: &Client) -> Result<Answer, Failure> {
    match client.close().await {
        Err(error) if client.state() != SessionState::Closed => Err(error.into()),
        _ => Ok(Answer::done()),
    }
}

// Java: SyncCommand
pub(super) async fn sync(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let done = tokio::time::timeout(SYNC_TIMEOUT, client.sync(path)).await;
    match done {
        Ok(Ok(())) => Ok(Answer::done().line("Sync is OK")),
        Ok(Err(error)) => match error.code() {
            Some(code) => {
                let json = json!({ "error": { "message": "Sync has failed", "code": code.code() } });
                Ok(Answer::json(json).line(format!("Sync has failed. rc={}", code.code())))
            }
            None => Err(error.into()),
        },
        Err(_) => Err(Failure::new(format!("sync took longer than {} s", SYNC_TIMEOUT.as_secs()))),
    }
}

// Java: WhoAmICommand
pub(super) async fn who_am_i(client: &Client) -> Result<Answer, Failure> {
    let identities = client.who_am_i().await?;
    let row = |identity: &oxherd_proto::ClientInfo| json!({ "scheme": identity.auth_scheme.to_text(), "user": identity.user.to_text() });
    let json: Vec<Value> = identities.iter().map(row).collect();
    let line = |identity: &oxherd_proto::ClientInfo| format!("{}: {}", identity.auth_scheme, identity.user);
    let answer = Answer::json(json!(json)).line("Auth scheme: User");
    Ok(identities.iter().map(line).fold(answer, Answer::line))
}
