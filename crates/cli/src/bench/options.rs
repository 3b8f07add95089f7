//! What load to make.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::str::FromStr;
use std::time::Duration;

use oxherd_client::ClientOptions;

/// How to call the load generator.
pub(super) const USAGE: &str = "usage: oxherd bench [read|write|mixed|atc10|churn|fanout] [options]
  --server host:port[,...]   where to connect (localhost:2181)
  --connections n            sessions (16)
  --depth n                  operations under way in each session (1)
  --duration seconds         measured time of a step (10)
  --warmup seconds           time before it (1)
  --rate ops                 open loop: operations meant to start each second, all sessions together
  --value-size bytes         size of a node's data (100)
  --read-ratio 0..1          share of reads; mixed has 0.9
  --json                     one JSON object instead of a table";

/// Kinds of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    /// Reads of data.
    Read,
    /// Replacements of data.
    Write,
    /// Both.
    Mixed,
    /// Shares of reads from none to all in steps, as in the ATC'10 paper.
    Atc10,
    /// Sessions that come, make an ephemeral node and go.
    Churn,
    /// One node changes, every session watches it.
    Fanout,
}

/// All that can be chosen.
#[derive(Clone, Debug)]
pub(super) struct BenchOptions {
    pub(super) preset: Preset,
    pub(super) servers: String,
    pub(super) client: ClientOptions,
    pub(super) connections: usize,
    pub(super) depth: usize,
    pub(super) duration: Duration,
    pub(super) warmup: Duration,
    /// Operations a second of the open loop; `None` for the closed loop.
    pub(super) rate: Option<f64>,
    pub(super) value_len: usize,
    pub(super) read_ratio: Option<f64>,
    pub(super) json: bool,
    pub(super) quiet: bool,
}

impl BenchOptions {
    /// `None` when the usage is asked for; the error is one line.
    pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let mut options = Self {
            preset: Preset::Mixed,
            servers: "localhost:2181".to_owned(),
            client: ClientOptions::default(),
            connections: 16,
            depth: 1,
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(1),
            rate: None,
            value_len: 100,
            read_ratio: None,
            json: false,
            quiet: !std::io::stderr().is_terminal(),
        };
        let mut args = args.map(|arg| arg.to_string_lossy().into_owned());
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("option {arg} needs a value"));
            match arg.as_str() {
                "--server" | "-server" => options.servers = value()?,
                "--connections" => options.connections = count(&arg, &value()?)?,
                "--depth" => options.depth = count(&arg, &value()?)?,
                "--duration" => options.duration = seconds(&arg, &value()?)?,
                "--warmup" => options.warmup = seconds(&arg, &value()?)?,
                "--rate" => options.rate = Some(within(&arg, &value()?, 0.001, 1e9)?),
                "--value-size" => options.value_len = number(&arg, &value()?)?,
                "--read-ratio" => options.read_ratio = Some(within(&arg, &value()?, 0.0, 1.0)?),
                "--json" => options.json = true,
                "--help" | "-h" => return Ok(None),
                other => options.preset = preset(other)?,
            }
        }
        Ok(Some(options))
    }

    /// The shares of reads, one step each.
    pub(super) fn read_ratios(&self) -> Vec<f64> {
        match (self.read_ratio, self.preset) {
            (Some(ratio), _) => vec![ratio],
            (None, Preset::Read) => vec![1.0],
            (None, Preset::Write) => vec![0.0],
            (None, Preset::Atc10) => vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            (None, _) => vec![0.9],
        }
    }
}

fn preset(name: &str) -> Result<Preset, String> {
    Ok(match name {
        "read" => Preset::Read,
        "write" => Preset::Write,
        "mixed" => Preset::Mixed,
        "atc10" => Preset::Atc10,
        "churn" => Preset::Churn,
        "fanout" => Preset::Fanout,
        other => return Err(format!("unknown option or preset {other}")),
    })
}

fn number<N: FromStr>(option: &str, text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{option} needs a number, not {text:?}"))
}

fn count(option: &str, text: &str) -> Result<usize, String> {
    let count: usize = number(option, text)?;
    if (1..=100_000).contains(&count) { Ok(count) } else { Err(format!("{option} must be 1 to 100000")) }
}

fn within(option: &str, text: &str, least: f64, most: f64) -> Result<f64, String> {
    let value: f64 = number(option, text)?;
    let fits = (least..=most).contains(&value);
    if fits { Ok(value) } else { Err(format!("{option} must be {least} to {most}")) }
}

fn seconds(option: &str, text: &str) -> Result<Duration, String> {
    within(option, text, 0.0, 1e6).map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_the_preset_come_in_any_order() {
        let line = "--depth 4 read --rate 1000 --duration 0.5 --json --server a:1";
        let options =
            BenchOptions::parse(line.split(' ').map(OsString::from)).expect("valid").expect("a load");
        assert_eq!((options.preset, options.depth, options.rate), (Preset::Read, 4, Some(1000.0)));
        assert_eq!((options.duration, options.read_ratios()), (Duration::from_millis(500), vec![1.0]));
        for bad in ["--depth 0", "--read-ratio 2", "--rate -1", "soak", "--rate", "--rate NaN"] {
            assert!(BenchOptions::parse(bad.split(' ').map(OsString::from)).is_err(), "{bad}");
        }
    }
}
