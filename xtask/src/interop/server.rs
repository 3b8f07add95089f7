//! One standalone server for a stage: ours, or the original.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Bench;

const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A running server; it ends with this value.
pub(super) struct Server {
    child: Child,
    /// `127.0.0.1:port` of its client port.
    pub(super) hostport: String,
}

impl Server {
    /// Ours, with its folder below `out`.
    pub(super) fn oxherd(bench: &Bench, out: &Path, lines: &[&str]) -> Result<Self> {
        let mut command = Command::new(&bench.oxherd);
        command.arg("serve");
        Self::start(command, &out.join("oxherd"), lines)
    }

    /// The original, out of the Maven class path.
    pub(super) fn java(class_path: &str, out: &Path, lines: &[&str]) -> Result<Self> {
        let mut command = Command::new("java");
        command.args(["-Xmx512m", "-cp", class_path]);
        command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
        Self::start(command, &out.join("java"), lines)
    }

    fn start(mut command: Command, folder: &Path, lines: &[&str]) -> Result<Self> {
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
        let mut server = Self { child, hostport: address.to_string() };
        server.wait_until_ready(address).with_context(|| format!("see {}", folder.display()))?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, address: SocketAddr) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if four_letters(address, "srvr").is_ok_and(|answer| answer.contains("Mode:")) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} before it answered");
            }
            std::thread::sleep(POLL);
        }
        bail!("the server did not answer within {START_LIMIT:?}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
