//! A circuit breaker: stops calls to a server after repeated failures.
//!
//! While it is closed, calls are made. After a number of failures in a row it opens, and no calls
//! are made. After the cool-down one probe runs in the background. If it succeeds, the breaker
//! closes; otherwise the next cool-down is twice as long. While the server answers and refuses
//! writes, cool-downs stay short. The caller passes the time and runs the probes.

use std::time::Duration;

/// The longest cool-down while the server refuses writes. Other processes may read copies that are
/// stale from the moment at which it accepts writes again, until this process removes them.
const MAX_COOL_DOWN_AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// When a circuit breaker opens and how long it stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// The number of failures in a row that opens it, at least 1.
    pub failures: u32,
    /// The first cool-down. Each is shortened at random by up to a quarter, so that not all
    /// processes probe at the same moment.
    pub cool_down: Duration,
    /// The longest cool-down. While the server refuses writes, it is at most one second.
    pub max_cool_down: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 3, cool_down: Duration::from_secs(1), max_cool_down: Duration::from_secs(30) }
    }
}

/// A moment on two clocks, each as the time since a fixed moment.
///
/// The monotonic clock of a frozen sandbox stands still, and the wall clock may be set. The time
/// between two moments is the longer one of both clocks. So a cool-down is over at once after a
/// thaw. A clock that is set ahead only leads to an early probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// The time on the monotonic clock.
    pub monotonic: Duration,
    /// The time on the wall clock.
    pub wall: Duration,
}

