//! A load of many players. Each player sends the same 20 commands, one in each wave. The messages
//! of a wave are shuffled and sent in batches to random processes. All measurements are read from
//! the answers.

use std::time::{Duration, Instant};

use fastrand::Rng;
use futures::future::join_all;
use millrace_domain::{PlayerId, Queue, Timestamp};
use millrace_load::{books, command};
use serde_json::Value;

use crate::{
    Function,
    answers::{counts, failures},
    sqs::{self, Message},
};

pub use millrace_load::COMMANDS;

/// How many players there are and how their commands are sent.
#[derive(Debug, Clone)]
pub struct Load {
    /// The number of players.
    pub players: usize,
    /// The number of messages in a batch.
    pub batch: usize,
    /// The seed of the random order.
    pub seed: u64,
}

/// The measurements of a load.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Commands applied.
    pub applied: u64,
    /// The time from the first batch to the last answer.
    pub elapsed: Duration,
    /// The `processingTimeMs` of each invocation.
    pub processing_ms: Vec<f64>,
    /// The duration of the load step in milliseconds, of each invocation that found all its queues
    /// in a cache and read nothing from the table.
    pub cached_read_ms: Vec<f64>,
    /// Cache lookups.
    pub lookups: u64,
    /// Cache hits.
    pub hits: u64,
    /// Hits in the local cache.
    pub local_hits: u64,
    /// Version conflicts.
    pub conflicts: u64,
    /// Round trips that load queues and progress.
    pub load_calls: u64,
    /// Round trips that commit queues.
    pub commit_calls: u64,
    /// Round trips that write records.
    pub write_calls: u64,
    /// Records written.
    pub items: u64,
}

/// The id of the player `at`.
pub fn player(at: usize) -> PlayerId {
    PlayerId::new(&format!("load-{at:04}")).expect("an allowed player id")
}

/// Asserts that a player's queue is the result of its 20 commands, each applied once.
///
/// # Panics
/// If it is not.
pub fn assert_all_applied(at: usize, queue: &Queue) {
    let expected = books(at);
    for (name, amount) in &expected.balances {
        assert_eq!(queue.balances.get(name), *amount, "{name} of {}", queue.player_id);
    }
    assert_eq!(queue.totals.completed, expected.completed, "completed tasks of {}", queue.player_id);
    assert!(queue.tasks.is_empty(), "{} has unfinished tasks", queue.player_id);
}

impl Load {
    /// The messages of one wave, one for each player, in random order.
    fn wave(&self, wave: usize, start: Timestamp, rng: &mut Rng) -> Vec<Message> {
        let mut messages: Vec<Message> = (0..self.players)
            .map(|at| {
                Message::new((wave * self.players + at) as u64, command(player(at).as_str(), at, wave))
                    .group(player(at).as_str())
                    .sent_at(start + 1_000 * wave as u64)
            })
            .collect();
        rng.shuffle(&mut messages);
        messages
    }

    /// Sends all waves, one after the other. Within a wave, the functions run in parallel. Messages
    /// that are handed back are sent again.
    ///
    /// # Panics
    /// If a function fails or a command is refused.
    pub async fn run(&self, functions: &[Function], start: Timestamp) -> LoadReport {
        let mut rng = Rng::with_seed(self.seed);
        let mut report = LoadReport::default();
        let began = Instant::now();
        for wave in 0..COMMANDS {
            let messages = self.wave(wave, start, &mut rng);
            let mut shares: Vec<Vec<&[Message]>> = vec![Vec::new(); functions.len()];
            for batch in messages.chunks(self.batch) {
                shares[rng.usize(0..functions.len())].push(batch);
            }
            let answers = shares.into_iter().zip(functions).map(|(batches, function)| async move {
                let mut answers = Vec::new();
                for batch in batches {
                    answers.extend(send(function, batch).await);
                }
                answers
            });
            for answer in join_all(answers).await.into_iter().flatten() {
                report.add(&answer);
            }
        }
        report.elapsed = began.elapsed();
        report
    }
}

