//! The shell: one session, a history, and the way answers are shown.

use std::io::Write;
use std::time::Duration;

use oxherd_client::{Client, ClientError, ClientOptions, Event, EventType, Events, SessionState};
use oxherd_proto::ErrorCode;

use crate::answer::{Answer, EXIT_FAILED, Failure};
use crate::options::ShellOptions;
use crate::{commands, render, words};

/// Longest wait for the server's good-bye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A running shell.
pub(crate) struct Shell {
    pub(crate) client: Client,
    events: Events,
    client_options: ClientOptions,
    wait: bool,
    /// Where it is connected, as given.
    pub(crate) servers: String,
    /// Lines that were run, the present one included; the index is the number that `redo` takes.
    pub(crate) history: Vec<String>,
    /// Whether events are shown.
    pub(crate) print_watches: bool,
    /// Whether the user wants to leave.
    pub(crate) leaving: bool,
    json: bool,
    /// Exit code of the last command.
    pub(crate) exit: u8,
}

impl Shell {
    /// Starts a session; with `-waitforconnection` only once a server has answered.
    pub(crate) async fn start(options: &ShellOptions) -> Result<Self, Failure> {
        let (client, events) = Client::connect(&options.servers, &options.client)?;
        let shell = Self {
            client,
            events,
            client_options: options.client.clone(),
            wait: options.wait,
            servers: options.servers.clone(),
            history: Vec::new(),
            print_watches: true,
            leaving: false,
            json: options.json,
            exit: 0,
        };
        shell.wait_if_asked().await?;
        Ok(shell)
    }

    async fn wait_if_asked(&self) -> Result<(), Failure> {
        let timeout = Duration::from_millis(u64::try_from(self.client_options.timeout_ms).unwrap_or(0));
        if self.wait && tokio::time::timeout(timeout, self.client.connected()).await.is_err() {
            let lost = ClientError::Keeper { code: ErrorCode::ConnectionLoss, path: String::new() };
            return Err(Failure::from(lost).explained(&self.client));
        }
        Ok(())
    }

    /// Leaves the present session for another.
    // Java: ZooKeeperMain.connectToZK
    pub(crate) async fn connect(&mut self, servers: &str) -> Result<(), Failure> {
        let (client, events) = Client::connect(servers, &self.client_options)?;
        self.close().await;
        (self.client, self.events) = (client, events);
        servers.clone_into(&mut self.servers);
        self.wait_if_asked().await
    }

    /// Ends the session if a server is there to hear it.
    pub(crate) async fn close(&self) {
        if self.client.state().is_connected() {
            // A server that does not answer will end the session by its timeout.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.client.close()).await;
        }
    }

    /// The interactive prompt.
    // Java: ZooKeeperMain.getPrompt
    pub(crate) fn prompt(&self) -> String {
        let state: SessionState = self.client.state();
        format!("[zk: {}({state}) {}] ", self.servers, self.history.len())
    }

    /// Runs one line of input and shows its answer.
    pub(crate) async fn run_line(&mut self, line: &str) {
        let words = words::split(line);
        if words.is_empty() {
            return;
        }
        self.history.push(line.to_owned());
        let resolved = self.resolve_redo(words);
        match resolved {
            Ok(words) => self.run_words(&words).await,
            Err(failure) => self.show(Err(failure)),
        }
    }

    fn resolve_redo(&mut self, words: Vec<String>) -> Result<Vec<String>, Failure> {
        if words[0] != "redo" {
            return Ok(words);
        }
        let present = self.history.len() - 1;
        let number: Option<usize> = words.get(1).and_then(|word| word.parse().ok());
        let number = number.filter(|number| *number < present).ok_or_else(no_such_line)?;
        let line = self.history[number].clone();
        let words = words::split(&line);
        if words[0] == "redo" {
            return Err(Failure::new("redo does not repeat a redo"));
        }
        self.history[present] = line;
        Ok(words)
    }

    /// Runs one command and shows its answer.
    pub(crate) async fn run_words(&mut self, words: &[String]) {
        let result = commands::run(self, words).await;
        self.show_events();
        self.show(result.map_err(|failure| failure.explained(&self.client)));
    }

    fn show(&mut self, result: Result<Answer, Failure>) {
        match result {
            Ok(answer) => {
                self.exit = 0;
                if !self.json {
                    to_stderr(&answer.err);
                    to_stdout(&answer.out);
                } else if !self.leaving {
                    to_stdout(&format!("{}\n", answer.json));
                }
            }
            Err(failure) => {
                self.exit = failure.exit;
                if self.json {
                    to_stdout(&format!("{}\n", failure.json()));
                } else {
                    to_stderr(&failure.text());
                }
            }
        }
    }

    /// The next event as it is to be shown; empty when events are not shown.
    pub(crate) async fn next_event(&mut self) -> String {
        match self.events.next().await {
            Some(event) => self.event_shown(&event),
            // The session is over and has told so; nothing more will come.
            None => std::future::pending().await,
        }
    }

    fn show_events(&mut self) {
        while let Some(event) = self.events.try_next() {
            let text = self.event_shown(&event);
            to_stdout(&text);
        }
    }

    fn event_shown(&self, event: &Event) -> String {
        match (self.print_watches, self.json) {
            (false, _) => String::new(),
            // Scripts get one answer a command, and beside it only what their watches tell.
            (true, true) if event.kind == EventType::None => String::new(),
            (true, false) => render::event_text(event),
            (true, true) => format!("{}\n", render::event_json(event)),
        }
    }
}

/// `redo` with a number that no earlier line has, as every one is in a run of one command.
// Java: ZooKeeperMain.processZKCmd
pub(crate) fn no_such_line() -> Failure {
    Failure::new("Command index out of range")
}

/// Writes to stdout; a reader that has gone is no concern of the shell.
pub(crate) fn to_stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes to stderr.
pub(crate) fn to_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Runs the shell as asked; the exit code.
pub(crate) async fn run(options: ShellOptions) -> u8 {
    if !options.json {
        to_stdout(&format!("Connecting to {}\n", options.servers));
    }
    let mut shell = match Shell::start(&options).await {
        Ok(shell) => shell,
        Err(failure) if options.json => {
            to_stdout(&format!("{}\n", failure.json()));
            return EXIT_FAILED;
        }
        Err(failure) => {
            to_stderr(&failure.text());
            return EXIT_FAILED;
        }
    };
    if options.command.is_empty() {
        crate::interactive::run(&mut shell, options.json).await;
    } else {
        shell.run_words(&options.command).await;
    }
    shell.close().await;
    shell.exit
}