impl Moment {
    /// The time since an earlier moment.
    pub fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        monotonic.max(self.wall.saturating_sub(earlier.wall))
    }
}

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The server did not answer, or it cannot serve.
    NotServed,
    /// The server refuses writes. That does not pass by a retry, and its values may be stale.
    RefusesWrites,
}

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// How often it opened since the last successful call.
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

    /// Whether calls may be made.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Counts a successful call. While the breaker is open it is ignored: the call began before
    /// that, and the probe decides.
    pub fn success(&mut self) {
        if let State::Closed { failures } = &mut self.state {
            *failures = 0;
            self.openings = 0;
        }
    }

    /// Counts a failed call. A call whose writes are refused opens the breaker at once. Returns
    /// whether the call opened it.
    pub fn failure(&mut self, kind: FailureKind, now: Moment) -> bool {
        match &mut self.state {
            State::Closed { failures } if kind == FailureKind::NotServed && *failures + 1 < self.settings.failures => {
                *failures += 1;
                false
            }
            State::Closed { .. } => {
                self.open(kind, now);
                true
            }
            State::Open { .. } => false,
        }
    }

    /// The time until a probe is due, 0 while one runs; none while the breaker is closed.
    pub fn time_to_probe(&self, now: Moment) -> Option<Duration> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { since, cool_down, .. } => Some(cool_down.saturating_sub(now.since(since))),
        }
    }

    /// Whether the caller must run a probe now, and report its result to [`Breaker::probed`].
    pub fn claim_probe(&mut self, now: Moment) -> bool {
        match &mut self.state {
            State::Open { since, cool_down, probing } if !*probing && now.since(*since) >= *cool_down => {
                *probing = true;
                true
            }
            _ => false,
        }
    }

    /// Takes the result of a probe; a probe that was aborted is not served.
    pub fn probed(&mut self, result: Result<(), FailureKind>, now: Moment) {
        if matches!(self.state, State::Open { probing: true, .. }) {
            match result {
                Ok(()) => self.state = State::Closed { failures: 0 },
                Err(kind) => self.open(kind, now),
            }
        }
    }

    fn open(&mut self, kind: FailureKind, now: Moment) {
        let full = match kind {
            FailureKind::RefusesWrites => self.settings.cool_down.min(MAX_COOL_DOWN_AFTER_REFUSAL),
            FailureKind::NotServed => {
                let doubled = self.settings.cool_down.saturating_mul(1 << self.openings.min(20));
                self.openings = self.openings.saturating_add(1);
                doubled.min(self.settings.max_cool_down)
            }
        };
        let cool_down = full.mul_f64(1.0 - 0.25 * self.random.f64());
        self.state = State::Open { since: now, cool_down, probing: false };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FailureKind::*, *};

    const SETTINGS: BreakerSettings =
        BreakerSettings { failures: 3, cool_down: Duration::from_secs(1), max_cool_down: Duration::from_secs(30) };

    fn at(millis: u64) -> Moment {
        Moment { monotonic: Duration::from_millis(millis), wall: Duration::from_millis(1_000_000 + millis) }
    }

    fn opened(now: Moment) -> Breaker {
        let mut breaker = Breaker::new(SETTINGS, 7);
        open(&mut breaker, now);
        breaker
    }

    fn open(breaker: &mut Breaker, now: Moment) {
        assert!(!breaker.failure(NotServed, now) && !breaker.failure(NotServed, now));
        assert!(breaker.failure(NotServed, now), "the third");
    }

    #[test]
    fn failures_in_a_row_open_the_breaker_and_a_success_resets_the_count() {
        let mut breaker = Breaker::new(SETTINGS, 7);
        for _ in 0..5 {
            assert!(!breaker.failure(NotServed, at(0)) && !breaker.failure(NotServed, at(0)));
            breaker.success();
        }
        open(&mut breaker, at(0));
        assert!(!breaker.is_closed());
        assert!(!breaker.failure(NotServed, at(0)), "it is already open");
    }

    #[test]
    fn after_the_cool_down_one_probe_at_a_time_decides() {
        let mut breaker = opened(at(0));
        assert!(!breaker.claim_probe(at(749)), "the shortest cool-down is three quarters");
        assert!(breaker.claim_probe(at(1_000)));
        assert!(!breaker.claim_probe(at(90_000)), "one at a time");
        breaker.success();
        assert!(!breaker.is_closed(), "a call that began before is ignored");
        breaker.probed(Ok(()), at(1_010));
        assert!(breaker.is_closed());
    }

    #[test]
    fn cool_downs_double_up_to_the_maximum_and_restart_after_a_success() {
        let mut breaker = opened(at(0));
        let mut now = 0;
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(!breaker.claim_probe(at(now + seconds * 750 - 1)), "{seconds}");
            now += seconds * 1_000;
            assert!(breaker.claim_probe(at(now)), "{seconds}");
            breaker.probed(Err(NotServed), at(now));
        }
        assert!(breaker.claim_probe(at(now + 30_000)));
        breaker.probed(Ok(()), at(now + 30_000));
        breaker.success();
        open(&mut breaker, at(now + 40_000));
        assert!(breaker.claim_probe(at(now + 41_000)));
    }

    #[test]
    fn a_breaker_that_reopens_without_a_success_waits_longer() {
        let mut breaker = opened(at(0));
        assert!(breaker.claim_probe(at(1_000)));
        breaker.probed(Ok(()), at(1_000));
        open(&mut breaker, at(1_000));
        assert!(!breaker.claim_probe(at(2_400)));
        assert!(breaker.claim_probe(at(3_000)));
    }

    #[test]
    fn refused_writes_open_the_breaker_at_once_and_are_probed_every_second() {
        for cool_down in [1, 60] {
            let cool_down = Duration::from_secs(cool_down);
            let mut breaker = Breaker::new(BreakerSettings { cool_down, ..SETTINGS }, 7);
            assert!(breaker.failure(RefusesWrites, at(0)));
            for second in 1..20 {
                assert!(breaker.time_to_probe(at(second * 1_000)) == Some(Duration::ZERO));
                assert!(breaker.claim_probe(at(second * 1_000)));
                breaker.probed(Err(RefusesWrites), at(second * 1_000));
                assert!(breaker.time_to_probe(at(second * 1_000)) >= Some(Duration::from_millis(750)));
            }
        }
    }

    #[test]
    fn a_thawed_sandbox_probes_at_once() {
        let mut breaker = opened(at(0));
        let thawed = Moment { wall: at(3_600_000).wall, ..at(1) };
        assert!(breaker.claim_probe(thawed));
    }

    #[test]
    fn a_wall_clock_that_goes_back_delays_no_probe() {
        let mut breaker = opened(at(0));
        assert!(breaker.claim_probe(Moment { wall: Duration::ZERO, ..at(1_000) }));
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Success,
        Failure(FailureKind),
        Claim,
        Probed(Result<(), FailureKind>),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let kind = prop_oneof![Just(NotServed), Just(RefusesWrites)];
        let step = prop_oneof![
            Just(Step::Success),
            kind.clone().prop_map(Step::Failure),
            Just(Step::Claim),
            proptest::result::maybe_ok(Just(()), kind).prop_map(Step::Probed),
            (0..40_000_u64).prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn failures_open_the_breaker_and_probes_close_it(steps in steps(), seed: u64) {
            let mut breaker = Breaker::new(SETTINGS, seed);
            let (mut now, mut in_a_row, mut probing) = (0, 0, false);
            for step in steps {
                let closed = breaker.is_closed();
                match step {
                    Step::Success => breaker.success(),
                    Step::Failure(kind) => { breaker.failure(kind, at(now)); }
                    Step::Claim => {
                        let claimed = breaker.claim_probe(at(now));
                        prop_assert!(!(claimed && (closed || probing)));
                        probing |= claimed;
                    }
                    Step::Probed(result) => {
                        breaker.probed(result, at(now));
                        prop_assert_eq!(breaker.is_closed(), closed || (probing && result.is_ok()));
                        probing = false;
                    }
                    Step::Wait(millis) => now += millis,
                }
                if closed {
                    in_a_row = match step { Step::Failure(_) => in_a_row + 1, Step::Success => 0, _ => in_a_row };
                    let opens = matches!(step, Step::Failure(RefusesWrites)) || in_a_row == SETTINGS.failures;
                    prop_assert_eq!(breaker.is_closed(), !opens, "{:?}", step);
                } else if !matches!(step, Step::Probed(_)) {
                    prop_assert!(!breaker.is_closed(), "{:?}", step);
                }
                if !closed || !breaker.is_closed() {
                    in_a_row = 0;
                }
            }
            if !breaker.is_closed() {
                breaker.probed(Err(NotServed), at(now));
                prop_assert!(breaker.claim_probe(at(now + 30_000)), "no cool-down exceeds the maximum");
            }
        }
    }
}