/// Sends a batch of the progress queue until nothing is handed back. Returns all answers.
///
/// # Panics
/// If the function fails, a command is refused, or the same messages are handed back five times.
pub async fn send(function: &Function, batch: &[Message]) -> Vec<Value> {
    let mut answers = Vec::new();
    let mut left: Vec<Message> = batch.to_vec();
    while !left.is_empty() {
        assert!(answers.len() < 5, "the same messages failed five times: {}", answers[answers.len() - 1]);
        let answer = function.answer(&sqs::standard(&left)).await;
        let again: Vec<String> = failures(&answer).into_iter().map(str::to_owned).collect();
        let counts = counts(&answer);
        assert_eq!((counts.rejected, counts.malformed), (0, 0), "{answer:#}");
        left.retain(|message| again.contains(&message.id()));
        answers.push(answer);
    }
    answers
}

impl LoadReport {
    fn add(&mut self, answer: &Value) {
        let report = &answer["report"];
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("a number is missing in {answer:#}"));
        let cache = &report["cache"];
        self.applied += counts(answer).applied;
        self.processing_ms.push(report["processingTimeMs"].as_f64().expect("a time"));
        // After a conflict, the same step reads the table.
        if number(&cache["misses"]) + number(&report["loads"]["calls"]) == 0 {
            self.cached_read_ms.push(report["stepsMs"]["load"].as_f64().expect("a time"));
        }
        self.lookups += number(&cache["lookups"]);
        self.hits += number(&cache["hits"]);
        self.local_hits += number(&cache["local"]["hits"]);
        self.conflicts += number(&report["commits"]["conflicts"]);
        self.load_calls += number(&report["loads"]["calls"]);
        self.commit_calls += number(&report["commits"]["calls"]);
        self.write_calls += number(&report["writes"]["calls"]);
        self.items += number(&report["writes"]["items"]);
    }

    /// Hits divided by lookups, from 0 to 1.
    pub fn hit_rate(&self) -> f64 {
        self.hits as f64 / self.lookups.max(1) as f64
    }

    /// The measurements as a table in Markdown.
    pub fn table(&self) -> String {
        let [p50, p95, p99] = percentiles(&self.processing_ms);
        let [read_p50, read_p95, read_p99] = percentiles(&self.cached_read_ms);
        let seconds = self.elapsed.as_secs_f64();
        // Without caches and batches, each command takes a load, a commit and a record.
        let unbatched_calls = 3 * self.applied;
        let calls = self.load_calls + self.commit_calls + self.write_calls;
        let saved = 100.0 * (1.0 - calls as f64 / unbatched_calls.max(1) as f64);
        [
            "| measurement | |".to_owned(),
            "|---|---|".to_owned(),
            format!(
                "| commands applied | {} in {seconds:.1} s, {:.0} a second |",
                self.applied,
                self.applied as f64 / seconds
            ),
            format!("| processing time of a batch, p50 / p95 / p99 | {p50:.1} / {p95:.1} / {p99:.1} ms |"),
            format!("| cached read of a batch, p50 / p95 / p99 | {read_p50:.2} / {read_p95:.2} / {read_p99:.2} ms |"),
            format!(
                "| cache hit rate | {:.1} % of {} lookups ({} of the hits are local) |",
                100.0 * self.hit_rate(),
                self.lookups,
                self.local_hits
            ),
            format!("| version conflicts | {} |", self.conflicts),
            format!(
                "| DynamoDB round trips | {calls}: {} loads, {} commits, {} writes of {} records |",
                self.load_calls, self.commit_calls, self.write_calls, self.items
            ),
            format!("| round trips saved, against three for each command | {saved:.1} % |"),
        ]
        .join("\n")
    }
}

/// The 50th, 95th and 99th percentiles, by nearest rank. All are 0 if there are no values.
pub fn percentiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [50, 95, 99].map(|percent| {
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_use_the_nearest_rank() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentiles(&values), [100.0, 190.0, 198.0]);
        assert_eq!(percentiles(&[7.0]), [7.0; 3]);
        assert_eq!(percentiles(&[]), [0.0; 3]);
    }
}
