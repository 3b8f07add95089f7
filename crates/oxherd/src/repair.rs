//! `repair`: explains a data directory, and puts it right when asked to.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use oxherd_config::{Parsed, Sources, explain};
use oxherd_server::repair::{DataDirectory, LogState, Problem, Repair, SnapshotState, Survey, Zxid};
use serde_json::{Value, json};

use crate::commands::RepairOptions;
use crate::report;

/// As of a server that refuses to start on such a directory.
const DAMAGED: u8 = 10;
const UNUSABLE: u8 = 2;

#[expect(clippy::print_stderr, reason = "this is what was asked for")]
pub(crate) fn run(options: &RepairOptions) -> ExitCode {
    match look_and_repair(options) {
        Ok((text, code)) => {
            report::print(&text);
            code
        }
        Err(reason) => {
            eprintln!("{reason:#}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn look_and_repair(options: &RepairOptions) -> anyhow::Result<(String, ExitCode)> {
    let meant = directories(options)?;
    let (text, code) = survey_and_repair(options, &meant)?;
    let text = match meant.because {
        Some(because) if !options.json => format!("{because}\n{text}"),
        _ => text,
    };
    Ok((text, code))
}

fn survey_and_repair(options: &RepairOptions, meant: &Meant) -> anyhow::Result<(String, ExitCode)> {
    let Meant { data_dir, log_dir, .. } = meant;
    let found = DataDirectory::survey(data_dir, log_dir.as_deref(), options.apply)?;
    let plan = found.plan();
    let mut moved = Vec::new();
    let mut after = None;
    if let (true, Ok(plan)) = (options.apply, &plan) {
        moved = found.carry_out(plan)?;
        let survey = found.found().clone();
        drop(found);
        after = Some(DataDirectory::survey(data_dir, log_dir.as_deref(), true)?);
        return Ok(report(options, &survey, &Ok(plan.clone()), &moved, after.as_ref()));
    }
    let plan = plan.map_err(|error| error.to_string());
    Ok(report(options, found.found(), &plan, &moved, after.as_ref()))
}

fn report(
    options: &RepairOptions,
    survey: &Survey,
    plan: &Result<Repair, String>,
    moved: &[PathBuf],
    after: Option<&DataDirectory>,
) -> (String, ExitCode) {
    let left = after.map_or(survey, DataDirectory::found);
    let code = if left.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) };
    let text = match options.json {
        true => format!("{:#}", to_json(survey, plan, moved, after)),
        false => to_text(survey, plan, moved, after),
    };
    (text, code)
}

/// The directories that are meant, and by what when a configuration named them.
struct Meant {
    data_dir: PathBuf,
    log_dir: Option<PathBuf>,
    because: Option<String>,
}

/// Given as such, or by a configuration, which is read as a start would read it.
fn directories(options: &RepairOptions) -> anyhow::Result<Meant> {
    if options.dir.is_file() {
        return configured(options);
    }
    let mut dir = options.dir.clone();
    if dir.file_name().is_some_and(|name| name == "version-2") {
        dir.pop();
    }
    Ok(Meant { data_dir: dir, log_dir: options.log_dir.clone(), because: None })
}

/// Whatever else is wrong with the configuration does not matter here.
fn configured(options: &RepairOptions) -> anyhow::Result<Meant> {
    let sources = Sources {
        file: Some(options.dir.clone()),
        environment: std::env::vars().collect(),
        ..Sources::default()
    };
    let parsed = Parsed::load(&sources)?;
    let config = &parsed.config;
    if config.storage.data_dir.as_os_str().is_empty() {
        anyhow::bail!("{} names no dataDir", options.dir.display());
    }
    let rows = explain(&parsed);
    let origin = |key: &str| rows.iter().find(|row| row.key == key).map(|row| row.origin.to_string());
    let mut because = format!(
        "dataDir is {} ({})",
        config.storage.data_dir.display(),
        origin("dataDir").unwrap_or_default()
    );
    let log_dir = options.log_dir.clone().unwrap_or_else(|| config.log_dir().to_owned());
    if log_dir != config.storage.data_dir {
        let origin =
            if options.log_dir.is_some() { Some("--log-dir".to_owned()) } else { origin("dataLogDir") };
        let _ = write!(because, ", dataLogDir is {} ({})", log_dir.display(), origin.unwrap_or_default());
    }
    Ok(Meant { data_dir: config.storage.data_dir.clone(), log_dir: Some(log_dir), because: Some(because) })
}

fn to_text(
    survey: &Survey,
    plan: &Result<Repair, String>,
    moved: &[PathBuf],
    after: Option<&DataDirectory>,
) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", survey.layout.snap_dir.display());
    for state in survey.snapshots.iter().rev() {
        let _ = writeln!(out, "  {}", snapshot_line(state));
    }
    if survey.layout.log_dir != survey.layout.snap_dir {
        let _ = writeln!(out, "{}", survey.layout.log_dir.display());
    }
    for state in &survey.logs {
        log_lines(&mut out, state);
    }
    if let Some((file, offset)) = survey.mark.filter(|(_, offset)| *offset > 0) {
        let _ = writeln!(out, "  durable up to byte {offset} of log.{:x}, and so acknowledged", file.0);
    }
    epoch_line(&mut out, survey);
    verdict(&mut out, survey);
    match plan {
        Err(reason) => drop(writeln!(out, "\n{reason}")),
        Ok(plan) if plan.is_nothing() => {}
        Ok(plan) => plan_lines(&mut out, survey, plan, after.is_some()),
    }
    if let Some(after) = after {
        for dir in moved {
            let _ = writeln!(out, "moved files are in {}", dir.display());
        }
        out.push_str("\nafterwards:\n");
        verdict(&mut out, after.found());
    }
    out
}

