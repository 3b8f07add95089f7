//! A look at the ensemble as a script reads it: one object, on one line.

use serde_json::{Value, json};

use super::facts::{Answer, Facts, Kind, Member, Tree};
use super::kept::{self, Kept};
use super::rules::{Finding, Severity};
use super::service::Service;
use super::step::{Step, Swap};
use super::target::Target;
use super::{Look, Replace};

/// The whole look, ending with a line break.
pub(super) fn look(asked: &Replace, target: &Target, look: &Look, kept: Option<&Kept>) -> String {
    let members: Vec<Value> =
        look.facts.members.iter().map(|(id, member)| self::member(*id, member)).collect();
    let value = json!({
        "to": asked.to.word(),
        "members": members,
        "leader": look.facts.leader().map(|(id, _)| id),
        "sessions": sessions(&look.facts),
        "watches": kept::watches(&look.facts),
        "findings": look.findings.iter().map(finding).collect::<Vec<_>>(),
        "refused": look.step.is_none(),
        "done": look.step == Some(Step::Done),
        "next": match &look.step {
            Some(Step::Swap(swap)) => next(swap, asked, target),
            _ => Value::Null,
        },
        "restart": look.facts.silent().map(|id| restart(id, asked, target)).collect::<Vec<_>>(),
        "kept": kept.map(|kept| json!({
            "server": kept.member,
            "sessions_before": kept.sessions.map(|(before, _)| before),
            "sessions_still": kept.sessions.map(|(_, still)| still),
            "watches_before": kept.watches.map(|(before, _)| before),
            "watches_now": kept.watches.map(|(_, now)| now),
        })),
    });
    format!("{value}\n")
}

fn sessions(facts: &Facts) -> Option<usize> {
    facts.leader().and_then(|(_, server)| server.sessions.as_ref()).map(|sessions| sessions.len())
}

fn member(id: i64, member: &Member) -> Value {
    let mut value = json!({
        "server": id,
        "clients_at": member.place,
        "votes": member.votes,
        "state": match &member.answer {
            Answer::Serving(_) => "serving",
            Answer::NotServing => "no quorum",
            Answer::Foreign(_) => "stranger",
            Answer::Silent(_) | Answer::NotAsked => "down",
        },
        "tree": tree(&member.tree),
    });
    if let Some(server) = member.server() {
        value["runs"] = json!(server.kind.word());
        value["version"] = json!(server.version);
        value["mode"] = json!(server.mode.word());
        value["zxid"] = json!(server.zxid.to_string());
        value["nodes"] = json!(server.nodes);
        value["connections"] = json!(server.connections);
        value["watches"] = json!(server.watches);
        value["digest_mismatches"] = json!(server.digest_mismatches);
    }
    if let Some(clock) = member.clock {
        value["clock"] = json!({ "ahead_ms": clock.ahead_ms, "precision_ms": clock.precision_ms });
    }
    value
}

fn tree(tree: &Tree) -> Value {
    match tree {
        Tree::NotCompared => Value::Null,
        Tree::TooBig(nodes) => json!({ "compared": false, "nodes": nodes }),
        Tree::Unreadable(reason) => json!({ "compared": false, "reason": reason }),
        Tree::Compared(seen) => json!({
            "compared": true,
            "equal": seen.different.is_empty(),
            "nodes": seen.nodes,
            "different": seen.different,
            "hidden": seen.hidden,
            "changing": seen.changing,
        }),
    }
}

fn finding(finding: &Finding) -> Value {
    json!({
        "severity": match finding.severity {
            Severity::Refusal => "refusal",
            Severity::Warning => "warning",
        },
        "rule": finding.rule,
        "server": finding.member,
        "text": finding.text,
        "way_out": finding.way_out,
    })
}

/// How to start a member that is down, as either program.
fn restart(id: i64, asked: &Replace, target: &Target) -> Value {
    let lines = |kind| -> serde_json::Map<String, Value> {
        let line = |service: &Service| json!(service.start(kind, asked.files(target)));
        Service::ALL.iter().map(|service| (service.word().to_owned(), line(service))).collect()
    };
    json!({ "server": id, "oxherd": lines(Kind::Oxherd), "java": lines(Kind::Java) })
}

fn next(swap: &Swap, asked: &Replace, target: &Target) -> Value {
    let lines = |to| -> serde_json::Map<String, Value> {
        let lines = |service: &Service| json!(service.lines(to, asked.files(target)));
        Service::ALL.iter().map(|service| (service.word().to_owned(), lines(service))).collect()
    };
    json!({
        "server": swap.member,
        "runs": swap.from.word(),
        "mode": swap.mode.word(),
        "left": swap.left,
        "lead_to": swap.lead_to,
        "commands": lines(asked.to),
        "back": lines(asked.to.other()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replace::facts::{Clock, Comparison, Mode};
    use crate::replace::rules::tests::{ensemble, server_mut};
    use crate::replace::step;
    use crate::replace::text::tests::{asked, target};

    fn told(look: &Look, kept: Option<&Kept>) -> Value {
        let line = super::look(&Replace { json: true, ..asked() }, &target(), look, kept);
        assert_eq!(line.matches('\n').count(), 1, "one line");
        serde_json::from_str(&line).unwrap()
    }

    /// Scripts rely on every name in it.
    fn is_golden(told: &Value, golden: &str) {
        assert_eq!(serde_json::to_string_pretty(told).unwrap(), golden.trim_end());
    }

    #[test]
    fn a_look_with_a_step_is_golden() {
        let mut facts = ensemble(&[Mode::Follower, Mode::Leader, Mode::Observer]);
        server_mut(&mut facts, 2).sessions = Some([7, 8].into());
        server_mut(&mut facts, 3).kind = Kind::Oxherd;
        let moving = Comparison { nodes: 5, hidden: 2, changing: 1, different: vec!["/a".to_owned()] };
        facts.members.get_mut(&3).unwrap().tree = Tree::Compared(moving);
        facts.members.get_mut(&2).unwrap().tree = Tree::NotCompared;
        facts.members.get_mut(&2).unwrap().clock = Some(Clock { ahead_ms: -4, precision_ms: 1 });
        let findings = vec![Finding {
            severity: Severity::Warning,
            rule: "clocks",
            member: None,
            text: "the clocks are apart".to_owned(),
            way_out: "let NTP run".to_owned(),
        }];
        let step = Some(step::next(&facts, Kind::Oxherd));
        let kept = Kept { member: 3, sessions: Some((2, 1)), watches: Some((3, 3)) };
        is_golden(&told(&Look { facts, findings, step }, Some(&kept)), include_str!("json/step.json"));
    }

    #[test]
    fn a_look_without_a_step_is_golden() {
        let mut facts = ensemble(&[Mode::Follower, Mode::Leader, Mode::Follower, Mode::Follower]);
        let answers = [(1, Answer::Silent("refused".to_owned())), (3, Answer::NotServing)];
        for (id, answer) in answers.into_iter().chain([(4, Answer::Foreign("SSH".to_owned()))]) {
            let member = facts.members.get_mut(&id).unwrap();
            (member.answer, member.clock, member.tree) = (answer, None, Tree::NotCompared);
        }
        let findings = vec![Finding {
            severity: Severity::Refusal,
            rule: "down",
            member: Some(1),
            text: "server 1 does not answer".to_owned(),
            way_out: String::new(),
        }];
        is_golden(&told(&Look { facts, findings, step: None }, None), include_str!("json/refused.json"));
    }
}
