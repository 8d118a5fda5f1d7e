//! A circuit breaker: who has failed several times in a row is left alone for a while.
//!
//! Closed, everybody asks. After a number of failures in a row it opens, and nobody asks. When the
//! cool-down is over, one probe is tried beside the work: nobody waits for it. If it succeeds the
//! breaker closes, if not the next cool-down is twice as long. What time it is and what a probe is
//! comes from outside.

use std::time::Duration;

/// How a breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it, at least 1.
    pub failures: u32,
    /// The first cool-down; each is shortened at random by up to a quarter, so that not all processes
    /// probe at the same moment.
    pub cool_down: Duration,
    /// The longest cool-down.
    pub max_cool_down: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 3, cool_down: Duration::from_secs(1), max_cool_down: Duration::from_secs(30) }
    }
}

/// A moment on two clocks, each as the time since some fixed moment of its own.
///
/// The monotonic clock of a sandbox stands still while it is frozen, the wall clock may be set. Of two
/// moments the longer of both distances counts: after a thaw a cool-down is over at once, and a clock
/// that is set ahead brings no more than an early probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// The clock that never goes back.
    pub monotonic: Duration,
    /// The clock on the wall.
    pub wall: Duration,
}

impl Moment {
    /// How much time has passed since an earlier moment.
    pub fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        monotonic.max(self.wall.saturating_sub(earlier.wall))
    }
}

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// How often it opened since the last success of real work.
    openings: u32,
    random: fastrand::Rng,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { since: Moment, cool_down: Duration, probing: bool },
}

