//! The commands: a table, and the way from a line to an answer.

mod acl;
mod cluster;
mod node;
mod quota;
mod quota_track;
mod session;
mod tree;
mod watch;

use serde_json::json;

use crate::answer::{Answer, EXIT_UNKNOWN, Failure};
use crate::arguments::Arguments;
use crate::shell::Shell;

/// A command as users write it.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its options and words.
    pub(crate) synopsis: &'static str,
    /// What it does, in one line.
    pub(crate) about: &'static str,
    /// Options without a value.
    pub(crate) flags: &'static [&'static str],
    /// Options with a value.
    pub(crate) valued: &'static [&'static str],
}

impl Spec {
    /// Name and synopsis.
    pub(crate) fn usage(&self) -> String {
        format!("{} {}", self.name, self.synopsis).trim_end().to_owned()
    }
}

const fn spec(
    name: &'static str,
    synopsis: &'static str,
    flags: &'static [&'static str],
    valued: &'static [&'static str],
    about: &'static str,
) -> Spec {
    Spec { name, synopsis, about, flags, valued }
}

/// Every command, by name.
// Java: CommandFactory.Command, ZooKeeperMain.commandMap
pub(crate) const COMMANDS: &[Spec] = &[
    spec(
        "addWatch",
        "[-m mode] path",
        &[],
        &["m"],
        "watch for good; mode PERSISTENT or PERSISTENT_RECURSIVE (default)",
    ),
    spec("addauth", "scheme auth", &[], &[], "add an identity, as in: addauth digest user:password"),
    spec("close", "", &[], &[], "end the session"),
    spec("config", "[-c] [-w] [-s]", &["s", "w", "c"], &[], "show the membership; -c as connect string"),
    spec("connect", "host:port", &[], &[], "go to other servers"),
    spec(
        "create",
        "[-s] [-e] [-c] [-t ttl] path [data] [acl]",
        &["e", "s", "c"],
        &["t"],
        "make a node: sequential, ephemeral, container, with time to live in ms",
    ),
    spec("delete", "[-v version] path", &[], &["v"], "remove a node"),
    spec("deleteall", "path [-b batch size]", &[], &["b"], "remove a node and all below it"),
    spec("delquota", "[-n|-b|-N|-B] path", &["n", "b", "N", "B"], &[], "remove a quota or one of its limits"),
    spec("exit", "", &[], &[], "leave the shell"),
    spec(
        "get",
        "[-s] [-w] [-b] [-x] path",
        &["s", "w", "b", "x"],
        &[],
        "show data: -s metadata, -w watch, -b base64, -x hexadecimal",
    ),
    spec("getAcl", "[-s] path", &["s"], &[], "show who may do what"),
    spec("getAllChildrenNumber", "path", &[], &[], "count all nodes below"),
    spec("getEphemerals", "path", &[], &[], "list this session's ephemeral nodes"),
    spec("help", "[command]", &[], &[], "list the commands, or show one"),
    spec("history", "", &[], &[], "show the last commands"),
    spec("listquota", "path", &[], &[], "show a quota and what is used of it"),
    spec(
        "ls",
        "[-s] [-w] [-R] path",
        &["?", "s", "w", "R"],
        &[],
        "list children: -s metadata, -w watch, -R all below",
    ),
    spec("printwatches", "on|off", &[], &[], "show events, or do not"),
    spec("quit", "", &[], &[], "leave the shell"),
    spec(
        "reconfig",
        "[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]",
        &["s"],
        &["v", "file", "members", "add", "remove"],
        "change the membership",
    ),
    spec("redo", "cmdno", &[], &[], "run a command of the history again"),
    spec(
        "removewatches",
        "path [-c|-d|-p|-r|-a] [-l]",
        &["c", "d", "p", "r", "a", "l"],
        &[],
        "remove watches: child, data, persistent, recursive, any (default)",
    ),
    spec(
        "set",
        "path data [-s] [-v version] [-b]",
        &["s", "b"],
        &["v"],
        "replace data; -b when it is given in base64",
    ),
    spec(
        "setAcl",
        "[-s] [-v version] [-R] path acl",
        &["s", "R"],
        &["v"],
        "replace the ACL; -R for all below too",
    ),
    spec(
        "setquota",
        "-n|-b|-N|-B val path",
        &[],
        &["n", "b", "N", "B"],
        "limit nodes (-n, hard -N) or bytes (-b, hard -B)",
    ),
    spec("stat", "[-w] path", &["w"], &[], "show metadata"),
    spec("sync", "path", &[], &[], "wait until this server is up to date"),
    spec("version", "", &[], &[], "show this shell's version"),
    spec("whoami", "", &[], &[], "show this session's identities"),
];

