//! The exact number of round trips of an invocation, counted by the proxy and by the Redis tier.

use millrace_tests::backends::Backends;
use serde_json::{Value, json};

use crate::{apply, grants, messages, number, players, send};

const LOAD: &str = "BatchGetItem";
const COMMITS: [&str; 2] = ["BatchExecuteStatement", "PutItem"];
const WRITE: &str = "BatchWriteItem";

fn commits(backends: &Backends) -> u64 {
    COMMITS.map(|operation| backends.aws_proxy.count(operation)).iter().sum()
}

/// The numbers of reads and of writes of Redis since the process started.
fn redis_calls(answer: &Value) -> [u64; 2] {
    ["/statistics/redis/get/roundTrips", "/statistics/redis/put/roundTrips"].map(|path| number(answer, path))
}

#[tokio::test]
async fn a_batch_takes_one_redis_read_and_write_and_one_table_read_for_each_hundred_missing_players() {
    let backends = Backends::start().await;
    // Without the local cache, every copy comes from Redis.
    let function = backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off").started().await;
    let mut calls = [0, 0];
    let mut round = 0;
    for count in [1, 10, 100, 101, 250] {
        let players = players(count);
        for warm in [false, true] {
            if !warm {
                let _: String = backends.redis.cli(&["FLUSHALL"]).await;
            }
            backends.aws_proxy.reset_counts();
            round += 1;
            let answer = apply(&function, &grants(&players, round)).await;
            let context = format!("{count} players, warm: {warm}");
            let loads = if warm { 0 } else { count.div_ceil(100) as u64 };
            assert_eq!(backends.aws_proxy.count(LOAD), loads, "{context}");
            assert_eq!(number(&answer, "/loads/calls"), loads, "{context}");
            assert_eq!(commits(&backends), count.div_ceil(25) as u64, "{context}");
            assert_eq!(number(&answer, "/commits/calls"), count.div_ceil(25) as u64, "{context}");
            assert_eq!(backends.aws_proxy.total(), loads + count.div_ceil(25) as u64, "{context}: no other calls");
            assert_eq!(number(&answer, "/cache/redis/hits"), if warm { count as u64 } else { 0 }, "{context}");
            let now = redis_calls(&answer);
            assert_eq!([now[0] - calls[0], now[1] - calls[1]], [1, 1], "{context}: one read, one write");
            calls = now;
        }
    }
}

#[tokio::test]
async fn the_performance_history_takes_no_round_trip() {
    let backends = Backends::start().await;
    let function = backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off").started().await;
    let players = players(10);
    for round in 1..=2 {
        let answer = apply(&function, &grants(&players, round)).await;
        assert_eq!(redis_calls(&answer), [round as u64, round as u64]);
        assert_eq!(number(&answer, "/statistics/redis/upkeep/roundTrips"), 0);
    }
    // The read of the second invocation has sent the figures of the first one.
    let key = format!("{}performance:*", backends.prefix());
    let minutes: Vec<String> = backends.redis.cli(&["KEYS", &key]).await;
    assert_eq!(minutes.len(), 1, "{minutes:?}");
}

#[tokio::test]
async fn records_are_written_25_to_a_call_by_table_and_priority() {
    let backends = Backends::start().await;
    let function = backends.process_tasks().started().await;
    let players = players(60);
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}}]});
    apply(&function, &messages(&players, 1, |_| task.clone())).await;

    backends.aws_proxy.reset_counts();
    // The task completes before the command takes effect. So history and stats are written, and the
    // command is refused.
    let cancel = json!({"type": "cancelTask", "taskId": "t"});
    let answer = send(&function, &messages(&players, 2, |_| cancel.clone())).await;
    assert_eq!(number(&answer, "/commands/rejected"), 60, "{answer:#}");
    let each = 60_u64.div_ceil(25);
    for (table, priority) in [("history", "critical"), ("rejections", "normal"), ("stats", "low")] {
        let name = format!("{}{table}", backends.prefix());
        assert_eq!(backends.aws_proxy.count_on(WRITE, &name), each, "{table}");
        assert_eq!(number(&answer, &format!("/writes/byTable/{table}/calls")), each);
        assert_eq!(number(&answer, &format!("/writes/byPriority/{priority}/items")), 60);
    }
    assert_eq!(backends.aws_proxy.count(WRITE), 3 * each);
    assert_eq!(number(&answer, "/writes/roundTripsSaved"), 180 - 3 * each);
    assert_eq!(backends.aws_proxy.count(LOAD), 0, "all copies are in the local cache");
}

#[tokio::test]
async fn a_batch_of_a_thousand_players_saves_nine_tenths_of_the_round_trips() {
    const PLAYERS: usize = 1_000;
    let backends = Backends::start().await;
    let function = backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off").started().await;
    let players = players(PLAYERS);
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}}]});
    apply(&function, &messages(&players, 1, |_| task.clone())).await;

    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    backends.aws_proxy.reset_counts();
    let answer = apply(&function, &grants(&players, 2)).await;
    assert_eq!(number(&answer, "/writes/byTable/history/items"), PLAYERS as u64, "every task has completed");
    // Ten loads, 40 commits, 40 calls for the history and 40 for the stats.
    let [reads, rows] = [PLAYERS.div_ceil(100) as u64, PLAYERS.div_ceil(25) as u64];
    assert_eq!((backends.aws_proxy.count(LOAD), commits(&backends)), (reads, rows));
    assert_eq!(backends.aws_proxy.count(WRITE), 2 * rows);
    let total = backends.aws_proxy.total();
    assert_eq!(total, reads + 3 * rows);
    // Without batches each command takes a load, a commit and a record.
    let unbatched = 3 * PLAYERS as u64;
    assert!(total * 10 <= unbatched, "{total} of {unbatched} round trips");
    println!(
        "{total} round trips instead of {unbatched}: {:.1} % fewer",
        100.0 - 100.0 * total as f64 / unbatched as f64
    );
    let connections = number(&answer, "/connections/peak");
    assert!((1..=20).contains(&connections), "{connections} connections at once");
    assert_eq!(number(&answer, "/connections/current"), 0);
}
