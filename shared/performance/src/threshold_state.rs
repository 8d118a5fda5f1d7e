//! States of thresholds: what they are by the history, and how they are stored.

use std::{collections::BTreeMap, fmt};

use millrace_domain::Timestamp;
use millrace_telemetry::{
    Limits, Metric,
    thresholds::{Audience, Comparison, Measure, Threshold},
};
use serde::Serialize;

use crate::{figures::Figures, metric_values::measured, minute::Minute, port::Recorded};

/// Whether a threshold is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is not.
    Ok,
    /// The limit is passed in enough of the last periods.
    Passed,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Passed => "passed",
        }
    }
}

/// A threshold with its limit and its state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdState {
    /// Names it.
    pub id: &'static str,
    /// Whether it is passed.
    pub state: State,
    /// Since when; null if it has not changed while it was observed.
    pub since: Option<Timestamp>,
    /// The value of the last period; null if there is none.
    pub value: Option<f64>,
    /// What the value is compared with.
    pub limit: f64,
    /// On which side of the limit a value passes it.
    pub comparison: Comparison,
    /// The metric that is compared, or the part of a percentage.
    pub metric: Metric,
    /// The length of a period in seconds.
    pub period_seconds: u32,
    /// The number of latest periods that are looked at.
    pub periods: u32,
    /// In how many of them the limit must be passed.
    pub datapoints: u32,
    /// What it means that it is passed.
    pub meaning: &'static str,
    /// The section of the runbook.
    pub runbook: &'static str,
}

/// The thresholds that the history observes: all but those that only concern a deployment.
pub fn observed(limits: &Limits) -> impl Iterator<Item = (&'static Threshold, f64)> {
    limits.iter().filter(|(threshold, _)| threshold.audience != Audience::Deployment)
}

/// The ids of the thresholds that the history observes.
pub fn observed_ids(limits: &Limits) -> Vec<&'static str> {
    observed(limits).map(|(threshold, _)| threshold.id).collect()
}

/// The minutes that decide about all states at a time: whole ones before it.
pub fn deciding_minutes(limits: &Limits, now: Timestamp) -> std::ops::Range<Minute> {
    let present = Minute::of(now);
    let longest = observed(limits).map(|(threshold, _)| minutes_of(threshold) * u64::from(threshold.periods)).max();
    present.minus(longest.unwrap_or_default())..present
}

/// The states of all observed thresholds by what is recorded of the [`deciding_minutes`].
pub fn states(limits: &Limits, recorded: &Recorded, now: Timestamp) -> Vec<ThresholdState> {
    let of = |(threshold, limit): (&'static Threshold, f64)| {
        let (state, value) = decide(threshold, limit, &recorded.figures, Minute::of(now));
        let stored = recorded.states.get(threshold.id).and_then(|text| StoredState::parse(text));
        ThresholdState {
            id: threshold.id,
            state,
            since: stored.filter(|stored| stored.state == state).map(|stored| stored.since),
            value: value.map(|value| (value * 1000.0).round() / 1000.0),
            limit,
            comparison: threshold.comparison,
            metric: match threshold.measure {
                Measure::Value { metric } => metric,
                Measure::Percentage { part, .. } => part,
            },
            period_seconds: threshold.period_seconds,
            periods: threshold.periods,
            datapoints: threshold.datapoints,
            meaning: threshold.meaning,
            runbook: threshold.runbook,
        }
    };
    observed(limits).map(of).collect()
}

fn minutes_of(threshold: &Threshold) -> u64 {
    u64::from(threshold.period_seconds.div_ceil(60)).max(1)
}

/// The state, and the value of the last period, at the beginning of the minute `present`.
fn decide(
    threshold: &Threshold,
    limit: f64,
    figures: &BTreeMap<Minute, Figures>,
    present: Minute,
) -> (State, Option<f64>) {
    let length = minutes_of(threshold);
    let value = |period: u64| {
        let end = present.minus(period * length);
        let mut merged = Figures::default();
        figures.range(end.minus(length)..end).for_each(|(_, minute)| merged.merge(minute));
        measured(threshold, &merged)
    };
    let values: Vec<_> = (0..u64::from(threshold.periods)).map(value).collect();
    let passed = values.iter().flatten().filter(|value| threshold.is_passed(**value, limit)).count();
    let state = if passed >= threshold.datapoints as usize { State::Passed } else { State::Ok };
    (state, values.first().copied().flatten())
}

/// The state of a threshold as it is stored. Without one, the threshold has never been passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredState {
    /// The number of the change that led to it, from 1.
    pub number: u64,
    /// The state.
    pub state: State,
    /// When it changed.
    pub since: Timestamp,
    /// Whether the change is published.
    pub publication: Publication,
}

/// Whether a change is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publication {
    /// It is published.
    Done,
    /// A process has undertaken at this time to publish it. It may have ended before.
    Claimed(Timestamp),
    /// Publishing it failed: the next run tries again.
    Failed,
}

