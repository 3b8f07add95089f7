//! Commands on the membership.

use oxherd_client::{Client, Reconfiguration};
use serde_json::json;

use super::{Spec, node};
use crate::answer::{Answer, Failure};
use crate::arguments::Arguments;
use crate::render;

// Java: GetConfigCommand
pub(super) async fn config(client: &Client, args: &Arguments) -> Result<Answer, Failure> {
    let (data, stat) = client.get_config(args.has("w")).await?;
    let text = data.map_or_else(|| "null".to_owned(), |data| String::from_utf8_lossy(&data).into_owned());
    let shown = if args.has("c") { connect_string(&text) } else { text };
    let answer = Answer::json(json!({ "config": shown, "stat": render::stat_json(&stat) })).line(shown);
    Ok(node::with_stat(answer, args, &stat))
}

/// The version, a blank, and every server's client address.
// Java: ConfigUtils.getClientConfigStr
fn connect_string(config: &str) -> String {
    let mut version = "";
    let mut addresses = Vec::new();
    for (key, value) in config.lines().filter_map(|line| line.split_once('=')) {
        let (key, value) = (key.trim(), value.trim());
        if key == "version" {
            version = value;
        } else if key.starts_with("server.") {
            addresses.push(client_address(value));
        }
    }
    format!("{version} {}", addresses.join(","))
}

/// A server without a client address of its own takes clients on any; one without a port takes none.
fn client_address(spec: &str) -> String {
    let Some((_, client)) = spec.split_once(';') else {
        return String::new();
    };
    let client = client.split(';').next().unwrap_or(client);
    if client.contains(':') { client.to_owned() } else { format!("0.0.0.0:{client}") }
}

// Java: ReconfigCommand
pub(super) async fn reconfig(client: &Client, spec: &Spec, args: &Arguments) -> Result<Answer, Failure> {
    let change = change(spec, args)?;
    let (config, stat) = client.reconfig(&change).await?;
    let config = String::from_utf8_lossy(&config);
    let answer = Answer::json(json!({ "config": config, "stat": render::stat_json(&stat) }));
    Ok(node::with_stat(answer.line("Committed new configuration:").line(config), args, &stat))
}

fn change(spec: &Spec, args: &Arguments) -> Result<Reconfiguration, Failure> {
    let lower = |option| args.value(option).map(str::to_lowercase);
    let by_steps = args.value("add").is_some() || args.value("remove").is_some();
    let file = args.value("file");
    match (by_steps, args.value("members").is_some(), file.is_some()) {
        (false, false, false) => return Err(Failure::new(spec.usage())),
        (true, true, _) | (true, _, true) => {
            return Err(Failure::new("-add and -remove go with neither -members nor -file"));
        }
        (_, true, true) => return Err(Failure::new("-members does not go with -file")),
        _ => {}
    }
    let version = |text: &str| {
        i64::from_str_radix(text, 16).map_err(|_| Failure::new("-v needs a hexadecimal version"))
    };
    Ok(Reconfiguration {
        joining: lower("add"),
        leaving: lower("remove"),
        members: match file {
            Some(file) => Some(read_members(file)?),
            None => lower("members"),
        },
        from_version: args.value("v").map(version).transpose()?,
    })
}

fn read_members(file: &str) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Failure::new(format!("cannot read {file}: {error}")))?;
    let is_member =
        |line: &&str| ["server.", "group.", "weight."].iter().any(|prefix| line.starts_with(prefix));
    let members: Vec<&str> = text.lines().map(str::trim).filter(is_member).collect();
    if members.is_empty() {
        return Err(Failure::new(format!("{file} names no server")));
    }
    Ok(members.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_membership_reads_as_a_connect_string() {
        let config = "server.1=a:1:2:participant;b:3\nserver.2=c:1:2;4\nserver.3=d:1:2\nversion=1f";
        assert_eq!(connect_string(config), "1f b:3,0.0.0.0:4,");
        assert_eq!(connect_string(""), " ");
    }

    fn asked(words: &[&str]) -> Result<Reconfiguration, String> {
        let spec = super::super::find("reconfig").unwrap();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let args = Arguments::parse(spec, &words);
        args.and_then(|args| change(spec, &args)).map_err(|failure| failure.message)
    }

    #[test]
    fn a_change_is_asked_for_by_steps_or_as_a_whole() {
        let none = Reconfiguration::default();
        let text = |text: &str| Some(text.to_owned());
        let by_steps = Reconfiguration { joining: text("server.4=a:1:2;3,5=b:1:2;3"), ..none.clone() };
        assert_eq!(asked(&["-add", "server.4=A:1:2;3,5=b:1:2;3"]), Ok(by_steps.clone()));
        let both = Reconfiguration { leaving: text("1,2"), from_version: Some(0x1_0000_001f), ..by_steps };
        let words = ["-s", "-remove", "1,2", "-v", "10000001f", "-add", "server.4=a:1:2;3,5=b:1:2;3"];
        assert_eq!(asked(&words), Ok(both));
        let whole = Reconfiguration { members: text("server.1=a:1:2;3"), ..none.clone() };
        assert_eq!(asked(&["-members", "server.1=A:1:2;3"]), Ok(whole));
        let any = Reconfiguration { leaving: text("3"), from_version: Some(-1), ..none };
        assert_eq!(asked(&["-remove", "3", "-v", "-1"]), Ok(any), "any version");
    }

    #[test]
    fn members_come_from_a_file_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("zoo.cfg.dynamic");
        let name = file.to_str().unwrap();
        let failed = asked(&["-file", name]).unwrap_err();
        assert!(failed.starts_with(&format!("cannot read {name}: ")), "{failed}");
        std::fs::write(&file, "tickTime=2000\n# server.9=x:1:2\n").unwrap();
        assert_eq!(asked(&["-file", name]), Err(format!("{name} names no server")));
        let list = "server.1=A:1:2;3\n  server.2=b:1:2:observer;3\ngroup.1=1\nweight.1=2\nversion=5\n";
        std::fs::write(&file, list).unwrap();
        let members = "server.1=A:1:2;3\nserver.2=b:1:2:observer;3\ngroup.1=1\nweight.1=2";
        let wanted = Reconfiguration { members: Some(members.to_owned()), ..Reconfiguration::default() };
        assert_eq!(asked(&["-file", name]), Ok(wanted));
    }

    #[test]
    fn what_does_not_go_together_is_not_asked_for() {
        for (words, reason) in [
            (&[][..], "reconfig [-s] [-v version]"),
            (&["-v", "1"], "reconfig [-s] [-v version]"),
            (&["-add", "a", "-members", "b"], "-add and -remove go with neither"),
            (&["-remove", "1", "-file", "f"], "-add and -remove go with neither"),
            (&["-members", "a", "-file", "f"], "-members does not go with -file"),
            (&["-remove", "1", "-v", "0x1f"], "-v needs a hexadecimal version"),
        ] {
            let failed = asked(words).unwrap_err();
            assert!(failed.starts_with(reason), "{words:?}: {failed}");
        }
    }
}
