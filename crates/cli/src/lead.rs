//! `oxherd lead`: asks the leader of an ensemble to make way for another voter.

use std::process::ExitCode;
use std::time::Duration;

use oxherd_client::{Client, ClientError, ClientOptions, Reconfiguration};
use oxherd_proto::ErrorCode;
use tokio::time::{sleep, timeout};

use crate::answer::{EXIT_FAILED, EXIT_INVOCATION};
use crate::mode::{mode_of, number_of};
use crate::shell::{to_stderr, to_stdout};

/// Longest time for the whole hand-over.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time until one of the servers is reached.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Longest time to end the session.
const FAREWELL: Duration = Duration::from_secs(1);
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
        let outcome = timeout(PATIENCE, hand_over(&client, asked)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(too_late(&client, asked.to)));
        // A session that nobody ends would count until it expires.
        drop(timeout(FAREWELL, client.close()).await);
        match outcome {
            Ok(text) => {
                to_stdout(&format!("{text}\n"));
                0
            }
            Err(reason) => {
                to_stderr(&format!("{reason}\n"));
                EXIT_FAILED
            }
        }
    })
}

fn too_late(client: &Client, to: i64) -> String {
    client.unreachable().map_or_else(
        || {
            format!(
                "server {to} was not seen to lead within {PATIENCE:?}: look at its log, and name it with --server"
            )
        },
        |reason| unreachable(&reason),
    )
}

fn unreachable(reason: &str) -> String {
    format!("cannot reach {reason}; is a server running there?")
}

async fn hand_over(client: &Client, asked: &Lead) -> Result<String, String> {
    if let Some(auth) = &asked.auth {
        let (scheme, text) =
            auth.split_once(':').ok_or("--auth is SCHEME:TEXT, such as digest:super:secret")?;
        client.add_auth(scheme, text.as_bytes());
    }
    if timeout(CONNECT_PATIENCE, client.connected()).await.is_err() {
        let reason = client.unreachable().unwrap_or_else(|| asked.servers.clone());
        return Err(unreachable(&reason));
    }
    let to = asked.to;
    let hosts = hosts_of(&asked.servers);
    if is_alone(&hosts).await {
        return Err("this server is alone: there is no other that could lead".to_owned());
    }
    let place = place_of(client, &hosts, to).await;
    if let Some(place) = &place
        && leads(place).await
    {
        return Ok(format!("server {to} leads already"));
    }
    let former = leader_among(&hosts).await;
    let change = Reconfiguration { members: Some(format!("leader={to}")), ..Reconfiguration::default() };
    match client.reconfig(&change).await {
        // The leader closes all links when it makes way.
        Err(error) if error.code() == Some(ErrorCode::ConnectionLoss) => {}
        Err(error) => return Err(refusal(to, &error)),
        Ok(_) => return Err("the leader took this for a change of the ensemble".to_owned()),
    }
    let Some(place) = place else { return Ok(another_leads(&hosts, former.as_deref()).await) };
    while !leads(&place).await {
        sleep(PAUSE).await;
    }
    Ok(format!("server {to} leads"))
}

/// Waits for a new leader among servers whose numbers nobody tells.
async fn another_leads(hosts: &[String], former: Option<&str>) -> String {
    loop {
        match leader_among(hosts).await {
            Some(leader) if Some(leader.as_str()) != former => {
                return format!(
                    "the leader has made way, and {leader} leads; neither it nor the ensemble's list \
                                says which number that is"
                );
            }
            _ => sleep(PAUSE).await,
        }
    }
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

/// Where clients of that server connect, as the ensemble's list says, or one of these servers of itself.
async fn place_of(client: &Client, hosts: &[String], server: i64) -> Option<String> {
    if let Some(place) = listed_place(client, server).await {
        return Some(place);
    }
    for host in hosts {
        if number_of(host).await == Some(server) {
            return Some(host.clone());
        }
    }
    None
}

async fn listed_place(client: &Client, server: i64) -> Option<String> {
    let (data, _) = client.get_config(false).await.ok()?;
    let text = String::from_utf8_lossy(&data?).into_owned();
    let spec = text.lines().find_map(|line| line.strip_prefix(&format!("server.{server}=")))?;
    let (peers, place) = spec.split_once(';')?;
    let (host, port) = place.rsplit_once(':')?;
    let is_any = matches!(host, "0.0.0.0" | "[::]" | "[0:0:0:0:0:0:0:0]");
    let host = if is_any { peers.rsplitn(4, ':').last()? } else { host };
    Some(format!("{host}:{port}"))
}

/// The servers of a connection string, each as `host:port`.
fn hosts_of(servers: &str) -> Vec<String> {
    let hosts = servers.split_once('/').map_or(servers, |(hosts, _)| hosts).split(',').map(str::trim);
    hosts.map(|host| if has_port(host) { host.to_owned() } else { format!("{host}:2181") }).collect()
}

/// Whether one of the servers says that it belongs to no ensemble.
async fn is_alone(hosts: &[String]) -> bool {
    for host in hosts {
        if mode_of(host).await.as_deref() == Some("standalone") {
            return true;
        }
    }
    false
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

async fn leader_among(hosts: &[String]) -> Option<String> {
    for host in hosts {
        if leads(host).await {
            return Some(host.clone());
        }
    }
    None
}

async fn leads(place: &str) -> bool {
    mode_of(place).await.as_deref() == Some("leader")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn each_refusal_says_what_to_do() {
        let said = |code| refusal(2, &ClientError::Keeper { code, path: "/zookeeper/config".to_owned() });
        for (code, words) in [
            (ErrorCode::BadArguments, "server 2 is no voter"),
            (ErrorCode::ReconfigDisabled, "stop it, and the others elect"),
            (ErrorCode::NewConfigNoQuorum, "leads already, or is not up"),
            (ErrorCode::ReconfigInProgress, "try again"),
            (ErrorCode::NoAuth, "give --auth"),
            (ErrorCode::Unimplemented, "cannot ask the leader"),
        ] {
            assert!(said(code).contains(words), "{code:?}: {}", said(code));
        }
    }

    #[test]
    fn a_server_without_a_port_is_asked_at_the_usual_one() {
        assert_eq!(hosts_of("a:1, b,[::1]:2/chroot"), ["a:1", "b:2181", "[::1]:2"]);
    }
}
