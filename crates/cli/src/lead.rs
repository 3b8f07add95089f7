//! `oxherd lead`: asks the leader of an ensemble to make way for another voter.

use std::process::ExitCode;
use std::time::Duration;

use oxherd_client::{Client, ClientError, ClientOptions, Reconfiguration};
use oxherd_proto::ErrorCode;
use tokio::time::{sleep, timeout};

use crate::answer::{EXIT_FAILED, EXIT_INVOCATION};
use crate::mode::mode_of;
use crate::shell::{to_stderr, to_stdout};

/// Longest time for the whole hand-over.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at the server that is to lead.
const PAUSE: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Who is to lead: the number in its `myid`.
    pub to: i64,
    /// Where to connect: any members, `host:port,host:port…`.
    pub servers: String,
    /// `scheme:text` of somebody who may change `/zookeeper/config`.
    pub auth: Option<String>,
}

/// Asks, and waits until the other one leads. Exit code 1 when it cannot be, 2 for wrong options.
pub fn lead(asked: &Lead) -> ExitCode {
    crate::block_on(async {
        let Ok((client, _events)) = Client::connect(&asked.servers, &ClientOptions::default()) else {
            to_stderr(&format!("{:?} is not host:port,host:port…\n", asked.servers));
            return EXIT_INVOCATION;
        };
        match timeout(PATIENCE, hand_over(&client, asked)).await {
            Ok(Ok(text)) => {
                to_stdout(&format!("{text}\n"));
                0
            }
            Ok(Err(reason)) => {
                to_stderr(&format!("{reason}\n"));
                EXIT_FAILED
            }
            Err(_) => {
                to_stderr(&format!("server {} does not lead after {PATIENCE:?}\n", asked.to));
                EXIT_FAILED
            }
        }
    })
}

async fn hand_over(client: &Client, asked: &Lead) -> Result<String, String> {
    if let Some(auth) = &asked.auth {
        let (scheme, text) =
            auth.split_once(':').ok_or("--auth is SCHEME:TEXT, such as digest:super:secret")?;
        client.add_auth(scheme, text.as_bytes());
    }
    client.connected().await;
    let to = asked.to;
    if is_alone(&asked.servers).await {
        return Err("this server is alone: there is no other that could lead".to_owned());
    }
    let place = place_of(client, to).await;
    if let Some(place) = &place
        && leads(place).await
    {
        return Ok(format!("server {to} leads already"));
    }
    let change = Reconfiguration { members: Some(format!("leader={to}")), ..Reconfiguration::default() };
    match client.reconfig(&change).await {
        // The leader closes all links when it makes way.
        Err(error) if error.code() == Some(ErrorCode::ConnectionLoss) => {}
        Err(error) => return Err(refusal(to, &error)),
        Ok(_) => return Err("the leader took this for a change of the ensemble".to_owned()),
    }
    let Some(place) = place else {
        client.connected().await;
        return Ok(format!(
            "the leader makes way for server {to}; the ensemble's list does not say where to look"
        ));
    };
    while !leads(&place).await {
        sleep(PAUSE).await;
    }
    Ok(format!("server {to} leads"))
}

fn refusal(to: i64, error: &ClientError) -> String {
    match error.code() {
        Some(ErrorCode::BadArguments) => format!(
            "server {to} is no voter of this ensemble, or the leader is a Java server, which does not make way on \
             command: stop that one, and the others elect"
        ),
        Some(ErrorCode::ReconfigDisabled) => {
            "the leader is a Java server, which does not make way on command: stop it, and the others elect"
                .to_owned()
        }
        Some(ErrorCode::NewConfigNoQuorum) => {
            format!("server {to} leads already, or is not up with the leader: look at its log")
        }
        Some(ErrorCode::ReconfigInProgress) => "a change of the ensemble is under way: try again".to_owned(),
        Some(ErrorCode::NoAuth) => {
            "this needs the permission to write /zookeeper/config: give --auth digest:super:…".to_owned()
        }
        _ => format!("cannot ask the leader: {error}"),
    }
}

/// Where clients of that server connect, if the ensemble's list says so.
async fn place_of(client: &Client, server: i64) -> Option<String> {
    let (data, _) = client.get_config(false).await.ok()?;
    let text = String::from_utf8_lossy(&data?).into_owned();
    let spec = text.lines().find_map(|line| line.strip_prefix(&format!("server.{server}=")))?;
    let (peers, place) = spec.split_once(';')?;
    let (host, port) = place.rsplit_once(':')?;
    let is_any = matches!(host, "0.0.0.0" | "[::]" | "[0:0:0:0:0:0:0:0]");
    let host = if is_any { peers.rsplitn(4, ':').last()? } else { host };
    Some(format!("{host}:{port}"))
}

/// Whether one of the servers says that it belongs to no ensemble.
async fn is_alone(servers: &str) -> bool {
    let hosts = servers.split_once('/').map_or(servers, |(hosts, _)| hosts);
    for host in hosts.split(',').map(str::trim) {
        let place = if has_port(host) { host.to_owned() } else { format!("{host}:2181") };
        if mode_of(&place).await.as_deref() == Some("standalone") {
            return true;
        }
    }
    false
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

async fn leads(place: &str) -> bool {
    mode_of(place).await.as_deref() == Some("leader")
}
