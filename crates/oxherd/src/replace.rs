//! `oxherd replace`: its options.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use oxherd_cli::{Kind, Replace, Service};

/// Which ensemble, and how to go about it.
///
/// Looks at the live ensemble, says what speaks against a swap, and which member is next with the commands for its machine.
/// It stops and starts nothing itself and writes nothing. Run it again after each step. Exit code 0: the next step was given or
/// nothing is left; 1: refused; 2: wrong options or file; 3: a step that --wait followed took too long.
#[derive(Debug, Args)]
pub(crate) struct ReplaceOptions {
    /// The zoo.cfg of any member; on the machine of a member its disk is looked at too.
    config: PathBuf,
    /// From Oxherd back to Java.
    #[arg(long)]
    back: bool,
    /// Stay, follow each step to its end, and give the next.
    #[arg(long)]
    wait: bool,
    /// Seconds that one step may take with --wait.
    #[arg(long, default_value_t = 3600)]
    timeout: u64,
    /// Print commands for this way of running servers alone; may be given more than once.
    #[arg(long = "for", value_name = "systemd|container|plain", value_parser = service)]
    services: Vec<Service>,
    /// Image with this program, in the commands for containers.
    #[arg(long, value_name = "NAME", value_parser = image)]
    image: Option<String>,
    /// Where clients of a member connect, when the file does not say; may be given more than once.
    #[arg(long = "client", value_name = "N=HOST:PORT", value_parser = client)]
    clients: Vec<(i64, String)>,
    /// Somebody who may read the tree: SCHEME:TEXT, such as digest:super:secret.
    #[arg(long, value_parser = crate::commands::auth)]
    auth: Option<String>,
    /// Nodes of the largest tree that is compared node by node.
    #[arg(long, default_value_t = 1_000_000)]
    tree_nodes: u64,
    /// Compare no trees, only digests.
    #[arg(long, conflicts_with = "tree_nodes")]
    no_tree: bool,
    /// Take the risks that are refused otherwise: releases of Java that lose txns, a pause where there are one or two voters.
    #[arg(long)]
    i_know: bool,
    /// Print JSON: one object a look, each on its line.
    #[arg(long)]
    json: bool,
}

fn service(text: &str) -> Result<Service, String> {
    let known = Service::ALL.into_iter().find(|service| service.word() == text);
    known.ok_or_else(|| "give systemd, container or plain".to_owned())
}

fn image(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "/._-:@".contains(c);
    let named = !text.is_empty() && text.chars().all(is_name);
    named.then(|| text.to_owned()).ok_or_else(|| format!("{text:?} is not the name of an image"))
}

fn client(text: &str) -> Result<(i64, String), String> {
    let split = text.split_once('=').and_then(|(number, place)| Some((number.parse().ok()?, place)));
    let (number, place) = split.ok_or("give N=HOST:PORT, such as 1=zk1:2181")?;
    let port = place.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    port.map(|_| (number, place.to_owned())).ok_or_else(|| format!("{place:?} is not HOST:PORT"))
}

pub(crate) fn run(options: ReplaceOptions) -> ExitCode {
    oxherd_cli::replace(&Replace {
        config: options.config,
        to: if options.back { Kind::Java } else { Kind::Oxherd },
        wait: options.wait,
        timeout: Duration::from_secs(options.timeout),
        tree_nodes_max: if options.no_tree { 0 } else { options.tree_nodes },
        services: options.services,
        image: options.image,
        clients: options.clients,
        auth: options.auth,
        i_know: options.i_know,
        json: options.json,
    })
}
