//! Prints an answer of `process-tasks`, and checks that it is as expected.

use serde::Deserialize;
use serde_json::Value;

use crate::text::{Style, count, table};

/// The most characters of an explanation that are shown.
const MAX_DETAIL: usize = 110;

/// The counts of the commands of one event, by their outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub received: u64,
    pub applied: u64,
    pub duplicate: u64,
    pub rejected: u64,
    pub failed: u64,
    pub malformed: u64,
}

/// An answer of `process-tasks`.
#[derive(Debug)]
pub struct Answer(Value);

impl Answer {
    /// An answer as received.
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    fn number(&self, path: &str) -> u64 {
        self.0.pointer(&format!("/report/{path}")).and_then(Value::as_u64).unwrap_or_default()
    }

    fn text(&self, path: &str) -> &str {
        self.0.pointer(&format!("/report/{path}")).and_then(Value::as_str).unwrap_or_default()
    }

    /// The counts of the commands, by their outcome.
    pub fn counts(&self) -> Counts {
        Counts::deserialize(&self.0["report"]["commands"]).unwrap_or_default()
    }

    /// The problems of the answer that do not depend on the event.
    pub fn problems(&self) -> Vec<String> {
        let commands = &self.0["report"]["commands"];
        let Ok(counts) = Counts::deserialize(commands) else {
            return vec![format!("the answer has no report: {}", self.0)];
        };
        let mut problems = Vec::new();
        if counts.failed > 0 {
            problems.push(format!("{} failed", count(counts.failed, "command")));
        }
        let sum = counts.applied + counts.duplicate + counts.rejected + counts.failed + counts.malformed;
        if sum != counts.received {
            problems.push(format!("the counts do not add up: {commands}"));
        }
        match self.0["batchItemFailures"].as_array() {
            Some(failures) if failures.is_empty() => {}
            Some(failures) => problems.push(format!("{} handed back", count(failures.len() as u64, "message"))),
            None => problems.push("the answer has no batchItemFailures".to_owned()),
        }
        problems
    }

    /// The problems of the answer to an event that was delivered before, with the counts `first`.
    pub fn problems_of_redelivery(&self, first: Counts) -> Vec<String> {
        let mut problems = self.problems();
        let expected = Counts {
            duplicate: first.applied + first.duplicate + first.rejected,
            applied: 0,
            rejected: 0,
            failed: 0,
            ..first
        };
        let counts = self.counts();
        if counts != expected {
            problems.push(format!("expected {}, got {}", sentence(expected), sentence(counts)));
        }
        problems
    }

    /// The counts in one line.
    pub fn summary(&self) -> String {
        sentence(self.counts())
    }

    /// The answer as lines of text.
    pub fn lines(&self, style: Style) -> Vec<String> {
        let counts = self.counts();
        let mut lines = vec![format!("  {}", style.good(&sentence(counts)))];
        let cell = |result: &Value, name: &str| result[name].as_str().unwrap_or("-").to_owned();
        let rows: Vec<[String; 5]> = self
            .results()
            .filter(|result| result["status"] != "applied")
            .map(|result| {
                let detail = millrace_domain::ids::clip(result["detail"].as_str().unwrap_or_default(), MAX_DETAIL);
                [
                    cell(result, "status"),
                    cell(result, "reason"),
                    cell(result, "playerId"),
                    cell(result, "commandId"),
                    detail,
                ]
            })
            .collect();
        lines.extend(table(4, &rows).into_iter().map(|line| style.notable(&line)));
        lines.extend(self.figures().into_iter().map(|line| style.faint(&line)));
        lines
    }

    fn results(&self) -> impl Iterator<Item = &Value> {
        self.0["results"].as_array().into_iter().flatten()
    }

