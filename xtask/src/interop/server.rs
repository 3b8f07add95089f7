//! Servers for a stage: one of ours or the original, or an ensemble of ours.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Bench;

const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A running server, or the members of an ensemble; they end with this value.
pub(super) struct Server {
    children: Vec<Child>,
    /// `127.0.0.1:port` of its client port; with commas between those of several members.
    pub(super) hostport: String,
}

impl Server {
    /// Ours, with its folder below `out`.
    pub(super) fn oxherd(bench: &Bench, out: &Path, lines: &[&str]) -> Result<Self> {
        let mut command = Command::new(&bench.oxherd);
        command.arg("serve");
        Self::start(command, &out.join("oxherd"), lines)
    }

    /// An ensemble of three of ours.
    pub(super) fn ensemble(bench: &Bench, out: &Path, lines: &[&str]) -> Result<Self> {
        const MEMBERS: usize = 3;
        let peers =
            (0..2 * MEMBERS).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
        let ports = peers.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let member = |id: usize| {
            format!("server.{}=127.0.0.1:{}:{}", id + 1, ports[2 * id].port(), ports[2 * id + 1].port())
        };
        let mut settings: Vec<String> = (0..MEMBERS).map(member).collect();
        settings.extend(["initLimit=10".to_owned(), "syncLimit=5".to_owned()]);
        settings.extend(lines.iter().map(|line| (*line).to_owned()));
        drop(peers);
        let mut members = Vec::new();
        for id in 0..MEMBERS {
            let folder = out.join(format!("oxherd-{}", id + 1));
            std::fs::create_dir_all(folder.join("data"))?;
            std::fs::write(folder.join("data/myid"), format!("{}\n", id + 1))?;
            let mut command = Command::new(&bench.oxherd);
            command.arg("serve");
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            members.push((Self::launch(command, &folder, &settings)?, folder));
        }
        let mut all = Self { children: Vec::new(), hostport: String::new() };
        let mut addresses = Vec::new();
        for ((mut server, address), folder) in members {
            server.wait_until_ready(address).with_context(|| format!("see {}", folder.display()))?;
            addresses.push(address.to_string());
            all.children.append(&mut server.children);
        }
        all.hostport = addresses.join(",");
        Ok(all)
    }

    /// The original, out of the Maven class path.
    pub(super) fn java(class_path: &str, out: &Path, lines: &[&str]) -> Result<Self> {
        let mut command = Command::new("java");
        command.args(["-Xmx512m", "-cp", class_path]);
        command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
        Self::start(command, &out.join("java"), lines)
    }

    fn start(command: Command, folder: &Path, lines: &[&str]) -> Result<Self> {
        let (mut server, address) = Self::launch(command, folder, lines)?;
        server.wait_until_ready(address).with_context(|| format!("see {}", folder.display()))?;
        Ok(server)
    }

    fn launch(mut command: Command, folder: &Path, lines: &[&str]) -> Result<(Self, SocketAddr)> {
        std::fs::create_dir_all(folder.join("data"))?;
        let address = free_address()?;
        let config = folder.join("zoo.cfg");
        let mut text = format!(
            "tickTime=2000\ndataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\n",
            folder.join("data").display(),
            address.port(),
        );
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        std::fs::write(&config, text)?;
        let log = std::fs::File::create(folder.join("server.log"))?;
        command.arg(&config).stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok((Self { children: vec![child], hostport: address.to_string() }, address))
    }

    fn wait_until_ready(&mut self, address: SocketAddr) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if four_letters(address, "srvr").is_ok_and(|answer| answer.contains("Mode:")) {
                return Ok(());
            }
            for child in &mut self.children {
                let Some(status) = child.try_wait()? else { continue };
                bail!("the server ended with {status} before it answered");
            }
            std::thread::sleep(POLL);
        }
        bail!("the server did not answer within {START_LIMIT:?}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn four_letters(address: SocketAddr, word: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
