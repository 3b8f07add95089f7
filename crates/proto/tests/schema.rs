//! The table of records against a list of facts about the original's schema.

use oxherd_proto::{FieldSchema, SCHEMA};

/// Both spellings of a name made equal: `paths2Delete` and `paths_to_delete`, `type` and `kind`.
fn plain(name: &str) -> String {
    let name = if name == "type" { "kind" } else { name };
    name.replace('2', "to").replace('_', "").to_lowercase()
}

fn plain_field(field: &FieldSchema) -> String {
    let star = if field.vector { "*" } else { "" };
    format!("{star}{} {}", field.kind.to_lowercase(), plain(field.name))
}

fn plain_fact(fact: &str) -> String {
    let (kind, name) = fact.split_once(' ').expect("a fact is a type and a name");
    format!("{} {}", kind.to_lowercase(), plain(name))
}

fn facts() -> impl Iterator<Item = &'static str> {
    include_str!("data/schema.txt").lines().filter(|line| !line.starts_with(['#', '-']))
}

#[test]
fn records_have_the_names_types_and_order_of_the_original() {
    let mut expected = Vec::new();
    for line in facts() {
        let (name, fields) = line.split_once(": ").expect("a name and its fields");
        expected.push((plain(name), fields.split(", ").map(plain_fact).collect::<Vec<_>>()));
    }
    let ours: Vec<_> = SCHEMA
        .iter()
        .map(|r| (plain(r.name), r.fields.iter().map(plain_field).collect::<Vec<_>>()))
        .collect();
    for (ours, expected) in ours.iter().zip(&expected) {
        assert_eq!(ours, expected);
    }
    assert_eq!(ours.len(), expected.len());
}

#[test]
fn what_the_table_leaves_out_has_a_reason() {
    let left_out = include_str!("data/schema.txt").lines().filter(|line| line.starts_with('-'));
    for line in left_out {
        let (name, reason) = line.trim_start_matches("- ").split_once(": ").expect("a name and a reason");
        assert!(!reason.is_empty());
        assert!(SCHEMA.iter().all(|record| plain(record.name) != plain(name)), "{name} is in the table");
    }
}
