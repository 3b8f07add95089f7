//! A whole ensemble on one machine, one process a server, so that any of them can be killed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::commands::Ensemble;

/// Pause between two looks at the servers.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Time the servers have to end before they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// A server of the ensemble.
struct Member {
    number: u16,
    config: PathBuf,
    child: Child,
    /// It has ended, and that was said.
    ended: bool,
}

#[expect(clippy::print_stderr, reason = "this is what whoever started it waits for")]
pub(crate) fn run(options: &Ensemble) -> ExitCode {
    match start(options) {
        Ok(members) => {
            announce(options, &members);
            watch(members)
        }
        Err(reason) => {
            eprintln!("cannot start the ensemble in {}: {reason}", options.dir.display());
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Ensemble) -> io::Result<Vec<Member>> {
    fs::create_dir_all(&options.dir)?;
    let dir = options.dir.canonicalize()?;
    let program = std::env::current_exe()?;
    let mut members: Vec<Member> = Vec::new();
    for number in 1..=options.servers {
        match start_member(&program, &dir, number, options) {
            Ok(member) => members.push(member),
            Err(reason) => {
                stop(&mut members);
                return Err(reason);
            }
        }
    }
    Ok(members)
}

fn start_member(program: &Path, dir: &Path, number: u16, options: &Ensemble) -> io::Result<Member> {
    let home = dir.join(format!("server{number}"));
    fs::create_dir_all(home.join("data"))?;
    fs::write(home.join("data/myid"), format!("{number}\n"))?;
    let config = home.join("zoo.cfg");
    fs::write(&config, config_text(&home, number, options))?;
    let log = File::options().create(true).append(true).open(home.join("log"))?;
    let mut command = Command::new(program);
    command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = command.spawn()?;
    Ok(Member { number, config, child, ended: false })
}

fn config_text(home: &Path, number: u16, options: &Ensemble) -> String {
    let mut text = format!(
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\nstandaloneEnabled=false\n4lw.commands.whitelist=*\n\
         dataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\n",
        home.join("data").display(),
        port(options, number)
    );
    for each in 1..=options.servers {
        let (learners, votes) = (port(options, each) + 100, port(options, each) + 200);
        let _ = writeln!(text, "server.{each}=127.0.0.1:{learners}:{votes}");
    }
    text
}

fn port(options: &Ensemble, number: u16) -> u16 {
    options.client_port + number - 1
}

#[expect(clippy::print_stdout, reason = "the banner is for whoever started the ensemble")]
fn announce(options: &Ensemble, members: &[Member]) {
    let hosts: Vec<String> =
        members.iter().map(|member| format!("127.0.0.1:{}", port(options, member.number))).collect();
    println!("an ensemble of {}, files below {}", members.len(), options.dir.display());
    for (member, host) in members.iter().zip(&hosts) {
        println!("  server {}   {host}   pid {}", member.number, member.child.id());
    }
    println!("  try        oxherd shell -server {} ls /", hosts.join(","));
    println!(
        "  leader     for port in {}; do echo srvr | nc 127.0.0.1 $port | grep Mode; done",
        ports(options)
    );
    println!("  then       kill -9 the leader's pid, and go on in the shell; ctrl-c here ends them all");
}

fn ports(options: &Ensemble) -> String {
    let ports: Vec<String> = (1..=options.servers).map(|number| port(options, number).to_string()).collect();
    ports.join(" ")
}

#[expect(clippy::print_stdout, reason = "whoever started the ensemble wants to know")]
fn watch(mut members: Vec<Member>) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        stop(&mut members);
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        let asked = crate::serve::stop_signal();
        tokio::pin!(asked);
        loop {
            tokio::select! {
                () = &mut asked => break,
                () = tokio::time::sleep(LOOK_PAUSE) => report_ended(&mut members),
            }
            if members.iter().all(|member| member.ended) {
                break;
            }
        }
    });
    let all_ended = members.iter().all(|member| member.ended);
    stop(&mut members);
    println!("stopped");
    if all_ended { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[expect(clippy::print_stdout, reason = "whoever started the ensemble wants to know")]
fn report_ended(members: &mut [Member]) {
    for member in members.iter_mut().filter(|member| !member.ended) {
        if let Ok(Some(status)) = member.child.try_wait() {
            member.ended = true;
            let (number, config) = (member.number, member.config.display());
            println!("server {number} has ended ({status}); again: oxherd serve {config}");
        }
    }
}

/// Asks every server to end, and kills what does not.
fn stop(members: &mut [Member]) {
    for member in members.iter().filter(|member| !member.ended) {
        let _ = kill_process(Pid::from_child(&member.child), Signal::TERM);
    }
    let begun = now();
    for member in members.iter_mut().filter(|member| !member.ended) {
        while matches!(member.child.try_wait(), Ok(None)) && now() - begun < STOP_TIMEOUT {
            std::thread::sleep(Duration::from_millis(10));
        }
        if matches!(member.child.try_wait(), Ok(None)) {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

fn now() -> Instant {
    Instant::now()
}
