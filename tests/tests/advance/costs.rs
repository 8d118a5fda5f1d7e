//! What a run costs.

use millrace_domain::Timestamp;
use millrace_store::{DUE_SHARDS, QueueStore, QueueWrite, due_shard};
use millrace_tests::{
    backends::BackEnds,
    due::{MovedClock, plant, player},
    tables::Database,
};
use serde_json::Value;

use crate::{TicksQueue, begin, figure, is_done, run, started};

const SHARDS: u64 = DUE_SHARDS as u64;

/// All counted calls of an answer.
fn calls(answer: &Value) -> [u64; 5] {
    [
        "/advance/calls/due",
        "/advance/calls/ticks",
        "/report/loads/calls",
        "/report/commits/calls",
        "/report/writes/calls",
    ]
    .map(|path| figure(answer, path))
}

#[tokio::test]
async fn a_hundred_thousand_idle_queues_cost_nothing() {
    let mut costs = Vec::new();
    for idle in [0, 100_000] {
        let (database, clock) = (Database::new(), MovedClock::at(begin()));
        let function = started(database.function("advance-queues"), &clock).await;
        database.plant_idle(idle);
        plant(&database.store().await, begin(), &[begin() + 1_000; 30]).await;
        let idle_run = run(&function).await;
        clock.set(begin() + 1_000);
        let busy_run = run(&function).await;
        assert!(is_done(&idle_run) && is_done(&busy_run), "{busy_run:#}");
        costs.push((calls(&idle_run), calls(&busy_run)));
    }
    assert_eq!(costs[0].0, [SHARDS, 0, 0, 0, 0]);
    // One load; two commits and two that settle, 25 at a time; two calls each for history and stats.
    assert_eq!(costs[0].1, [SHARDS, 0, 1, 4, 4]);
    assert_eq!(costs[0], costs[1]);
}

#[tokio::test]
async fn in_dynamodb_a_run_is_a_query_for_each_shard_and_page() {
    let back_ends = BackEnds::start().await;
    let clock = MovedClock::at(begin());
    let queue = TicksQueue::new(&back_ends).await;
    let function = started(queue.advance_queues(&back_ends), &clock).await;
    let idle: Vec<QueueWrite> = (0..2_000)
        .map(|at| QueueWrite {
            player_id: player(1_000_000 + at),
            expected: 0,
            version: 1,
            queue: b"idle".to_vec(),
            outbox: None,
            due_at: None,
        })
        .collect();
    assert!(back_ends.store().commit(&idle).await.outcomes.iter().all(Result::is_ok));
    back_ends.dynamodb.reset_counts();
    let answer = run(&function).await;
    assert_eq!((back_ends.dynamodb.count("Query"), back_ends.dynamodb.total()), (SHARDS, SHARDS), "{answer:#}");
    assert_eq!(calls(&answer), [SHARDS, 0, 0, 0, 0]);

    // 1,300 rows of one shard are two pages; nine others have a row each.
    let shard = due_shard(&player(0));
    let of_shard = (0..).map(player).filter(|player| due_shard(player) == shard).take(1_300);
    let others = (0..).map(player).filter(|player| due_shard(player) != shard).take(9);
    let due_at: Timestamp = begin() + 30_500;
    let rows: Vec<QueueWrite> =
        of_shard.chain(others).map(|player| millrace_tests::due::row(&player, begin(), due_at)).collect();
    assert!(back_ends.store().commit(&rows).await.outcomes.iter().all(Result::is_ok));
    back_ends.dynamodb.reset_counts();
    let answer = run(&function).await;
    assert_eq!(back_ends.dynamodb.count("Query"), SHARDS + 1, "{answer:#}");
    // All are due in one second: 14 ticks, of which ten go with a call.
    assert_eq!(calls(&answer), [SHARDS + 1, 2, 0, 0, 0]);
    assert_eq!((figure(&answer, "/advance/ticks"), figure(&answer, "/advance/messages")), (1_309, 14));
    assert_eq!(back_ends.dynamodb.total(), SHARDS + 1 + 2);
    assert_eq!(queue.messages().await, 14);
    assert!(queue.take_sent().iter().all(|tick| tick.delay_seconds == 31));
}
