use std::collections::BTreeMap;

use super::*;

fn values(metrics: &Metrics) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    metrics.dump(&mut |name, value| {
        assert!(values.insert(name.to_owned(), value).is_none(), "{name} twice");
    });
    values
}

#[test]
fn a_summary_shows_mean_bounds_count_and_sum() {
    let metrics = Metrics::default();
    for value in [3, -1, 9] {
        metrics.fsynctime.add(value);
    }
    let values = values(&metrics);
    assert_eq!(values["avg_fsynctime"], Value::Decimal(3.6667));
    assert_eq!(values["min_fsynctime"], Value::Integer(-1));
    assert_eq!(values["max_fsynctime"], Value::Integer(9));
    assert_eq!(values["cnt_fsynctime"], Value::Integer(3));
    assert_eq!(values["sum_fsynctime"], Value::Integer(11));
    assert_eq!(values["max_snapshottime"], Value::Integer(0));
}

#[test]
fn percentiles_are_exact_while_the_sample_holds_everything() {
    let metrics = Metrics::default();
    (1..=100).for_each(|value| metrics.readlatency.add(value));
    let values = values(&metrics);
    let shown = ["p50", "p95", "p99", "p999"].map(|label| values[&format!("{label}_readlatency")]);
    assert_eq!(shown, [51, 96, 100, 100].map(Value::Integer));
}

#[test]
fn percentiles_of_a_long_run_stay_near_the_truth() {
    let metrics = Metrics::default();
    (0..100_000).for_each(|value| metrics.updatelatency.add(value));
    let Value::Integer(median) = values(&metrics)["p50_updatelatency"] else {
        panic!("a whole number");
    };
    assert!((45_000..55_000).contains(&median), "{median}");
}

#[test]
fn sets_show_a_value_a_key_and_reset_keeps_the_keys() {
    let metrics = Metrics::default();
    metrics.quota_exceeded_error_per_namespace.of("app").add(2);
    metrics.write_per_namespace.add(b"app", 7);
    metrics.proposal_count.add(5);
    let before = values(&metrics);
    assert_eq!(before["app_quota_exceeded_error_per_namespace"], Value::Integer(2));
    assert_eq!(before["max_app_write_per_namespace"], Value::Integer(7));
    metrics.reset();
    let after = values(&metrics);
    assert_eq!(
        (after["max_app_write_per_namespace"], after["proposal_count"]),
        (Value::Integer(0), Value::Integer(0))
    );
}

#[test]
fn sizes_start_at_minus_one() {
    let sizes = Sizes::default();
    assert_eq!(sizes.values(), (-1, -1, -1));
    [5, 2, 9].iter().for_each(|&size| sizes.add(size));
    assert_eq!(sizes.values(), (9, 2, 9));
}
