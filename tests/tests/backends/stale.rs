//! Old copies decide nothing: what is committed is always made from the table's version.

use std::time::{Duration, Instant};

use millrace_tests::{
    Function,
    answers::{counts, failures},
    backends::BackEnds,
    sqs::{self, Message},
};
use serde_json::{Value, json};

use crate::{apply, figure, grants, players, send, started};

#[tokio::test]
async fn an_old_copy_in_the_process_leads_to_no_wrong_commit() {
    let back_ends = BackEnds::start().await;
    let players = players(20);
    let long = back_ends.process_tasks().env("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", "60000");
    let (old, new) = (started(long.clone()).await, started(long).await);
    apply(&old, &grants(&players, 1)).await;
    apply(&new, &grants(&players, 2)).await;
    // The first process still has the queues as of its own commit.
    let answer = apply(&old, &grants(&players, 3)).await;
    assert_eq!(figure(&answer, "/cache/local/hits"), 20);
    assert_eq!(figure(&answer, "/commits/conflicts"), 20, "the table refuses what was made of them");
    // And what one of them decided, the other has no say in.
    let answer = send(&new, &grants(&players, 3)).await;
    assert_eq!(counts(&answer).duplicate, 20, "{answer:#}");
    for queue in back_ends.queues(&players).await {
        assert_eq!(queue.balances.get("gold"), 3, "{}", queue.player_id);
    }
}

#[tokio::test]
async fn an_old_copy_in_redis_leads_to_no_wrong_commit() {
    let back_ends = BackEnds::start().await;
    let players = players(20);
    let function = started(back_ends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off")).await;
    apply(&function, &grants(&players, 1)).await;
    let keys: Vec<String> = back_ends.redis.cli(&["KEYS", "*queue:*"]).await;
    assert_eq!(keys.len(), 20, "{keys:?}");
    for key in &keys {
        let _: i64 = back_ends.redis.cli(&["COPY", key, &format!("old:{key}")]).await;
    }
    apply(&function, &grants(&players, 2)).await;
    for key in &keys {
        let _: i64 = back_ends.redis.cli(&["COPY", &format!("old:{key}"), key, "REPLACE"]).await;
    }
    let answer = apply(&function, &grants(&players, 3)).await;
    assert_eq!(figure(&answer, "/cache/redis/hits"), 20);
    assert_eq!(figure(&answer, "/commits/conflicts"), 20);
    for queue in back_ends.queues(&players).await {
        assert_eq!(queue.balances.get("gold"), 3, "{}", queue.player_id);
    }
    // The copies are new again.
    let answer = apply(&function, &grants(&players, 4)).await;
    assert_eq!((figure(&answer, "/cache/redis/hits"), figure(&answer, "/commits/conflicts")), (20, 0));
}

/// Sends batches of grants to one player until the time is up, redelivering what is handed back; the
/// grants that were acknowledged.
async fn hammer(function: &Function, process: u64, until: Instant) -> u64 {
    let mut granted = 0;
    let mut number = process << 32;
    while Instant::now() < until {
        let batch: Vec<Message> = (0..5)
            .map(|_| {
                number += 1;
                Message::new(number, json!({"type": "grantResources", "playerId": "hot", "resources": {"gold": 1}}))
            })
            .collect();
        let mut left = batch.clone();
        let mut deliveries = 0;
        while !left.is_empty() {
            deliveries += 1;
            assert!(deliveries < 100, "never acknowledged: {left:?}");
            let answer: Value = function.invoke(&sqs::standard(&left)).await.unwrap_or_else(|error| panic!("{error}"));
            let failed = failures(&answer);
            left.retain(|message| failed.contains(&message.id().as_str()));
        }
        granted += batch.len() as u64;
    }
    granted
}

#[tokio::test]
async fn eight_processes_on_one_player_for_ten_seconds_make_exactly_the_sum() {
    let back_ends = BackEnds::start().await;
    let mut functions = Vec::new();
    for _ in 0..8 {
        functions.push(started(back_ends.process_tasks()).await);
    }
    let until = Instant::now() + Duration::from_secs(10);
    let hammers = functions.iter().enumerate().map(|(at, function)| hammer(function, at as u64 + 1, until));
    let granted: u64 = futures::future::join_all(hammers).await.into_iter().sum();
    println!("{granted} grants of 8 processes to one player in 10 s");
    let queue = back_ends.queue("hot").await;
    assert_eq!(queue.balances.get("gold"), granted);
    assert!(granted >= 80, "they got in each other's way: {granted}");
}