    /// The figures of the invocation report.
    fn figures(&self) -> Vec<String> {
        let time = self.0.pointer("/report/processingTimeMs").and_then(Value::as_f64).unwrap_or_default();
        let cold = self.0.pointer("/report/coldStart").and_then(Value::as_bool) == Some(true);
        let rate = match self.0.pointer("/report/cache/hitRate").and_then(Value::as_f64) {
            Some(rate) => format!("{:.0} % hits", rate * 100.0),
            None => "nothing looked up".to_owned(),
        };
        let redis = match self.text("cache/redis/state") {
            "up" => format!("redis {}", self.number("cache/redis/hits")),
            state => format!("redis {state}"),
        };
        let rows = [
            ("time", format!("{time:.2} ms{}", if cold { ", cold start" } else { "" })),
            ("players", self.number("players").to_string()),
            (
                "cache",
                format!(
                    "{rate}: {} of {} (local {}, {redis})",
                    self.number("cache/hits"),
                    count(self.number("cache/lookups"), "lookup"),
                    self.number("cache/local/hits"),
                ),
            ),
            (
                "commits",
                format!(
                    "{} in {}, {}",
                    count(self.number("commits/committed"), "queue"),
                    count(self.number("commits/calls"), "call"),
                    count(self.number("commits/conflicts"), "conflict"),
                ),
            ),
            (
                "writes",
                format!(
                    "{} in {}, {} saved",
                    count(self.number("writes/items"), "row"),
                    count(self.number("writes/calls"), "call"),
                    count(self.number("writes/roundTripsSaved"), "round trip"),
                ),
            ),
            (
                "events",
                format!(
                    "{} published, {} to buses and queues",
                    self.number("events/published"),
                    count(self.number("events/calls"), "call"),
                ),
            ),
            (
                "memory",
                format!(
                    "{:.1} MB resident, {} of {} bytes in the local cache",
                    self.number("memory/residentBytes") as f64 / 1e6,
                    count(self.number("memory/localCacheEntries"), "entry"),
                    self.number("memory/localCacheBytes"),
                ),
            ),
        ];
        table(4, &rows.map(|(name, value)| [name.to_owned(), value]))
    }
}

/// `9 commands: 8 applied, 1 rejected`.
fn sentence(counts: Counts) -> String {
    if counts.received == 0 {
        return "no commands".to_owned();
    }
    let parts: Vec<String> = [
        (counts.applied, "applied"),
        (counts.duplicate, "duplicate"),
        (counts.rejected, "rejected"),
        (counts.malformed, "malformed"),
        (counts.failed, "failed"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    format!("{}: {}", count(counts.received, "command"), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(commands: Value, failures: Value) -> Answer {
        Answer::new(json!({"batchItemFailures": failures, "results": [], "report": {"commands": commands}}))
    }

    #[test]
    fn a_good_answer_has_no_problems() {
        let good = answer(json!({"received": 9, "applied": 7, "rejected": 1, "malformed": 1}), json!([]));
        assert!(good.problems().is_empty());
        assert_eq!(good.summary(), "9 commands: 7 applied, 1 rejected, 1 malformed");
    }

    #[test]
    fn failures_and_wrong_sums_are_problems() {
        for bad in [
            answer(json!({"received": 1, "failed": 1}), json!([])),
            answer(json!({"received": 2, "applied": 1}), json!([])),
            answer(json!({"received": 1, "applied": 1}), json!([{"itemIdentifier": "m"}])),
            answer(json!({"received": 1, "applied": 1}), Value::Null),
            Answer::new(json!({"errorType": "x"})),
        ] {
            assert_eq!(bad.problems().len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn a_redelivery_has_duplicates_and_the_same_malformed_commands() {
        let first = Counts { received: 4, applied: 2, rejected: 1, malformed: 1, ..Counts::default() };
        let good = answer(json!({"received": 4, "duplicate": 3, "malformed": 1}), json!([]));
        assert!(good.problems_of_redelivery(first).is_empty());
        let bad = answer(json!({"received": 4, "applied": 1, "duplicate": 2, "malformed": 1}), json!([]));
        assert_eq!(bad.problems_of_redelivery(first).len(), 1);
    }
}
