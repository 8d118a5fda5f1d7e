//! Leaves a collector alone that does not answer.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The first pause after a failure. It doubles with each further one.
const FIRST: Duration = Duration::from_secs(30);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(300);

/// The pause after failures.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    failures: u32,
}

impl Pause {
    /// Whether nothing should be sent at `now`.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).until.is_some_and(|until| now < until)
    }

    /// Ends the pause. Returns whether something had failed before.
    pub(super) fn succeeded(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *state).failures > 0
    }

    /// Begins a pause. Returns its length.
    pub(super) fn failed(&self, now: Instant) -> Duration {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = FIRST.saturating_mul(1 << state.failures.min(10)).min(LONGEST);
        state.failures += 1;
        state.until = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes_and_end_with_a_success() {
        let (pause, mut now) = (Pause::default(), Instant::now());
        assert!(!pause.is_on(now));
        for seconds in [30, 60, 120, 240, 300, 300] {
            assert_eq!(pause.failed(now).as_secs(), seconds);
            now += Duration::from_secs(seconds - 1);
            assert!(pause.is_on(now));
            now += Duration::from_secs(1);
            assert!(!pause.is_on(now));
        }
        assert!(pause.succeeded());
        assert!(!pause.succeeded());
        assert_eq!(pause.failed(now).as_secs(), 30);
    }
}