impl Breaker {
    /// A closed breaker; `seed` decides the jitter.
    pub fn new(settings: BreakerSettings, seed: u64) -> Self {
        Self { settings, state: State::Closed { failures: 0 }, openings: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// Whether work is let through.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Work succeeded. While open this says nothing: it began before, and the probe decides.
    pub fn success(&mut self) {
        if let State::Closed { failures } = &mut self.state {
            *failures = 0;
            self.openings = 0;
        }
    }

    /// Work failed. Returns whether that opened the breaker.
    pub fn failure(&mut self, now: Moment) -> bool {
        match &mut self.state {
            State::Closed { failures } if *failures + 1 < self.settings.failures => {
                *failures += 1;
                false
            }
            State::Closed { .. } => self.trip(now),
            State::Open { .. } => false,
        }
    }

    /// Work failed in a way that will not pass by itself. Returns whether that opened the breaker.
    pub fn trip(&mut self, now: Moment) -> bool {
        let opens = self.is_closed();
        if opens {
            self.open(now);
        }
        opens
    }

    /// Whether a probe is to be made now. Whoever is told so makes it, and says how it ended.
    pub fn claim_probe(&mut self, now: Moment) -> bool {
        match &mut self.state {
            State::Open { since, cool_down, probing } if !*probing && now.since(*since) >= *cool_down => {
                *probing = true;
                true
            }
            _ => false,
        }
    }

    /// The probe has ended: well, or not, or it was given up.
    pub fn probed(&mut self, succeeded: bool, now: Moment) {
        match self.state {
            State::Open { probing: true, .. } if succeeded => self.state = State::Closed { failures: 0 },
            State::Open { probing: true, .. } => self.open(now),
            _ => {}
        }
    }

    fn open(&mut self, now: Moment) {
        let full = self.settings.cool_down.saturating_mul(1 << self.openings.min(20)).min(self.settings.max_cool_down);
        let cool_down = full.mul_f64(1.0 - 0.25 * self.random.f64());
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { since: now, cool_down, probing: false };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: BreakerSettings =
        BreakerSettings { failures: 3, cool_down: Duration::from_secs(1), max_cool_down: Duration::from_secs(30) };

    fn at(millis: u64) -> Moment {
        Moment { monotonic: Duration::from_millis(millis), wall: Duration::from_millis(1_000_000 + millis) }
    }

    fn opened(now: Moment) -> Breaker {
        let mut breaker = Breaker::new(SETTINGS, 7);
        assert!(breaker.trip(now));
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not_count_them() {
        let mut breaker = Breaker::new(SETTINGS, 7);
        for _ in 0..5 {
            assert!(!breaker.failure(at(0)) && !breaker.failure(at(0)));
            breaker.success();
        }
        assert!(!breaker.failure(at(0)) && !breaker.failure(at(0)));
        assert!(breaker.failure(at(0)), "the third");
        assert!(!breaker.is_closed());
        assert!(!breaker.failure(at(0)), "it is open already");
    }

    #[test]
    fn one_probe_at_a_time_after_the_cool_down_and_it_decides() {
        let mut breaker = opened(at(0));
        assert!(!breaker.claim_probe(at(749)), "the shortest cool-down is three quarters");
        assert!(breaker.claim_probe(at(1_000)));
        assert!(!breaker.claim_probe(at(90_000)), "one at a time");
        breaker.success();
        assert!(!breaker.is_closed(), "work that began before says nothing");
        breaker.probed(true, at(1_010));
        assert!(breaker.is_closed());
    }

    #[test]
    fn cool_downs_grow_to_their_longest_and_begin_anew_after_a_success() {
        let mut breaker = opened(at(0));
        let mut now = 0;
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(!breaker.claim_probe(at(now + seconds * 750 - 1)), "{seconds}");
            now += seconds * 1_000;
            assert!(breaker.claim_probe(at(now)), "{seconds}");
            breaker.probed(false, at(now));
        }
        assert!(breaker.claim_probe(at(now + 30_000)));
        breaker.probed(true, at(now + 30_000));
        breaker.success();
        breaker.trip(at(now + 40_000));
        assert!(breaker.claim_probe(at(now + 41_000)));
    }

    #[test]
    fn a_breaker_that_closes_and_opens_without_a_success_between_waits_longer() {
        let mut breaker = opened(at(0));
        assert!(breaker.claim_probe(at(1_000)));
        breaker.probed(true, at(1_000));
        breaker.trip(at(1_000));
        assert!(!breaker.claim_probe(at(2_400)));
        assert!(breaker.claim_probe(at(3_000)));
    }

    #[test]
    fn a_thawed_sandbox_probes_at_once_though_its_monotonic_clock_stood_still() {
        let mut breaker = opened(at(0));
        let thawed = Moment { wall: at(3_600_000).wall, ..at(1) };
        assert!(breaker.claim_probe(thawed));
    }

    #[test]
    fn a_wall_clock_that_goes_back_delays_nothing() {
        let mut breaker = opened(at(0));
        assert!(breaker.claim_probe(Moment { wall: Duration::ZERO, ..at(1_000) }));
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Success,
        Failure,
        Trip,
        Claim,
        Probed(bool),
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            Just(Step::Success),
            Just(Step::Failure),
            Just(Step::Trip),
            Just(Step::Claim),
            any::<bool>().prop_map(Step::Probed),
            (0..40_000_u64).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn it_opens_by_failures_alone_closes_by_probes_alone_and_is_never_stuck(steps in steps(), seed: u64) {
            let mut breaker = Breaker::new(SETTINGS, seed);
            let (mut now, mut in_a_row, mut probing) = (0, 0, false);
            for step in steps {
                let closed = breaker.is_closed();
                match step {
                    Step::Success => breaker.success(),
                    Step::Failure => { breaker.failure(at(now)); }
                    Step::Trip => { breaker.trip(at(now)); }
                    Step::Claim => {
                        let claimed = breaker.claim_probe(at(now));
                        prop_assert!(!(claimed && (closed || probing)));
                        probing |= claimed;
                    }
                    Step::Probed(well) => {
                        breaker.probed(well, at(now));
                        prop_assert_eq!(breaker.is_closed(), closed || (probing && well));
                        probing = false;
                    }
                    Step::Pass(millis) => now += millis,
                }
                if closed {
                    in_a_row = match step { Step::Failure => in_a_row + 1, Step::Success => 0, _ => in_a_row };
                    let opens = matches!(step, Step::Trip) || in_a_row == SETTINGS.failures;
                    prop_assert_eq!(breaker.is_closed(), !opens, "{:?}", step);
                } else if !matches!(step, Step::Probed(_)) {
                    prop_assert!(!breaker.is_closed(), "{:?}", step);
                }
                if !closed || !breaker.is_closed() {
                    in_a_row = 0;
                }
            }
            if !breaker.is_closed() {
                breaker.probed(false, at(now));
                prop_assert!(breaker.claim_probe(at(now + 30_000)), "no cool-down is longer than the longest");
            }
        }
    }
}
