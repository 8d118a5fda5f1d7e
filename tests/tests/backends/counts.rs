//! How many round trips an invocation makes: counted in front of DynamoDB, and by the Redis tier.

use millrace_tests::backends::BackEnds;
use serde_json::{Value, json};

use crate::{apply, figure, grants, messages, players, send, started};

const LOAD: &str = "BatchGetItem";
const COMMITS: [&str; 2] = ["BatchExecuteStatement", "PutItem"];
const WRITE: &str = "BatchWriteItem";

fn commits(back_ends: &BackEnds) -> u64 {
    COMMITS.map(|operation| back_ends.dynamodb.count(operation)).iter().sum()
}

/// Reads and writes of Redis since the process began.
fn redis_calls(answer: &Value) -> [u64; 2] {
    ["/statistics/redis/get/roundTrips", "/statistics/redis/put/roundTrips"].map(|path| figure(answer, path))
}

#[tokio::test]
async fn warm_is_one_read_and_one_write_of_redis_and_cold_a_read_of_the_table_a_hundred_players() {
    let back_ends = BackEnds::start().await;
    // Without copies in the process everything has to come from Redis.
    let function = started(back_ends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off")).await;
    let mut calls = [0, 0];
    let mut round = 0;
    for count in [1, 10, 100, 101, 250] {
        let players = players(count);
        for warm in [false, true] {
            if !warm {
                let _: String = back_ends.redis.cli(&["FLUSHALL"]).await;
            }
            back_ends.dynamodb.reset_counts();
            round += 1;
            let answer = apply(&function, &grants(&players, round)).await;
            let context = format!("{count} players, warm: {warm}");
            let loads = if warm { 0 } else { count.div_ceil(100) as u64 };
            assert_eq!(back_ends.dynamodb.count(LOAD), loads, "{context}");
            assert_eq!(figure(&answer, "/loads/calls"), loads, "{context}");
            assert_eq!(commits(&back_ends), count.div_ceil(25) as u64, "{context}");
            assert_eq!(figure(&answer, "/commits/calls"), count.div_ceil(25) as u64, "{context}");
            assert_eq!(back_ends.dynamodb.total(), loads + count.div_ceil(25) as u64, "{context}: and nothing else");
            assert_eq!(figure(&answer, "/cache/redis/hits"), if warm { count as u64 } else { 0 }, "{context}");
            let now = redis_calls(&answer);
            assert_eq!([now[0] - calls[0], now[1] - calls[1]], [1, 1], "{context}: one read, one write");
            calls = now;
        }
    }
}

#[tokio::test]
async fn records_go_out_25_to_a_call_by_table_and_priority() {
    let back_ends = BackEnds::start().await;
    let function = started(back_ends.process_tasks()).await;
    let players = players(60);
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}}]});
    apply(&function, &messages(&players, 1, |_| task.clone())).await;

    back_ends.dynamodb.reset_counts();
    // The task ends, and its row and the player's totals are written; the command itself is refused.
    let cancel = json!({"type": "cancelTask", "taskId": "t"});
    let answer = send(&function, &messages(&players, 2, |_| cancel.clone())).await;
    assert_eq!(figure(&answer, "/commands/rejected"), 60, "{answer:#}");
    let each = 60_u64.div_ceil(25);
    for (table, priority) in [("history", "critical"), ("rejections", "normal"), ("stats", "low")] {
        let name = format!("{}{table}", back_ends.prefix());
        assert_eq!(back_ends.dynamodb.count_on(WRITE, &name), each, "{table}");
        assert_eq!(figure(&answer, &format!("/writes/byTable/{table}/calls")), each);
        assert_eq!(figure(&answer, &format!("/writes/byPriority/{priority}/items")), 60);
    }
    assert_eq!(back_ends.dynamodb.count(WRITE), 3 * each);
    assert_eq!(figure(&answer, "/writes/roundTripsSaved"), 180 - 3 * each);
    assert_eq!(back_ends.dynamodb.count(LOAD), 0, "all copies are in the process");
}

#[tokio::test]
async fn a_thousand_players_in_one_batch_take_under_a_tenth_of_the_round_trips() {
    const PLAYERS: usize = 1_000;
    let back_ends = BackEnds::start().await;
    let function = started(back_ends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off")).await;
    let players = players(PLAYERS);
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}}]});
    apply(&function, &messages(&players, 1, |_| task.clone())).await;

    let _: String = back_ends.redis.cli(&["FLUSHALL"]).await;
    back_ends.dynamodb.reset_counts();
    let answer = apply(&function, &grants(&players, 2)).await;
    assert_eq!(figure(&answer, "/writes/byTable/history/items"), PLAYERS as u64, "every task has ended");
    // Ten reads, forty commits, forty calls for the history and forty for the totals.
    let [reads, rows] = [PLAYERS.div_ceil(100) as u64, PLAYERS.div_ceil(25) as u64];
    assert_eq!((back_ends.dynamodb.count(LOAD), commits(&back_ends)), (reads, rows));
    assert_eq!(back_ends.dynamodb.count(WRITE), 2 * rows);
    let total = back_ends.dynamodb.total();
    assert_eq!(total, reads + 3 * rows);
    // A read, a queue and a record for each command, one by one.
    let one_by_one = 3 * PLAYERS as u64;
    assert!(total * 10 <= one_by_one, "{total} of {one_by_one}");
    println!(
        "{total} round trips instead of {one_by_one}: {:.1} % fewer",
        100.0 - 100.0 * total as f64 / one_by_one as f64
    );
    let connections = figure(&answer, "/connections/peak");
    assert!((1..=20).contains(&connections), "{connections} connections at once");
    assert_eq!(figure(&answer, "/connections/current"), 0);
}
