//! Reports between milestones while the cache is warmed, cleared and rebuilt.

use millrace_domain::Timestamp;
use millrace_tests::{Function, answers::number, backends::Backends, clock::ClockFile, sqs, store_contents::player};
use serde_json::{Value, json};

use crate::{apply, invoke, tick};

fn after_start(ms: u64) -> Timestamp {
    Timestamp::from_millis(sqs::START_MS) + ms
}

async fn upkeep(maintain_cache: &Function, request: Value) {
    let answer = invoke(maintain_cache, request.clone()).await;
    assert!(number(&answer, "/report/statistics/redis/upkeep/roundTrips") > 0, "{request}: {answer:#}");
}

/// A report is in the progress row and in the caches, not in the queue row. What upkeep puts into
/// the caches comes from the queue row.
#[tokio::test]
async fn upkeep_of_the_cache_loses_no_report() {
    let backends = Backends::start().await;
    let clock = ClockFile::at(after_start(0));
    let at_clock =
        |builder: millrace_tests::function::FunctionBuilder| builder.env("MILLRACE_CLOCK_FILE", clock.path());
    let process_tasks = backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off");
    let process_tasks = at_clock(process_tasks).started().await;
    let maintain_cache = at_clock(backends.maintain_cache()).started().await;
    let players = [player("p-1"), player("p-2")];
    let task = json!({"taskId": "t", "kind": "k", "work": {"units": 100, "heartbeatMs": 10_000}, "retryDelayMs": 0});
    apply(&process_tasks, &players, &json!({"type": "enqueueTasks", "tasks": [task]})).await;
    let failed =
        async || backends.queues(&players).await.iter().map(|queue| queue.tasks[0].attempts).collect::<Vec<_>>();
    let requests = [json!({"action": "rebuild"}), json!({"action": "warm"}), json!({"action": "clear"})];
    // The queue row knows the deadlines 10 s, 15 s and 24 s. They pass between report and tick.
    for (round, (request, seconds)) in (0..).zip(requests.into_iter().zip([(5, 11), (14, 16), (20, 25)])) {
        clock.set(after_start(1_000 * seconds.0));
        let report = json!({"type": "reportProgress", "taskId": "t", "unitsDone": round + 1});
        let answer = apply(&process_tasks, &players, &report).await;
        assert_eq!(number(&answer, "/report/commits/committed"), 0, "{answer:#}");
        upkeep(&maintain_cache, request).await;
        clock.set(after_start(1_000 * seconds.1));
        tick(&process_tasks, &players).await;
        assert_eq!(failed().await, [0, 0], "round {round}");
        let units: Vec<u64> = backends.queues(&players).await.iter().map(|queue| queue.tasks[0].units_done).collect();
        assert_eq!(units, [round + 1, round + 1]);
    }
    clock.set(after_start(30_000));
    tick(&process_tasks, &players).await;
    assert_eq!(failed().await, [1, 1], "no report came in time");
}
