//! Advancing by ticks through SQS. `advance-queues` sends delayed ticks, and `process-tasks`
//! receives each of them in its second.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use millrace_domain::Timestamp;
use millrace_tests::{
    Function,
    answers::number,
    backends::Backends,
    clock::ClockFile,
    due_queues::{assert_completed_once, insert_queues},
    sqs::{self, Message},
};

use crate::{SentTick, TicksQueue, is_done, run, start, start_time};

const PLAYERS: usize = 10_000;

/// Delivers ticks that were sent at `sent_at`, each after its delay, as SQS does. Returns the
/// greatest lateness in milliseconds.
async fn deliver(function: &Function, clock: &ClockFile, sent_at: Timestamp, ticks: Vec<SentTick>) -> u64 {
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
            let answer = function.answer(sqs::standard(&messages)).await;
            assert_eq!(answer["batchItemFailures"], serde_json::json!([]), "{answer:#}");
            latest = latest.max(answer["report"]["lateness"]["maxMs"].as_u64().unwrap_or_default());
        }
    }
    latest
}

#[tokio::test]
async fn ten_thousand_queues_complete_within_a_second_of_their_due_moments() {
    let backends = Backends::start().await;
    let clock = ClockFile::at(start_time());
    let queue = TicksQueue::new(&backends).await;
    let advance = start(queue.advance_queues(&backends), &clock).await;
    let other = start(queue.advance_queues(&backends), &clock).await;
    let process = start(backends.function("process-tasks"), &clock).await;
    let due: Vec<Timestamp> = (0..PLAYERS).map(|at| start_time() + 1 + (at as u64 * 7_919) % 120_000).collect();
    let due_of: HashMap<String, Timestamp> =
        due.iter().enumerate().map(|(at, due)| (format!("p-{at}"), *due)).collect();
    insert_queues(backends.store(), start_time(), &due).await;

    let mut sent_messages = 0;
    for minute in 0..3 {
        let now = start_time() + 60_000 * minute;
        clock.set(now);
        let mut ticks = Vec::new();
        if minute == 1 {
            // One run is killed, and then two runs work at once. So some ticks are sent more than
            // once.
            let invoked = async { advance.invoke("{}").await };
            let killed = async {
                tokio::time::sleep(Duration::from_millis(60)).await;
                advance.kill().await
            };
            tokio::join!(invoked, killed).0.ok();
            let again = start(queue.advance_queues(&backends), &clock).await;
            let (one, two) = tokio::join!(run(&again), run(&other));
            assert!(is_done(&one) && is_done(&two), "{one:#}");
            assert_eq!(number(&one, "/advance/ticks"), number(&two, "/advance/ticks"));
        } else {
            let answer = run(&other).await;
            assert!(is_done(&answer), "{answer:#}");
            let until = now + 65_000;
            let expected = due.iter().filter(|due| **due > now && **due <= until).count() as u64;
            assert_eq!(number(&answer, "/advance/ticks"), expected, "{answer:#}");
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
        assert!(latest < 1_000, "a task completed {latest} ms late");
    }
    // The kill may interrupt several calls of 10 messages. SQS may or may not have taken them.
    assert!(queue.messages().await.abs_diff(sent_messages) <= 50, "the queue has the messages that were sent");
    for table in ["history", "stats"] {
        assert_eq!(backends.count_rows(table).await, PLAYERS, "{table} has one row for each player");
    }
    assert_completed_once(backends.store(), &due, 20).await;
}
