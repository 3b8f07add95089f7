//! `oxherd replace`: the guided swap of the members of a live ensemble, one at a time, to Oxherd or back.
//!
//! It keeps no state: each run looks at the ensemble and says what is next. What was seen is plain data ([`facts`]); what
//! speaks against a step ([`rules`]) and which step is next ([`step`]) are functions of it.

mod facts;
mod json;
mod kept;
mod look;
mod rules;
mod service;
mod step;
mod target;
mod text;
mod trees;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use facts::Kind;
pub use service::Service;

use crate::answer::{EXIT_FAILED, EXIT_INVOCATION};
use crate::shell::{to_stderr, to_stdout};
use facts::Facts;
use kept::Kept;
use look::Depth;
use rules::{Finding, Wanted};
use service::Files;
use step::{Standing, Step, Swap};
use target::Target;

/// A step was not over in time.
const EXIT_TIMEOUT: u8 = 3;
/// Between two looks while a step is awaited.
const PAUSE: Duration = Duration::from_secs(1);
/// So long a server that is to be started may be stopped before it is said.
const STUCK: Duration = Duration::from_secs(30);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Replace {
    /// The `zoo.cfg` of any member.
    pub config: PathBuf,
    /// What the members are to become.
    pub to: Kind,
    /// Stay, and follow each step to its end.
    pub wait: bool,
    /// Longest time that one step may take when it is followed.
    pub timeout: Duration,
    /// Nodes of the largest tree that is compared; 0 compares none.
    pub tree_nodes_max: u64,
    /// Whose commands are printed.
    pub services: Vec<Service>,
    /// Image with this program, for containers.
    pub image: Option<String>,
    /// Where clients of a member connect, in place of what the file says.
    pub clients: Vec<(i64, String)>,
    /// `scheme:text` of somebody who may read the tree.
    pub auth: Option<String>,
    /// Go on where releases or the number of voters speak against it.
    pub i_know: bool,
    /// Print one JSON object a look, each on its line.
    pub json: bool,
}

impl Replace {
    /// What the printed commands are about.
    fn files<'a>(&'a self, target: &'a Target) -> Files<'a> {
        Files { config: &target.file, image: self.image.as_deref() }
    }
}

/// Everything that one look at the ensemble gave.
struct Look {
    facts: Facts,
    findings: Vec<Finding>,
    /// `None` when something forbids a step.
    step: Option<Step>,
}

/// Looks at the ensemble, and says what is next.
///
/// Exit codes: 0 when the next step was given or nothing is left to do, 1 when something forbids a step, 2 for options or
/// a configuration that cannot be used, 3 for a step that was not over in time.
pub fn replace(asked: &Replace) -> ExitCode {
    let target = match Target::load(&asked.config, &asked.clients) {
        Ok(target) => target,
        Err(error) => {
            to_stderr(&format!("{error}\n"));
            return ExitCode::from(EXIT_INVOCATION);
        }
    };
    let known = |id: &i64| target.members.is_empty() || target.members.contains_key(id);
    if let Some((id, _)) = asked.clients.iter().find(|(id, _)| !known(id)) {
        to_stderr(&format!("--client {id}=…: the configuration names no server {id}\n"));
        return ExitCode::from(EXIT_INVOCATION);
    }
    crate::block_on(guide(&Guide { asked, target }))
}

async fn guide(guide: &Guide<'_>) -> u8 {
    let mut look = guide.look().await;
    let mut kept = None;
    loop {
        guide.say(&look, kept.as_ref());
        let Some(step) = &look.step else {
            return EXIT_FAILED;
        };
        let Step::Swap(swap) = step else {
            return 0;
        };
        if !guide.asked.wait {
            return 0;
        }
        let swapped = match guide.follow(&look.facts, swap).await {
            Ok(member) => member,
            Err(reason) => {
                to_stderr(&format!("{reason}\n"));
                return EXIT_TIMEOUT;
            }
        };
        let after = guide.look().await;
        kept = Some(Kept::between(&look.facts, &after.facts, swapped));
        look = after;
    }
}

struct Guide<'a> {
    asked: &'a Replace,
    target: Target,
}

impl Guide<'_> {
    async fn look(&self) -> Look {
        let mut facts = look::words(&self.target).await;
        let depth = Depth { tree_nodes_max: self.asked.tree_nodes_max, auth: self.asked.auth.clone() };
        look::closely(&mut facts, &depth, &mut |line| self.progress(line)).await;
        let wanted =
            Wanted { to: self.asked.to, i_know: self.asked.i_know, trees: self.asked.tree_nodes_max > 0 };
        let findings = rules::judge(&facts, wanted);
        let step = (!rules::refuses(&findings)).then(|| step::next(&facts, self.asked.to));
        Look { facts, findings, step }
    }

    fn say(&self, look: &Look, kept: Option<&Kept>) {
        let told = match self.asked.json {
            true => json::look(self.asked, &self.target, look, kept),
            false => text::look(self.asked, &self.target, look, kept),
        };
        to_stdout(&told);
    }

    /// Which member was swapped, when every member is in sync again; the reason when it takes too long.
    async fn follow(&self, before: &Facts, swap: &Swap) -> Result<i64, String> {
        let begin = Instant::now();
        // A time that no clock can tell is no end.
        let end = begin.checked_add(self.asked.timeout);
        let (mut told, mut since, mut stuck) = (String::new(), begin, false);
        loop {
            let awaited = match step::standing(before, &look::words(&self.target).await, swap) {
                Standing::Over(member) => return Ok(member),
                Standing::Waits(awaited) => awaited,
            };
            if end.is_some_and(|end| Instant::now() >= end) {
                return Err(format!("{awaited}, after {:?}; run this again to go on", self.asked.timeout));
            }
            if awaited != told {
                self.progress(&format!("waiting: {awaited}"));
                (told, since, stuck) = (awaited, Instant::now(), false);
            } else if !stuck && told.ends_with(step::STOPPED) && since.elapsed() >= STUCK {
                stuck = true;
                let id = swap.member;
                self.progress(&format!(
                    "server {id} has not come back for {STUCK:?}: see its log, or go back as said"
                ));
            }
            sleep(PAUSE).await;
        }
    }

    /// Progress goes to standard error, so that what is decided stands alone on standard output.
    fn progress(&self, line: &str) {
        to_stderr(&format!("{line}\n"));
    }
}