/// The command with this name.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    COMMANDS.iter().find(|spec| spec.name == name)
}

/// Carries out one command.
// Java: ZooKeeperMain.processZKCmd
pub(crate) async fn run(shell: &mut Shell, words: &[String]) -> Result<Answer, Failure> {
    let Some((name, given)) = words.split_first() else {
        return Err(Failure::new("no command given; `help` lists them"));
    };
    let spec = find(name).ok_or_else(|| unknown(name))?;
    if spec.name == "redo" {
        return Err(crate::shell::no_such_line());
    }
    if let Some(answer) = session::run_local(shell, spec, given).await {
        return answer;
    }
    if !shell.client.state().is_alive() {
        let down = json!({ "error": { "message": "Not connected", "code": null } });
        return Ok(Answer::json(down).line("Not connected"));
    }
    let args = Arguments::parse(spec, given)?;
    let client = &shell.client;
    match spec.name {
        "addWatch" => watch::add(client, spec, &args).await,
        "addauth" => session::add_auth(client, spec, &args),
        "close" => session::close(client).await,
        "config" => cluster::config(client, &args).await,
        "create" => node::create(client, spec, &args).await,
        "delete" => node::delete(client, spec, &args).await,
        "deleteall" => tree::delete_all(client, spec, &args).await,
        "delquota" => quota::remove(client, spec, &args).await,
        "get" => node::get(client, spec, &args).await,
        "getAcl" => acl::get(client, spec, &args).await,
        "getAllChildrenNumber" => tree::count(client, spec, &args).await,
        "getEphemerals" => tree::ephemerals(client, &args).await,
        "listquota" => quota::list(client, spec, &args).await,
        "ls" => tree::list(client, spec, &args).await,
        "reconfig" => cluster::reconfig(client, spec, &args).await,
        "removewatches" => watch::remove(client, spec, &args).await,
        "set" => node::set(client, spec, &args).await,
        "setAcl" => acl::set(client, spec, &args).await,
        "setquota" => quota::set(client, spec, &args).await,
        "stat" => node::stat(client, spec, &args).await,
        "sync" => session::sync(client, spec, &args).await,
        "whoami" => session::who_am_i(client).await,
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Failure {
    let near = |spec: &&Spec| {
        let distance = strsim::damerau_levenshtein(&spec.name.to_lowercase(), &name.to_lowercase());
        (distance <= 2).then_some(distance)
    };
    let nearest = COMMANDS.iter().filter(|spec| near(spec).is_some()).min_by_key(near);
    let hint = match nearest {
        Some(spec) => format!("did you mean `{}`?", spec.name),
        None => "`help` lists the commands".to_owned(),
    };
    let message = format!("Command not found: {name} ({hint})");
    Failure { exit: EXIT_UNKNOWN, ..Failure::new(message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_every_command() {
        assert!(COMMANDS.is_sorted_by_key(|spec| spec.name));
        // 29 commands of the original, and help.
        assert_eq!(COMMANDS.len(), 30);
    }

    #[test]
    fn a_mistyped_command_is_suggested() {
        assert!(unknown("getacl").message.contains("`getAcl`"));
        assert!(unknown("lss").message.contains("`ls`"));
        assert!(unknown("frobnicate").message.contains("`help`"));
        assert_eq!(unknown("x").exit, 127);
    }
}
