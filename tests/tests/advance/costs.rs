//! The number of calls of a run.

use millrace_domain::Timestamp;
use millrace_store::{DUE_SHARDS, QueueStore, QueueWrite, due_shard};
use millrace_tests::{
    answers::number,
    backends::Backends,
    clock::ClockFile,
    database::Database,
    due_queues::{insert_queues, player},
};
use serde_json::Value;

use crate::{TicksQueue, is_done, run, start, start_time};

const SHARDS: u64 = DUE_SHARDS as u64;

/// The numbers of calls in an answer: due index, ticks, loads, commits, writes.
fn calls(answer: &Value) -> [u64; 5] {
    [
        "/advance/calls/due",
        "/advance/calls/ticks",
        "/report/loads/calls",
        "/report/commits/calls",
        "/report/writes/calls",
    ]
    .map(|path| number(answer, path))
}

#[tokio::test]
async fn a_hundred_thousand_idle_queues_add_no_calls() {
    let mut costs = Vec::new();
    for idle in [0, 100_000] {
        let (database, clock) = (Database::new(), ClockFile::at(start_time()));
        let function = start(database.function("advance-queues"), &clock).await;
        database.insert_idle_queues(idle);
        insert_queues(&database.store().await, start_time(), &[start_time() + 1_000; 30]).await;
        let idle_run = run(&function).await;
        clock.set(start_time() + 1_000);
        let busy_run = run(&function).await;
        assert!(is_done(&idle_run) && is_done(&busy_run), "{busy_run:#}");
        costs.push((calls(&idle_run), calls(&busy_run)));
    }
    assert_eq!(costs[0].0, [SHARDS, 0, 0, 0, 0]);
    // 30 queues are due. One call loads them, two commit them and two remove them from the due
    // index. History and stats take two calls each.
    assert_eq!(costs[0].1, [SHARDS, 0, 1, 4, 4]);
    assert_eq!(costs[0], costs[1]);
}

#[tokio::test]
async fn a_run_makes_one_dynamodb_query_for_each_page_of_each_shard() {
    let backends = Backends::start().await;
    let clock = ClockFile::at(start_time());
    let queue = TicksQueue::new(&backends).await;
    let function = start(queue.advance_queues(&backends), &clock).await;
    let idle: Vec<QueueWrite> = (0..2_000)
        .map(|at| QueueWrite {
            player_id: player(1_000_000 + at),
            expected: 0,
            version: 1,
            queue: b"idle".to_vec(),
            outbox: None,
            due_at: None,
            due_before: None,
        })
        .collect();
    assert!(backends.store().commit(&idle).await.outcomes.iter().all(Result::is_ok));
    backends.aws_proxy.reset_counts();
    let answer = run(&function).await;
    assert_eq!((backends.aws_proxy.count("Query"), backends.aws_proxy.total()), (SHARDS, SHARDS), "{answer:#}");
    assert_eq!(calls(&answer), [SHARDS, 0, 0, 0, 0]);

    // 1,300 rows in one shard are two pages. Nine more rows are in other shards.
    let shard = due_shard(&player(0));
    let of_shard = (0..).map(player).filter(|player| due_shard(player) == shard).take(1_300);
    let others = (0..).map(player).filter(|player| due_shard(player) != shard).take(9);
    let due_at: Timestamp = start_time() + 30_500;
    let rows: Vec<QueueWrite> = of_shard
        .chain(others)
        .map(|player| millrace_tests::due_queues::queue_write(&player, start_time(), due_at))
        .collect();
    assert!(backends.store().commit(&rows).await.outcomes.iter().all(Result::is_ok));
    backends.aws_proxy.reset_counts();
    let answer = run(&function).await;
    assert_eq!(backends.aws_proxy.count("Query"), SHARDS + 1, "{answer:#}");
    // All queues are due in the same second: 14 ticks, sent with up to ten in a call.
    assert_eq!(calls(&answer), [SHARDS + 1, 2, 0, 0, 0]);
    assert_eq!((number(&answer, "/advance/ticks"), number(&answer, "/advance/messages")), (1_309, 14));
    assert_eq!(backends.aws_proxy.total(), SHARDS + 1 + 2);
    assert_eq!(queue.messages().await, 14);
    assert!(queue.take_sent().iter().all(|tick| tick.delay_seconds == 31));
}
