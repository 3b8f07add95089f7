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
}
