//! Traces as the module `Traces` that `spec/ZabTrace.tla` extends.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Event;

/// The module: every different event once, and each trace as numbers of events.
pub fn module(traces: &[Vec<Event>]) -> String {
    let mut numbers: BTreeMap<&Event, usize> = BTreeMap::new();
    let mut events = Vec::new();
    let mut lists = Vec::new();
    for trace in traces {
        let list: Vec<String> =
            trace.iter().map(|event| number(&mut numbers, &mut events, event).to_string()).collect();
        lists.push(format!("<<{}>>", list.join(", ")));
    }
    let mut text = "---- MODULE Traces ----\nEXTENDS Integers\n".to_owned();
    let _ = writeln!(text, "Event == <<\n{}\n>>", events.join(",\n"));
    let _ = writeln!(text, "Trace == <<\n{}\n>>", lists.join(",\n"));
    text + "====\n"
}

fn number<'a>(numbers: &mut BTreeMap<&'a Event, usize>, events: &mut Vec<String>, event: &'a Event) -> usize {
    *numbers.entry(event).or_insert_with(|| {
        events.push(tuple(event));
        events.len()
    })
}

fn tuple(event: &Event) -> String {
    let Event { ev, s, l, m, e, c, x } = event;
    let [e, c, x] =
        [e, c, x].map(|number| if *number < 0 { format!("(0 - {})", -number) } else { number.to_string() });
    format!("<<\"{ev}\", {s}, {l}, \"{m}\", {e}, {c}, {x}>>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_comes_twice_is_written_once() {
        let crash = Event { ev: "crash".to_owned(), s: 2, x: -1, ..Event::default() };
        let text = module(&[vec![crash.clone(), crash.clone()], vec![crash]]);
        assert_eq!(text.matches("\"crash\", 2, 0, \"\", 0, 0, (0 - 1)").count(), 1);
        assert!(text.contains("<<1, 1>>,\n<<1>>"));
    }
}
