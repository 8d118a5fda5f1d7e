//! Advancing by ticks through SQS: `advance-queues` sends them, `process-tasks` gets them at their second.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use millrace_domain::Timestamp;
use millrace_tests::{
    Function,
    backends::BackEnds,
    due::{MovedClock, assert_completed_once, plant},
    sqs::{self, Message},
};

use crate::{SentTick, TicksQueue, begin, figure, is_done, run, started};

const PLAYERS: usize = 10_000;

/// Delivers ticks as SQS would that was sent them at `sent_at`: each at its second. Returns the greatest
/// lateness that was seen.
async fn deliver(function: &Function, clock: &MovedClock, sent_at: Timestamp, ticks: Vec<SentTick>) -> u64 {
    let mut by_second: BTreeMap<u64, Vec<SentTick>> = BTreeMap::new();
    for tick in ticks {
        by_second.entry(tick.delay_seconds).or_default().push(tick);
    }
    let (mut latest, mut number) = (0, 0);
    for (second, ticks) in by_second {
        clock.set(sent_at + 1_000 * second);
        for ticks in ticks.chunks(10) {
            let messages: Vec<Message> = ticks
                .iter()
                .map(|tick| {
                    number += 1;
                    Message::new(number, &tick.body).sent_at(sent_at)
                })
                .collect();
            let answer = function.invoke(sqs::standard(&messages)).await.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(answer["batchItemFailures"], serde_json::json!([]), "{answer:#}");
            latest = latest.max(answer["report"]["lateness"]["maxMs"].as_u64().unwrap_or_default());
        }
    }
    latest
}

#[tokio::test]
async fn ten_thousand_queues_complete_within_a_second_of_their_moment() {
    let back_ends = BackEnds::start().await;
    let clock = MovedClock::at(begin());
    let queue = TicksQueue::new(&back_ends).await;
    let advance = started(queue.advance_queues(&back_ends), &clock).await;
    let other = started(queue.advance_queues(&back_ends), &clock).await;
    let process = started(back_ends.without_redis(), &clock).await;
    let due: Vec<Timestamp> = (0..PLAYERS).map(|at| begin() + 1 + (at as u64 * 7_919) % 120_000).collect();
    let due_of: HashMap<String, Timestamp> =
        due.iter().enumerate().map(|(at, due)| (format!("p-{at}"), *due)).collect();
    plant(back_ends.store(), begin(), &due).await;

    let mut sent_messages = 0;
    for minute in 0..3 {
        let now = begin() + 60_000 * minute;
        clock.set(now);
        let mut ticks = Vec::new();
        if minute == 1 {
            // Killed in the middle, and again while another one runs: some ticks are sent more than once.
            let invoked = async { advance.invoke("{}").await };
            let killed = async {
                tokio::time::sleep(Duration::from_millis(60)).await;
                advance.kill().await
            };
            tokio::join!(invoked, killed).0.ok();
            let again = started(queue.advance_queues(&back_ends), &clock).await;
            let (one, two) = tokio::join!(run(&again), run(&other));
            assert!(is_done(&one) && is_done(&two), "{one:#}");
            assert_eq!(figure(&one, "/advance/ticks"), figure(&two, "/advance/ticks"));
        } else {
            let answer = run(&other).await;
            assert!(is_done(&answer), "{answer:#}");
            let until = now + 65_000;
            let expected = due.iter().filter(|due| **due > now && **due <= until).count() as u64;
            assert_eq!(figure(&answer, "/advance/ticks"), expected, "{answer:#}");
        }
        ticks.extend(queue.take_sent());
        sent_messages += ticks.len() as u64;
        for tick in &ticks {
            let arrives = now + 1_000 * tick.delay_seconds;
            assert!(tick.delay_seconds <= 66 && tick.players().count() <= 100);
            for player in tick.players() {
                let early = due_of[player];
                assert!(early <= arrives && arrives.millis_since(early) < 1_000, "{player} at {arrives}");
            }
        }
        let latest = deliver(&process, &clock, now, ticks).await;
        assert!(latest < 1_000, "seen {latest} ms late");
    }
    // One process was killed while it waited for an answer, at most: its messages may have been taken or not.
    assert!(queue.messages().await.abs_diff(sent_messages) <= 50, "what was sent lies in the queue");
    for table in ["history", "stats"] {
        assert_eq!(back_ends.rows(table).await, PLAYERS, "a row of {table} for each");
    }
    assert_completed_once(back_ends.store(), &due, 20).await;
}
