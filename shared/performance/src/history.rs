//! The history of a span of time: points at equal distances, and the totals.

use std::collections::BTreeMap;

use millrace_domain::Timestamp;
use serde::Serialize;

use crate::{
    figures::Figures,
    minute::{KEPT_MINUTES, Minute},
    summary::Summary,
};

/// The most points of a series.
pub const MAX_POINTS: u64 = 360;
/// The span that is answered unless another one is requested, in minutes.
const DEFAULT_SPAN: u64 = 60;
/// About the number of points of a series unless a step is requested.
const DEFAULT_POINTS: u64 = 60;

/// Whose figures a history contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Those of all processes, kept in the shared cache.
    Redis,
    /// Those of all processes, kept in the embedded store.
    Store,
    /// Those of the process that answers: there is neither a shared cache nor an embedded store.
    Process,
}

/// The span that is requested, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    first: Minute,
    /// One after the last minute.
    end: Minute,
    step: u64,
}

/// What is not allowed in a request, with what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAllowed {
    /// `from`, `to` or `step`.
    pub field: &'static str,
    /// What is allowed.
    pub allowed: String,
}

impl Span {
    /// The span from the minute of `from` to the minute of `to`, both included, in steps of so many
    /// minutes. By default it is the hour until now, in steps that make about 60 points.
    ///
    /// # Errors
    /// [`NotAllowed`] for a span that is empty or not kept, and for a step with too many points.
    pub fn new(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        step: Option<u64>,
        now: Timestamp,
    ) -> Result<Self, NotAllowed> {
        let present = Minute::of(now);
        let oldest = present.minus(KEPT_MINUTES - 1);
        let not_allowed = |field, allowed| Err(NotAllowed { field, allowed });
        let last = to.map_or(present, Minute::of);
        if last < oldest || last > present {
            return not_allowed("to", format!("a time from {} to {now}", oldest.start()));
        }
        let first = from.map_or_else(|| last.minus(DEFAULT_SPAN - 1).max(oldest), Minute::of);
        if first < oldest || first > last {
            let latest = to.unwrap_or(now);
            return not_allowed("from", format!("a time from {} to {latest}", oldest.start()));
        }
        let minutes = last.0 - first.0 + 1;
        let smallest = minutes.div_ceil(MAX_POINTS);
        let step = step.unwrap_or_else(|| minutes.div_ceil(DEFAULT_POINTS));
        if step < smallest || step > KEPT_MINUTES {
            let points = format!("so that the series has at most {MAX_POINTS} points");
            return not_allowed(
                "step",
                format!("a whole number of minutes from {smallest} to {KEPT_MINUTES}, {points}"),
            );
        }
        Ok(Self { first, end: last.plus(1), step })
    }

    /// The minutes of the span.
    pub fn minutes(self) -> std::ops::Range<Minute> {
        self.first..self.end
    }
}

/// The history of a span.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Whose figures these are.
    pub source: Source,
    /// The start of the first minute.
    pub from: Timestamp,
    /// The end of the last minute, or now if that is earlier.
    pub to: Timestamp,
    /// The distance of the points, in minutes.
    pub step_minutes: u64,
    /// All points together.
    pub totals: Summary,
    /// The points, oldest first. Points without any invocation are contained too.
    pub series: Vec<Point>,
}

/// The figures of one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The start of the step.
    pub at: Timestamp,
    /// The figures.
    #[serde(flatten)]
    pub figures: Summary,
}

impl History {
    /// The history of a span from the figures of its minutes.
    pub fn new(source: Source, span: Span, minutes: &BTreeMap<Minute, Figures>, now: Timestamp) -> Self {
        let Span { first, end, step } = span;
        let to = end.start().min(now);
        let mut totals = Figures::default();
        let mut series = Vec::new();
        let mut start = first;
        while start < end {
            let next = start.plus(step).min(end);
            let mut figures = Figures::default();
            minutes.range(start..next).for_each(|(_, minute)| figures.merge(minute));
            totals.merge(&figures);
            let seconds = next.start().min(now).millis_since(start.start()).div_ceil(1000);
            series.push(Point { at: start.start(), figures: Summary::new(&figures, seconds) });
            start = next;
        }
        let from = first.start();
        let totals = Summary::new(&totals, to.millis_since(from).div_ceil(1000));
        Self { source, from, to, step_minutes: step, totals, series }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn now() -> Timestamp {
        at("2026-11-20T12:00:30Z")
    }

    fn span(from: &str, to: &str, step: Option<u64>) -> Result<Span, NotAllowed> {
        let time = |text: &str| (!text.is_empty()).then(|| at(text));
        Span::new(time(from), time(to), step, now())
    }

    #[test]
    fn by_default_the_last_hour_has_sixty_points() {
        let span = span("", "", None).unwrap();
        let history = History::new(Source::Process, span, &BTreeMap::new(), now());
        assert_eq!((history.series.len(), history.step_minutes), (60, 1));
        assert_eq!((history.from, history.to), (at("2026-11-20T11:01:00Z"), now()));
        assert_eq!(history.totals.invocations, 0);
    }

    #[test]
    fn a_whole_day_has_sixty_points_unless_a_step_is_requested() {
        let day = "2026-11-19T12:01:00Z";
        let points = |step| {
            let span = span(day, "", step).unwrap();
            History::new(Source::Process, span, &BTreeMap::new(), now()).series.len()
        };
        assert_eq!((points(None), points(Some(4)), points(Some(1440)), points(Some(7))), (60, 360, 1, 206));
    }

    #[test]
    fn what_is_not_allowed_is_named_with_what_is() {
        for (from, to, step, field, allowed) in [
            ("2026-11-19T12:00:59Z", "", None, "from", "from 2026-11-19T12:01:00.000Z to 2026-11-20T12:00:30.000Z"),
            ("2026-11-20T11:00:00Z", "2026-11-20T10:00:00Z", None, "from", "to 2026-11-20T10:00:00.000Z"),
            ("2026-11-20T12:01:00Z", "", None, "from", "to 2026-11-20T12:00:30.000Z"),
            ("", "2026-11-20T12:01:00Z", None, "to", "from 2026-11-19T12:01:00.000Z to 2026-11-20T12:00:30.000Z"),
            ("", "2026-11-19T12:00:00Z", None, "to", "from 2026-11-19T12:01:00.000Z"),
            ("2026-11-19T12:01:00Z", "", Some(3), "step", "from 4 to 1440, so that the series has at most 360 points"),
            ("", "", Some(0), "step", "from 1 to 1440"),
            ("", "", Some(1441), "step", "from 1 to 1440"),
        ] {
            let refused = span(from, to, step).unwrap_err();
            assert_eq!(refused.field, field, "{from} {to} {step:?}");
            assert!(refused.allowed.contains(allowed), "{}", refused.allowed);
        }
    }
}
