//! Limits and throttles, with the original's rules for values that make no sense.

use oxherd_config::{Config, Mode, Role};
use oxherd_replica::{ConnectThrottleOptions, LargeRequestOptions, LimitOptions, RequestThrottleOptions};

/// The limit of requests in progress is shared among the members that serve clients.
// Java: LeaderZooKeeperServer.getGlobalOutstandingLimit, FollowerZooKeeperServer.getGlobalOutstandingLimit
pub(super) fn outstanding(config: &Config) -> i64 {
    let limit = i64::from(config.request_throttle.outstanding_max);
    let members = config.membership.members.values();
    let voters = members.filter(|member| member.role == Role::Participant).count();
    match (config.mode, i64::try_from(voters)) {
        (Mode::Ensemble, Ok(voters)) if voters > 2 => limit / (voters - 1),
        _ => limit,
    }
}

pub(super) fn options(config: &Config) -> LimitOptions {
    LimitOptions { connects: connects(config), requests: requests(config), large: large(config) }
}

/// Tokens a handshake costs.
struct Weights {
    global: i64,
    local: i64,
    renew: i64,
}

// Java: BlueThrottle
fn weights(config: &Config) -> Weights {
    let throttle = &config.connection_throttle;
    let or = |weight: i32, default: i64| if weight <= 0 { default } else { i64::from(weight) };
    let least = i64::from(throttle.local_weight);
    Weights {
        global: if throttle.global_weight <= 0 { 3 } else { i64::from(throttle.global_weight).max(least) },
        local: or(throttle.local_weight, 1),
        renew: if throttle.renew_weight <= 0 { 2 } else { i64::from(throttle.renew_weight).max(least) },
    }
}

fn connects(config: &Config) -> ConnectThrottleOptions {
    let throttle = &config.connection_throttle;
    let weights = weights(config);
    let local = config.session.local && config.mode == Mode::Ensemble;
    // Counts in the file are meant for global sessions.
    let (unit, new_cost, resume_cost) = match (throttle.weighted, local) {
        (false, _) => (1, 1, 1),
        (true, false) => (weights.global, weights.global, weights.renew),
        (true, true) => (weights.global, weights.local, weights.renew),
    };
    ConnectThrottleOptions {
        tokens: unit * i64::from(throttle.tokens),
        fill_ms: u64::try_from(throttle.fill_ms).unwrap_or(0).max(1),
        fill_count: unit * i64::from(throttle.fill_count),
        freeze_ms: u64::try_from(throttle.freeze_ms).ok(),
        drop_increase: throttle.drop_increase,
        drop_decrease: throttle.drop_decrease,
        decrease_ratio: throttle.decrease_ratio,
        new_cost,
        resume_cost,
    }
}

fn requests(config: &Config) -> RequestThrottleOptions {
    let throttle = &config.request_throttle;
    RequestThrottleOptions {
        in_process_max: i64::from(throttle.requests_max).max(0),
        stall_ms: u64::try_from(throttle.stall_ms).unwrap_or(0),
        drop_stale: throttle.drop_stale,
        stale_connection: throttle.stale_connection,
        stale_latency: throttle.stale_latency,
        throttled_op_ms: u64::try_from(throttle.throttled_op_ms).unwrap_or(0),
    }
}

// Java: ZooKeeperServer.setLargeRequestThreshold, setLargeRequestMaxBytes
fn large(config: &Config) -> Option<LargeRequestOptions> {
    const BYTES_MAX_DEFAULT: i64 = 100 * 1024 * 1024;
    let threshold = usize::try_from(config.limits.large_threshold).ok().filter(|threshold| *threshold > 0)?;
    let bytes_max = i64::from(config.limits.large_bytes_max);
    Some(LargeRequestOptions {
        threshold,
        bytes_max: if bytes_max > 0 { bytes_max } else { BYTES_MAX_DEFAULT },
    })
}
