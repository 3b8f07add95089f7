//! `bench-failover`: how long an ensemble takes no write when its leader goes, beside Java.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{cargo, quietly, succeed};
use crate::root;

/// Three servers of each kind in turn: leaders killed, leaders asked to go. `ROUNDS` leaders each way (10).
/// `CLASS_PATH` names Java's class path; without it Maven does. `OXHERD` names a build other than the release.
pub(crate) fn run() -> Result<()> {
    let out = root().join("target/failover");
    if out.exists() {
        std::fs::remove_dir_all(&out)?;
    }
    std::fs::create_dir_all(&out)?;
    let oxherd = if let Some(path) = std::env::var_os("OXHERD") {
        path.into()
    } else {
        succeed(cargo().args(["build", "--release", "--package", "oxherd"]))?;
        root().join("target/release/oxherd")
    };
    let (program, sources) = (out.join("failover"), root().join("tests-interop/net"));
    quietly(Command::new("go").args(["build", "-o"]).arg(&program).arg("./failover").current_dir(sources))?;
    let java = "java -Xmx512m -cp CLASS_PATH org.apache.zookeeper.server.quorum.QuorumPeerMain";
    let mut bench = Command::new(program);
    bench.env("OUT", &out).arg(format!("oxherd={} serve", oxherd.display()));
    bench.arg(format!("java={}", java.replace("CLASS_PATH", class_path(&out)?.trim())));
    succeed(&mut bench)
}

/// The newest release that `tests-interop/mixed` names.
fn class_path(out: &Path) -> Result<String> {
    if let Ok(given) = std::env::var("CLASS_PATH") {
        return Ok(given);
    }
    let list = out.join("class-path");
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-Dzookeeper.version=3.9.5", "dependency:build-classpath"]);
    maven.arg(format!("-Dmdep.outputFile={}", list.display()));
    quietly(maven.current_dir(root().join("tests-interop/mixed")))?;
    std::fs::read_to_string(&list).context("Maven writes the class path")
}