fn snapshot_line(state: &SnapshotState) -> String {
    let (name, len) = (name(&state.file.path), state.file.len);
    match &state.damage {
        None => format!("{name}   {len} bytes, whole: the tree up to {}", state.file.zxid),
        Some(damage) => format!("{name}   {len} bytes, DAMAGED: {damage}"),
    }
}

fn log_lines(out: &mut String, state: &LogState) {
    let range = match state.range {
        Some((first, last)) => format!("{} txns, {first} to {last}", state.txns),
        None => "no txn".to_owned(),
    };
    let _ = writeln!(out, "  {}   {} bytes, {range}", name(&state.file.path), state.len);
    for (number, (offset, reason)) in state.damage.iter().enumerate() {
        let rest = match (number, state.goes_on) {
            (0, true) => "; whole txns follow",
            (0, false) => "; no whole txn follows",
            _ => "",
        };
        let _ = writeln!(out, "      DAMAGED at byte {offset}: {reason}{rest}");
    }
}

fn epoch_line(out: &mut String, survey: &Survey) {
    if !survey.is_member() {
        return;
    }
    let epoch = |found: &Result<Option<_>, String>| match found {
        Ok(Some(oxherd_server::repair::Epoch(epoch))) => epoch.to_string(),
        Ok(None) => "missing".to_owned(),
        Err(_) => "UNREADABLE".to_owned(),
    };
    let id = survey.member.map_or_else(|| "?".to_owned(), |id| id.0.to_string());
    let (accepted, current) = (epoch(&survey.accepted), epoch(&survey.current));
    let _ = writeln!(out, "  member {id} of an ensemble, acceptedEpoch {accepted}, currentEpoch {current}");
    if survey.incomplete {
        out.push_str(
            "  marked as incomplete: it does not vote until it has learned everything from a leader\n",
        );
    }
}

fn verdict(out: &mut String, survey: &Survey) {
    if survey.problems.is_empty() {
        let _ = match survey.is_empty() {
            true => writeln!(out, "good: it is empty, and a server can start on it"),
            false => writeln!(out, "good: a server starts on it, with all up to {}", survey.last),
        };
        if let Some(torn) = &survey.torn {
            let name = name(&torn.path);
            let _ = writeln!(
                out,
                "  {name} ends at byte {} in a write that was never acknowledged; a start cuts it off",
                torn.offset
            );
        }
        return;
    }
    out.push_str("DAMAGED: no server starts on it\n");
    for problem in &survey.problems {
        let _ = writeln!(out, "  {}", problem_text(problem));
    }
    if survey.base.is_some() {
        let _ = writeln!(out, "  what can be served ends with {}", survey.last);
    }
}

fn problem_text(problem: &Problem) -> String {
    match problem {
        Problem::NoWholeSnapshot => "none of the snapshots is whole, so there is nothing to begin from".to_owned(),
        Problem::LogWithoutSnapshot => {
            "there is a log and no snapshot to begin from; when there never was one, snapshot.trust.empty=true \
             for one start"
                .to_owned()
        }
        Problem::Log { path, offset, reason } => format!("{} at byte {offset}: {reason}", path.display()),
        Problem::Epochs(reason) => reason.clone(),
    }
}

