//! The shell's own options, in the Java shell's spelling.

use std::ffi::OsString;
use std::fs;

use oxherd_client::ClientOptions;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct ShellOptions {
    /// `-server`: where to connect.
    pub(crate) servers: String,
    /// `-timeout`, `-r` and what the client configuration adds.
    pub(crate) client: ClientOptions,
    /// `-waitforconnection`: run nothing before a server answers.
    pub(crate) wait: bool,
    /// `--json`: answers for scripts.
    pub(crate) json: bool,
    /// `--help`: show how to call the shell.
    pub(crate) help: bool,
    /// The command to run once; empty for an interactive shell.
    pub(crate) command: Vec<String>,
}

impl Default for ShellOptions {
    fn default() -> Self {
        Self {
            servers: "localhost:2181".to_owned(),
            client: ClientOptions::default(),
            wait: false,
            json: false,
            help: false,
            command: Vec::new(),
        }
    }
}

/// How to call the shell.
pub(crate) const USAGE: &str =
    "usage: oxherd shell [-server host:port[,host:port...][/chroot]] [-timeout ms] [-r]
                    [-client-configuration file] [-waitforconnection] [--json] [command args...]
Without a command the shell is interactive; `help` lists the commands.";

impl ShellOptions {
    /// Options come before the command; the error is one line.
    // Java: ZooKeeperMain.MyCommandOptions.parseOptions
    pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Self::default();
        let text = |arg: OsString| arg.into_string().map_err(|arg| format!("{arg:?} is not UTF-8"));
        let mut args = args.map(text).collect::<Result<Vec<_>, _>>()?.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("option {arg} needs a value"));
            match arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) {
                Some("server") => options.servers = value()?,
                Some("timeout") => options.client.timeout_ms = parse_timeout(&value()?)?,
                Some("client-configuration") => options.configure(&value()?)?,
                Some("r") => options.client.read_only = true,
                Some("waitforconnection") => options.wait = true,
                Some("json") => options.json = true,
                Some("help" | "h" | "?") => options.help = true,
                Some(_) => return Err(format!("unknown option {arg}")),
                None => {
                    options.command = std::iter::once(arg).chain(args).collect();
                    break;
                }
            }
        }
        Ok(options)
    }

    /// Reads the keys that concern a plain connection.
    // Java: ZKClientConfig
    fn configure(&mut self, file: &str) -> Result<(), String> {
        let text = fs::read_to_string(file);
        let text = text.map_err(|error| format!("cannot read client configuration {file}: {error}"))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
        for (key, value) in lines.filter_map(|line| line.split_once(['=', ':'])) {
            match (key.trim(), value.trim()) {
                ("zookeeper.client.secure", "true") => {
                    return Err(format!("{file} asks for TLS, which this shell does not speak"));
                }
                ("jute.maxbuffer", len) => {
                    let len = len.parse().map_err(|_| format!("jute.maxbuffer in {file} is no number"))?;
                    self.client.reply_len_max = len;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn parse_timeout(text: &str) -> Result<i32, String> {
    let timeout = text.parse().ok().filter(|timeout_ms| *timeout_ms > 0);
    timeout.ok_or_else(|| format!("-timeout needs a number of ms, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<ShellOptions, String> {
        ShellOptions::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let options =
            parse("-server a:1/x -timeout 5000 -r -waitforconnection --json get -s /a").expect("valid");
        assert_eq!(options.servers, "a:1/x");
        assert_eq!((options.client.timeout_ms, options.client.read_only), (5000, true));
        assert!(options.wait && options.json);
        assert_eq!(options.command, ["get", "-s", "/a"]);
        assert_eq!(parse("").expect("valid").servers, "localhost:2181");
    }

    #[test]
    fn what_cannot_be_understood_is_told_in_one_line() {
        for line in
            ["-server", "-timeout soon", "-timeout -1", "-bogus ls /", "-client-configuration /no/file"]
        {
            let error = parse(line).expect_err(line);
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