impl StoredState {
    /// Reads what [`fmt::Display`] has written; none for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let number = words.next()?.parse().ok()?;
        let state = match words.next()? {
            "ok" => State::Ok,
            "passed" => State::Passed,
            _ => return None,
        };
        let since = Timestamp::from_millis(words.next()?.parse().ok()?);
        let publication = match words.next()? {
            "published" => Publication::Done,
            "failed" => Publication::Failed,
            claimed_at => Publication::Claimed(Timestamp::from_millis(claimed_at.parse().ok()?)),
        };
        words.next().is_none().then_some(Self { number, state, since, publication })
    }
}

impl fmt::Display for StoredState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.number, self.state.name(), self.since.as_millis())?;
        match self.publication {
            Publication::Done => f.write_str("published"),
            Publication::Failed => f.write_str("failed"),
            Publication::Claimed(at) => write!(f, "{}", at.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_telemetry::THRESHOLDS;

    use super::*;
    use crate::figures::{Counter, Kind, Measurement};

    const PRESENT: Minute = Minute(1_000_000);

    fn recorded(minutes: &[(u64, Figures)]) -> Recorded {
        let figures = minutes.iter().map(|(ago, figures)| (PRESENT.minus(*ago), figures.clone())).collect();
        Recorded { figures, states: BTreeMap::new() }
    }

    fn counted(counters: &[(Counter, u64)]) -> Figures {
        let mut figures = Figures::default();
        counters.iter().for_each(|(counter, amount)| figures.add(*counter, *amount));
        figures
    }

    fn late(millis: u64) -> Figures {
        let mut figures = Figures::default();
        figures.measure(Measurement::LatenessMs, millis);
        figures
    }

    fn state(id: &str, recorded: &Recorded) -> (State, Option<f64>) {
        let states = states(&Limits::default(), recorded, PRESENT.start());
        let found = states.iter().find(|state| state.id == id).unwrap();
        (found.state, found.value)
    }

    #[test]
    fn every_observed_threshold_has_a_value() {
        let mut busy = late(5);
        for slot in 0..crate::figures::COUNTERS {
            busy.add_to_slot(slot, 1_000);
        }
        busy.measure(Kind::Commands.times(), 5);
        busy.measure(Measurement::MemoryShare, 5);
        for threshold in THRESHOLDS {
            assert!(measured(&threshold, &busy).is_some(), "{}", threshold.id);
        }
        let day = deciding_minutes(&Limits::default(), PRESENT.start());
        assert_eq!(day, PRESENT.minus(15)..PRESENT, "three periods of five minutes");
    }

    #[test]
    fn a_threshold_is_passed_after_enough_periods() {
        let minutes: Vec<_> = [130_000, 130_000, 119_000, 130_000].into_iter().zip(0..).collect();
        let until = |newest: usize| {
            let minutes = minutes[newest..].iter().map(|(millis, ago)| (1 + ago - newest as u64, late(*millis)));
            state("lateness", &recorded(&minutes.collect::<Vec<_>>())).0
        };
        assert_eq!((until(3), until(2), until(1), until(0)), (State::Ok, State::Ok, State::Ok, State::Ok));
        let three: Vec<_> = (1..=3).map(|ago| (ago, late(130_000))).collect();
        let (passed, value) = state("lateness", &recorded(&three));
        assert_eq!(passed, State::Passed);
        assert!((value.unwrap() - 130_000.0).abs() < 2_600.0, "{value:?}");
    }

    #[test]
    fn the_present_minute_decides_nothing() {
        let malformed = |ago| recorded(&[(ago, counted(&[(Counter::Malformed, 11)]))]);
        assert_eq!(state("malformed", &malformed(0)), (State::Ok, Some(0.0)));
        assert_eq!(state("malformed", &malformed(1)), (State::Passed, Some(11.0)));
        assert_eq!(state("malformed", &malformed(5)), (State::Passed, Some(11.0)));
        assert_eq!(state("malformed", &malformed(6)), (State::Ok, Some(0.0)));
    }

    #[test]
    fn a_percentage_needs_its_minimum() {
        let hits = |lookups: u64, hits: u64| {
            let figures = counted(&[(Counter::Lookups, lookups), (Counter::LocalHits, hits)]);
            state("cache-hit-rate", &recorded(&[(1, figures.clone()), (6, figures.clone()), (11, figures)]))
        };
        assert_eq!(hits(100, 79), (State::Passed, Some(79.0)));
        assert_eq!(hits(100, 80), (State::Ok, Some(80.0)));
        assert_eq!(hits(99, 0), (State::Ok, None));
    }

    #[test]
    fn a_stored_state_is_read_as_it_was_written() {
        for text in ["1 passed 1000 1001", "2 ok 5 published", "3 ok 5 failed"] {
            assert_eq!(StoredState::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "1 passed 1000", "x ok 5 published", "1 on 5 published", "1 ok 5 sent", "1 ok 5 published 6"] {
            assert_eq!(StoredState::parse(text), None, "{text}");
        }
    }
}
