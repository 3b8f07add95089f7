//! Lines from a terminal, with history and completion, or from a pipe.
//!
//! Reading blocks, so it has a thread of its own; the session lives on beside it.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::thread;

use rustyline::completion::{Completer, Pair};
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Context, Editor, Helper, Highlighter, Hinter, Validator};
use tokio::sync::mpsc;

use crate::commands::COMMANDS;
use crate::shell::{Shell, to_stderr, to_stdout};

/// What the reading thread tells or asks.
enum FromReader {
    /// A line to run.
    Line(String),
    /// Node paths wanted for the word under the cursor.
    Complete(String, blocking::Sender<Vec<String>>),
    /// No more lines.
    End,
}

/// Runs lines until the input or the user ends it.
pub(crate) async fn run(shell: &mut Shell, json: bool) {
    let (to_shell, mut from_reader) = mpsc::unbounded_channel();
    let (prompts, prompts_taken) = blocking::channel();
    let terminal = std::io::stdin().is_terminal();
    if terminal && !json {
        to_stdout(
            "Oxherd shell for ZooKeeper: `help` lists the commands, tab completes commands and paths.\n",
        );
    }
    let started = thread::Builder::new().name("shell input".to_owned()).spawn(move || {
        if terminal { read_terminal(&prompts_taken, &to_shell) } else { read_pipe(&prompts_taken, &to_shell) }
    });
    if let Err(error) = started {
        return to_stderr(&format!("cannot read input: {error}\n"));
    }
    while !shell.leaving && prompts.send(shell.prompt()).is_ok() {
        loop {
            let told = tokio::select! {
                told = from_reader.recv() => told,
                event = shell.next_event() => {
                    show_event(shell, terminal, &event);
                    continue;
                }
            };
            match told {
                Some(FromReader::Complete(word, answer)) => {
                    drop(answer.send(complete_path(shell, &word).await))
                }
                Some(FromReader::Line(line)) => {
                    shell.run_line(&line).await;
                    break;
                }
                Some(FromReader::End) | None => return,
            }
        }
    }
}

/// The line being edited stays as it is; only its prompt is shown again below the event.
// Not through the editor's own printer: with it, pasted text waits for the next key.
fn show_event(shell: &Shell, terminal: bool, event: &str) {
    to_stdout(event);
    if terminal && !event.is_empty() {
        to_stdout(&shell.prompt());
    }
}

/// The nodes whose paths start with `word`, which starts with a slash.
// Java: JLineZNodeCompleter.completeZNode
async fn complete_path(shell: &Shell, word: &str) -> Vec<String> {
    let Some((parent, prefix)) = word.rsplit_once('/') else {
        return Vec::new();
    };
    let asked = shell.client.get_children(if parent.is_empty() { "/" } else { parent }, false);
    let mut names = match tokio::time::timeout(std::time::Duration::from_secs(2), asked).await {
        Ok(Ok(names)) => names,
        _ => Vec::new(),
    };
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names.iter().map(|name| format!("{parent}/{name}")).collect()
}

/// A line for each prompt; prompts are not shown.
fn read_pipe(prompts: &blocking::Receiver<String>, shell: &mpsc::UnboundedSender<FromReader>) {
    let mut lines = std::io::stdin().lock().lines();
    while prompts.recv().is_ok() {
        let told = match lines.next() {
            Some(Ok(line)) => FromReader::Line(line),
            _ => FromReader::End,
        };
        let ended = matches!(told, FromReader::End);
        if shell.send(told).is_err() || ended {
            return;
        }
    }
}

fn read_terminal(prompts: &blocking::Receiver<String>, shell: &mpsc::UnboundedSender<FromReader>) {
    let ended = |error: ReadlineError| {
        to_stderr(&format!("cannot read from the terminal: {error}\n"));
        drop(shell.send(FromReader::End));
    };
    let mut editor = match Editor::<Completion, DefaultHistory>::new() {
        Ok(editor) => editor,
        Err(error) => return ended(error),
    };
    editor.set_completion_type(CompletionType::List);
    editor.set_helper(Some(Completion { shell: shell.clone() }));
    let file = history_file();
    if let Some(file) = &file {
        // The first run has no history yet.
        let _ = editor.load_history(file);
    }
    while let Ok(prompt) = prompts.recv() {
        let told = match editor.readline(&prompt) {
            Ok(line) => {
                remember(&mut editor, &line);
                FromReader::Line(line)
            }
            Err(ReadlineError::Interrupted) => FromReader::Line(String::new()),
            Err(ReadlineError::Eof) => FromReader::End,
            Err(error) => return ended(error),
        };
        if let (Some(file), FromReader::Line(_)) = (&file, &told) {
            // A history that cannot be kept is no reason to stop.
            let _ = editor.save_history(file);
        }
        if shell.send(told).is_err() {
            return;
        }
    }
}

/// Secrets stay out of the history.
fn remember(editor: &mut Editor<Completion, DefaultHistory>, line: &str) {
    if !line.trim_start().starts_with("addauth") {
        let _ = editor.add_history_entry(line);
    }
}

fn history_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".oxherd_history"))
}

#[derive(Helper, Hinter, Highlighter, Validator)]
struct Completion {
    shell: mpsc::UnboundedSender<FromReader>,
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let start = line[..pos].rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let word = &line[start..pos];
        let found = if word.starts_with('/') {
            let (answer, answered) = blocking::channel();
            drop(self.shell.send(FromReader::Complete(word.to_owned(), answer)));
            answered.recv().unwrap_or_default()
        } else {
            let names = COMMANDS.iter().map(|spec| spec.name).filter(|name| name.starts_with(word));
            names.map(str::to_owned).collect()
        };
        let pair = |text: String| Pair { display: text.clone(), replacement: text };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}
