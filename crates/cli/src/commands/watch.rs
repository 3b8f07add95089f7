//! Commands on watches.

use oxherd_client::{AddWatchMode, Client, WatcherType};

use super::Spec;
use crate::answer::{Answer, Failure};
use crate::arguments::Arguments;

/// The mode is this command's alone; the original's shell goes on with the last one given.
// Java: AddWatchCommand
pub(super) async fn add(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let mode = match args.value("m").map(str::to_uppercase).as_deref() {
        None | Some("PERSISTENT_RECURSIVE") => AddWatchMode::PersistentRecursive,
        Some("PERSISTENT") => AddWatchMode::Persistent,
        Some(_) => return Err(Failure::new(format!("{} # {}", spec.usage(), spec.about))),
    };
    client.add_watch(path, mode).await?;
    Ok(Answer::done())
}

// Java: RemoveWatchesCommand
pub(super) async fn remove(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let path = args.word(spec, 0)?;
    let kinds = [
        ("c", WatcherType::Children),
        ("d", WatcherType::Data),
        ("p", WatcherType::Persistent),
        ("r", WatcherType::PersistentRecursive),
    ];
    let kind = kinds.iter().find(|(flag, _)| args.has(flag)).map_or(WatcherType::Any, |(_, kind)| *kind);
    client.remove_watches(path, kind, args.has("l")).await?;
    Ok(Answer::done())
}
