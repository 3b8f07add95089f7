//! `bench`: this build beside Java, with the load generator and the peers of `shared/rigs`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{cargo, succeed};
use crate::root;

/// Nodes in the tree while the pause of a snapshot is measured.
const PAUSE_NODES: &str = "1000000";
/// Txns between two snapshots, so few that one is nearly always under way.
const SNAPSHOT_ALWAYS: &str = "snapCount=2000";
/// Txns between two snapshots, so many that none comes.
const SNAPSHOT_NEVER: &str = "snapCount=100000000";

/// `bench [ensemble|sync|pause|catch-up] [ARG..]`; other arguments go to the rigs' `bench.py run`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let rigs = Rigs::find()?;
    succeed(cargo().args(["build", "--release", "--package", "oxherd"]))?;
    match args.first().map(String::as_str) {
        Some("ensemble") => rigs.side_by_side("@3", "bench-ensemble.jsonl", &args[1..]),
        Some("sync") => rigs.sync(),
        Some("pause") => rigs.pause(),
        Some("catch-up") => rigs.catch_up(),
        _ => rigs.side_by_side("", "bench.jsonl", args),
    }
}

struct Rigs(PathBuf);

impl Rigs {
    fn find() -> Result<Self> {
        let named = std::env::var_os("RIGS").map(PathBuf::from);
        let rigs = named.unwrap_or_else(|| root().join("../shared/rigs"));
        if !rigs.join("bench.py").exists() {
            bail!(
                "{} has no bench.py (RIGS names the folder); `oxherd bench` measures a running server without it",
                rigs.display()
            );
        }
        Ok(Self(rigs))
    }

    fn side_by_side(&self, nodes: &str, out: &str, args: &[String]) -> Result<()> {
        let out = root().join("target").join(out);
        let java = format!("zk39{nodes}");
        let ours = format!("oxherd=exec:{} serve{nodes}", oxherd().display());
        let mut bench = self.python("bench.py");
        succeed(bench.arg("run").arg(&out).args(["--servers", &java, &ours]).args(args))?;
        succeed(self.python("bench.py").arg("report").arg(&out).args(["--base", &java]))
    }

    /// One write at a time beside what it is made of: a synced write to this disk, and a round trip.
    fn sync(&self) -> Result<()> {
        succeed(self.python("fsync_probe.py").arg(root().join("target")))?;
        let server = Running::start(self, SNAPSHOT_NEVER)?;
        let get = self.load(&server, "--workload get --warmup 2 --duration 5")?;
        let set = self.load(&server, "--workload set --value-size 1024 --warmup 2 --duration 5")?;
        println!("get, depth 1: p50 {} us", get["latency_us"]["get"]["p50"]);
        println!("set, depth 1: p50 {} us", set["latency_us"]["set"]["p50"]);
        Ok(())
    }

    /// Sets on a large tree, without a snapshot and while one is written all the time.
    fn pause(&self) -> Result<()> {
        for (what, count) in [("no snapshot", SNAPSHOT_NEVER), ("always one", SNAPSHOT_ALWAYS)] {
            let server = Running::start(self, SNAPSHOT_NEVER)?;
            let fill = format!(
                "--workload fill --nodes {PAUSE_NODES} --fanout 1000 --value-size 100 --connections 4 --depth 64"
            );
            self.load(&server, &fill)?;
            let server = server.again(self, count)?;
            let sets = self.load(&server, "--workload set --connections 16 --warmup 3 --duration 20")?;
            let latency = &sets["latency_us"]["set"];
            println!(
                "{what}: {:.0} sets/s, p50 {} us, p99 {} us, p99.9 {} us, max {} us",
                sets["ops_per_s"].as_f64().unwrap_or_default(),
                latency["p50"],
                latency["p99"],
                latency["p99.9"],
                latency["max"]
            );
        }
        Ok(())
    }

    /// An emptied follower learns a large tree, beside Java.
    fn catch_up(&self) -> Result<()> {
        let mut bench = Command::new("python3");
        bench.arg(root().join("tests-interop/bench/catch_up.py")).arg(&self.0);
        bench.arg(root().join("target/bench-catch-up.jsonl")).arg("zk39");
        succeed(bench.arg(format!("exec:{} serve", oxherd().display())).env("PYTHONDONTWRITEBYTECODE", "1"))
    }

    fn load(&self, server: &Running, args: &str) -> Result<Value> {
        let mut zkload = Command::new(self.0.join("zkload/target/release/zkload"));
        zkload.args(["--json", "--hosts", &server.hosts, "--pid", &server.pids]).args(args.split(' '));
        json(&mut zkload)
    }

    fn python(&self, script: &str) -> Command {
        let mut command = Command::new("python3");
        command.arg(self.0.join(script)).current_dir(root()).stdin(Stdio::null());
        command
    }
}

fn oxherd() -> PathBuf {
    root().join("target/release/oxherd")
}

fn json(command: &mut Command) -> Result<Value> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {command:?}"))?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} ended with {}", output.status))
}

/// A server that the rigs started, in a folder of its own; it ends with this value.
struct Running {
    rigs: PathBuf,
    dir: PathBuf,
    hosts: String,
    pids: String,
}

impl Running {
    fn start(rigs: &Rigs, cfg: &str) -> Result<Self> {
        let dir = root().join("target").join(format!("bench-server-{}", std::process::id()));
        Self::launch(rigs, &dir, cfg)
    }

    fn launch(rigs: &Rigs, dir: &Path, cfg: &str) -> Result<Self> {
        let kind = format!("exec:{} serve", oxherd().display());
        let mut start = rigs.python("peer.py");
        start.args(["start", &kind, "--cfg", cfg, "--dir"]).arg(dir);
        let run = json(&mut start)?;
        let text =
            |key: &str| run[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in {run}"));
        Ok(Self {
            rigs: rigs.0.clone(),
            dir: PathBuf::from(text("dir")?),
            hosts: text("hosts")?,
            pids: text("pids")?,
        })
    }

    /// Stops it and starts it on the same data with another line in its configuration.
    fn again(self, rigs: &Rigs, cfg: &str) -> Result<Self> {
        self.stop(true)?;
        let dir = self.dir.clone();
        std::mem::forget(self);
        Self::launch(rigs, &dir, cfg)
    }

    fn stop(&self, keep: bool) -> Result<()> {
        let mut stop = Command::new("python3");
        stop.arg(self.rigs.join("peer.py")).arg("stop").arg(&self.dir).stdout(Stdio::null());
        succeed(if keep { stop.arg("--keep") } else { &mut stop })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.stop(false) {
            eprintln!("{error:#}");
        }
    }
}
