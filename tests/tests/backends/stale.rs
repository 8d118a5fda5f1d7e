//! Stale copies and concurrent changes. A commit succeeds only if it is made from the current
//! version.

use std::time::{Duration, Instant};

use millrace_tests::{
    Function,
    answers::{counts, failures},
    backends::Backends,
    sqs::{self, Message},
};
use serde_json::{Value, json};

use crate::{apply, grants, number, players, send};

#[tokio::test]
async fn a_stale_local_copy_causes_no_wrong_commit() {
    let backends = Backends::start().await;
    let players = players(20);
    let builder = backends.process_tasks().env("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", "60000");
    let (first, second) = (builder.started().await, builder.started().await);
    apply(&first, &grants(&players, 1)).await;
    apply(&second, &grants(&players, 2)).await;
    // The local copies of the first process are one version old.
    let answer = apply(&first, &grants(&players, 3)).await;
    assert_eq!(number(&answer, "/cache/local/hits"), 20);
    assert_eq!(number(&answer, "/commits/conflicts"), 20, "the table refuses commits that are made from stale copies");
    // The second process finds the commands that the first one applied.
    let answer = send(&second, &grants(&players, 3)).await;
    assert_eq!(counts(&answer).duplicate, 20, "{answer:#}");
    for queue in backends.queues(&players).await {
        assert_eq!(queue.balances.get("gold"), 3, "{}", queue.player_id);
    }
}

#[tokio::test]
async fn a_stale_redis_copy_causes_no_wrong_commit() {
    let backends = Backends::start().await;
    let players = players(20);
    let function = backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off").started().await;
    apply(&function, &grants(&players, 1)).await;
    let keys: Vec<String> = backends.redis.cli(&["KEYS", "*queue:*"]).await;
    assert_eq!(keys.len(), 20, "{keys:?}");
    for key in &keys {
        let _: i64 = backends.redis.cli(&["COPY", key, &format!("saved:{key}")]).await;
    }
    apply(&function, &grants(&players, 2)).await;
    for key in &keys {
        let _: i64 = backends.redis.cli(&["COPY", &format!("saved:{key}"), key, "REPLACE"]).await;
    }
    let answer = apply(&function, &grants(&players, 3)).await;
    assert_eq!(number(&answer, "/cache/redis/hits"), 20);
    assert_eq!(number(&answer, "/commits/conflicts"), 20);
    for queue in backends.queues(&players).await {
        assert_eq!(queue.balances.get("gold"), 3, "{}", queue.player_id);
    }
    // The copies in Redis are current again.
    let answer = apply(&function, &grants(&players, 4)).await;
    assert_eq!((number(&answer, "/cache/redis/hits"), number(&answer, "/commits/conflicts")), (20, 0));
}

/// Sends batches of grants to one player until `until`. Messages that are handed back are delivered
/// again. Returns the number of acknowledged grants.
async fn grant_until(function: &Function, process: u64, until: Instant) -> u64 {
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
            let answer: Value = function.answer(&sqs::standard(&left)).await;
            let failed = failures(&answer);
            left.retain(|message| failed.contains(&message.id().as_str()));
        }
        granted += batch.len() as u64;
    }
    granted
}

#[tokio::test]
async fn eight_processes_grant_exactly_the_sum_to_one_player() {
    let backends = Backends::start().await;
    let mut functions = Vec::new();
    for _ in 0..8 {
        functions.push(backends.process_tasks().started().await);
    }
    let until = Instant::now() + Duration::from_secs(10);
    let grants_of_all = functions.iter().enumerate().map(|(at, function)| grant_until(function, at as u64 + 1, until));
    let granted: u64 = futures::future::join_all(grants_of_all).await.into_iter().sum();
    println!("{granted} grants of 8 processes to one player in 10 s");
    let queue = backends.queue("hot").await;
    assert_eq!(queue.balances.get("gold"), granted);
    assert!(granted >= 80, "only {granted} grants succeeded");
}
