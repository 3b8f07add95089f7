//! A token bucket over handshakes, with a share refused at random while it stays empty.
// Java: BlueThrottle

/// What the operator set about handshakes; by default there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ConnectThrottleOptions {
    /// Tokens the bucket holds; 0 turns the throttle off.
    pub tokens: i64,
    /// Time between two refills, in ms; not 0.
    pub fill_ms: u64,
    /// Tokens of a refill.
    pub fill_count: i64,
    /// Time the chance stays as it is, in ms; `None` refuses nobody at random.
    pub freeze_ms: Option<u64>,
    /// Step by which the chance rises while the bucket is empty.
    pub drop_increase: f64,
    /// Step by which the chance falls while the bucket is full enough.
    pub drop_decrease: f64,
    /// Share of the tokens that may be missing for the chance to fall.
    pub decrease_ratio: f64,
    /// Tokens a new session costs.
    pub new_cost: i64,
    /// Tokens a resumed session costs.
    pub resume_cost: i64,
}

/// The bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectThrottle {
    tokens: i64,
    filled_ms: u64,
    frozen_ms: u64,
    drop_chance: f64,
    random: u64,
}

impl ConnectThrottle {
    /// A full bucket; time counts from 0.
    pub(super) fn new(options: &ConnectThrottleOptions, seed: u64) -> Self {
        Self { tokens: options.tokens, random: seed, ..Self::default() }
    }

    /// Takes `need` tokens; false when they are not there or chance is against it.
    // Java: BlueThrottle.checkLimit
    pub(super) fn take(&mut self, need: i64, now_ms: u64, options: &ConnectThrottleOptions) -> bool {
        self.fill(now_ms, options);
        if let Some(freeze_ms) = options.freeze_ms
            && self.is_unlucky(now_ms, freeze_ms, options)
        {
            return false;
        }
        if self.tokens < need {
            return false;
        }
        self.tokens -= need;
        true
    }

    fn fill(&mut self, now_ms: u64, options: &ConnectThrottleOptions) {
        let passed = now_ms.saturating_sub(self.filled_ms);
        if passed <= options.fill_ms {
            return;
        }
        let refill = i64::try_from(passed).unwrap_or(i64::MAX).saturating_mul(options.fill_count)
            / i64::try_from(options.fill_ms.max(1)).unwrap_or(i64::MAX);
        self.tokens = self.tokens.saturating_add(refill).min(options.tokens);
        if self.tokens < 0 {
            self.tokens = options.tokens;
        }
        self.filled_ms = now_ms;
    }

    // Java: BlueThrottle.checkBlue
    fn is_unlucky(&mut self, now_ms: u64, freeze_ms: u64, options: &ConnectThrottleOptions) -> bool {
        if now_ms.saturating_sub(self.frozen_ms) > freeze_ms {
            #[expect(clippy::cast_precision_loss, reason = "tokens are far below 2^52")]
            let (missing, allowed) = (
                self.deficit(options) as f64,
                (options.tokens as f64 * options.decrease_ratio + 0.5).floor(),
            );
            if self.tokens == 0 && self.drop_chance < 1.0 {
                self.drop_chance = (self.drop_chance + options.drop_increase).min(1.0);
            } else if missing <= allowed && self.drop_chance > 0.0 {
                self.drop_chance = (self.drop_chance - options.drop_decrease).max(0.0);
            }
            self.frozen_ms = now_ms;
        }
        self.next_share() < self.drop_chance
    }

    /// The next of a fixed row of numbers in 0..1 (`SplitMix64`).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn next_share(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Tokens that are missing.
    pub(super) fn deficit(&self, options: &ConnectThrottleOptions) -> i64 {
        options.tokens - self.tokens
    }

    /// The share that is refused at random.
    pub(super) fn drop_chance(&self) -> f64 {
        self.drop_chance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ConnectThrottleOptions = ConnectThrottleOptions {
        tokens: 6,
        fill_ms: 10,
        fill_count: 2,
        freeze_ms: None,
        drop_increase: 0.5,
        drop_decrease: 0.25,
        decrease_ratio: 0.0,
        new_cost: 1,
        resume_cost: 1,
    };

    fn taken(throttle: &mut ConnectThrottle, now_ms: u64, options: &ConnectThrottleOptions) -> usize {
        (0..100).take_while(|_| throttle.take(1, now_ms, options)).count()
    }

    #[test]
    fn a_full_bucket_empties_and_fills_with_time_up_to_its_brim() {
        let mut throttle = ConnectThrottle::new(&OPTIONS, 1);
        assert_eq!(taken(&mut throttle, 0, &OPTIONS), 6);
        assert_eq!(taken(&mut throttle, 10, &OPTIONS), 0, "only behind the interval");
        assert_eq!(taken(&mut throttle, 11, &OPTIONS), 2);
        assert_eq!(taken(&mut throttle, 10_000, &OPTIONS), 6);
    }

    #[test]
    fn a_heavy_handshake_waits_for_all_its_tokens() {
        let mut throttle = ConnectThrottle::new(&OPTIONS, 1);
        assert!(throttle.take(4, 0, &OPTIONS));
        assert!(!throttle.take(3, 0, &OPTIONS));
        assert!(throttle.take(2, 0, &OPTIONS), "a light one takes what is left");
        assert_eq!(throttle.deficit(&OPTIONS), 6);
    }

    #[test]
    fn the_chance_rises_while_the_bucket_is_empty_and_falls_when_it_is_full() {
        let options = ConnectThrottleOptions { freeze_ms: Some(0), fill_ms: 1000, ..OPTIONS };
        let mut throttle = ConnectThrottle::new(&options, 7);
        assert_eq!(taken(&mut throttle, 0, &options), 6, "nobody is refused at random yet");
        for now_ms in 1..=2 {
            assert!(!throttle.take(1, now_ms, &options));
        }
        assert!((throttle.drop_chance() - 1.0).abs() < 1e-9, "two steps of a half");
        assert!(!throttle.take(1, 900_000, &options), "full again, and refused: the chance was {}", 0.75);
        for step in 1..=3 {
            throttle.take(0, 900_000 + step, &options);
        }
        assert!(throttle.drop_chance().abs() < 1e-9);
        assert!(throttle.take(1, 900_010, &options));
    }

    #[test]
    fn about_the_share_is_refused_that_the_chance_says() {
        let options = ConnectThrottleOptions { freeze_ms: Some(u64::MAX), tokens: 1000, ..OPTIONS };
        let mut throttle = ConnectThrottle::new(&options, 42);
        throttle.drop_chance = 0.3;
        let refused = (0..1000).filter(|_| !throttle.take(1, 0, &options)).count();
        assert!((250..350).contains(&refused), "{refused}");
    }
}
