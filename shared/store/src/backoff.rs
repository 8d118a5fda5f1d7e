//! Exponential backoff with full jitter.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use fastrand::Rng;

/// Exponential backoff with full jitter: a delay is uniformly distributed between zero and
/// `min(cap, base * 2^retry)`.
///
/// Of the schemes compared in Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture
/// Blog, 2015 (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), it
/// causes the least load on the server at about the shortest completion time.
#[derive(Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    rng: Mutex<Rng>,
}

impl Backoff {
    pub(crate) fn new(base: Duration, cap: Duration, rng: Rng) -> Self {
        Self { base, cap, rng: Mutex::new(rng) }
    }

    /// The delay before a retry; the first retry is 0.
    pub(crate) fn delay(&self, retry: u32) -> Duration {
        let ceiling = self.base.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX)).min(self.cap);
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        // The state of a generator is valid whatever panicked.
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_nanos(rng.u64(0..=nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(seed: u64) -> Backoff {
        Backoff::new(Duration::from_millis(25), Duration::from_secs(1), Rng::with_seed(seed))
    }

    #[test]
    fn delays_are_jittered_grow_and_stay_under_the_cap() {
        let backoff = backoff(7);
        let mut last_mean = Duration::ZERO;
        for retry in 0..8 {
            let ceiling = (backoff.base * 2_u32.pow(retry)).min(backoff.cap);
            let delays: Vec<_> = (0..1_000).map(|_| backoff.delay(retry)).collect();
            assert!(delays.iter().all(|delay| *delay <= ceiling), "retry {retry}");
            let mean = delays.iter().sum::<Duration>() / 1_000;
            // Uniform from zero: the mean is half the ceiling, and both ends are reached.
            assert!(mean.abs_diff(ceiling / 2) < ceiling / 20, "retry {retry}: {mean:?}");
            assert!(delays.iter().min() < Some(&(ceiling / 50)) && delays.iter().max() > Some(&(ceiling / 50 * 49)));
            assert!(mean > last_mean || ceiling == backoff.cap, "retry {retry}: {mean:?}");
            last_mean = mean;
        }
        assert!(backoff.delay(u32::MAX) <= backoff.cap);
    }

    #[test]
    fn seed_determines_the_delays() {
        let delays = |seed| {
            let backoff = backoff(seed);
            (0..10).map(|retry| backoff.delay(retry)).collect::<Vec<_>>()
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }
}
