use std::collections::BTreeSet;

use super::*;

#[test]
fn every_key_has_one_row_and_a_meaning() {
    let mut names = BTreeSet::new();
    for (_, key) in keys() {
        assert!(names.insert(key.name), "{} twice", key.name);
        assert!(key.meaning().len() > 3, "{}", key.name);
    }
    assert!(names.len() >= 263, "{}", names.len());
}

#[test]
fn an_exact_row_wins_over_a_family() {
    assert_eq!(find("metricsProvider.httpPort").unwrap().name, "metricsProvider.httpPort");
    assert_eq!(find("metricsProvider.colour").unwrap().name, "metricsProvider.*");
    assert_eq!(find("superUser.a").unwrap().name, "superUser.*");
    assert_eq!(find("nothing.like.it"), None);
}

#[test]
fn the_closest_key_is_offered_only_when_it_is_close() {
    assert_eq!(closest("clientport"), Some("clientPort"));
    assert_eq!(closest("snapCuont"), Some("snapCount"));
    assert_eq!(closest("entirely-different"), None);
}