fn plan_lines(out: &mut String, survey: &Survey, plan: &Repair, done: bool) {
    out.push('\n');
    let _ = writeln!(out, "{}", if done { "done:" } else { "nothing was changed; with --apply:" });
    for path in &plan.move_aside {
        let _ = writeln!(out, "  {} {} aside", if done { "moved" } else { "move" }, path.display());
    }
    if let Some((path, first, last)) = &plan.rewrite {
        let _ = writeln!(out, "  keep {first} to {last}, written anew into {}", path.display());
    }
    if let Some((accepted, current)) = plan.epochs {
        let _ = writeln!(
            out,
            "  write acceptedEpoch {} and currentEpoch {}, the least that the history allows: what this member has\n  \
             promised to leaders is not known",
            accepted.0, current.0
        );
    }
    match plan.lost {
        None => out.push_str("  no txn is lost\n"),
        Some((first, last)) => {
            let _ = writeln!(
                out,
                "  LOST HERE: the txns from {first} to {last}, and later ones if there were any"
            );
        }
    }
    if survey.is_member() && (plan.lost.is_some() || plan.epochs.is_some() || plan.mark_incomplete) {
        out.push_str(
            "  this member then does not vote until it has learned everything from a leader, as with an empty\n  \
             directory, which is as safe: the others have what was acknowledged. If none of them has more than\n  \
             this one, remove the file oxherd.incomplete, and its data counts as it is\n",
        );
    } else if plan.lost.is_some() {
        out.push_str("  a backup of the directory may have more\n");
    }
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn to_json(
    survey: &Survey,
    plan: &Result<Repair, String>,
    moved: &[PathBuf],
    after: Option<&DataDirectory>,
) -> Value {
    let snapshots: Vec<Value> = survey
        .snapshots
        .iter()
        .map(|state| {
            json!({ "file": state.file.path, "zxid": hex(state.file.zxid), "bytes": state.file.len,
                    "damage": state.damage })
        })
        .collect();
    let found = json!({
        "data": survey.layout.snap_dir,
        "log": survey.layout.log_dir,
        "snapshots": snapshots,
        "logs": survey.logs.iter().map(log_json).collect::<Vec<_>>(),
        "durable": survey.mark.map(|(file, offset)| json!({ "file": format!("log.{:x}", file.0), "bytes": offset })),
        "member": survey.member.map(|id| id.0),
        "incomplete": survey.incomplete,
        "acceptedEpoch": survey.accepted.clone().ok().flatten().map(|epoch| epoch.0),
        "currentEpoch": survey.current.clone().ok().flatten().map(|epoch| epoch.0),
    });
    let plan = match plan {
        Err(reason) => json!({ "impossible": reason }),
        Ok(plan) => json!({
            "move_aside": plan.move_aside,
            "rewrite": plan.rewrite.as_ref().map(|(path, first, last)| {
                json!({ "file": path, "first": hex(*first), "last": hex(*last) })
            }),
            "epochs": plan.epochs.map(|(accepted, current)| json!({ "accepted": accepted.0, "current": current.0 })),
            "mark_incomplete": plan.mark_incomplete,
            "lost": plan.lost.map(|(first, last)| json!({ "first": hex(first), "last_known": hex(last) })),
        }),
    };
    json!({
        "found": found,
        "verdict": verdict_json(survey),
        "plan": plan,
        "applied": after.map(|after| json!({ "moved_to": moved, "verdict": verdict_json(after.found()) })),
    })
}

fn log_json(state: &LogState) -> Value {
    let damage: Vec<Value> =
        state.damage.iter().map(|(offset, reason)| json!({ "offset": offset, "reason": reason })).collect();
    json!({
        "file": state.file.path,
        "bytes": state.len,
        "txns": state.txns,
        "first": state.range.map(|(first, _)| hex(first)),
        "last": state.range.map(|(_, last)| hex(last)),
        "whole_bytes": state.end,
        "damage": damage,
    })
}

fn verdict_json(survey: &Survey) -> Value {
    json!({
        "good": survey.problems.is_empty(),
        "problems": survey.problems.iter().map(problem_text).collect::<Vec<_>>(),
        "served_through": survey.base.map(|_| hex(survey.last)),
        "torn_tail": survey.torn.as_ref().map(|torn| json!({ "file": torn.path, "offset": torn.offset })),
    })
}

fn hex(zxid: Zxid) -> String {
    zxid.to_string()
}
