//! Who is warmed, and how many calls that takes, exactly.

use millrace_tests::backends::BackEnds;
use serde_json::{Value, json};

use crate::{apply, grant, invoke, number, players, round_trips, started};

const DUE: &str = "Query";
const LOAD: &str = "BatchGetItem";

/// Calls that read the due index and the queues, since the last time, and no others.
fn reads(back_ends: &BackEnds) -> (u64, u64) {
    let (due, loads) = (back_ends.dynamodb.count(DUE), back_ends.dynamodb.count(LOAD));
    // Whose last commit led to records has them written again: a cached queue is proof that they are.
    let writes = back_ends.dynamodb.count("BatchWriteItem");
    assert_eq!(back_ends.dynamodb.total(), due + loads + writes, "nothing else");
    back_ends.dynamodb.reset_counts();
    (due, loads)
}

fn warmed(answer: &Value) -> [u64; 4] {
    ["players", "cached", "filled", "unknown"].map(|name| number(answer, &format!("/warm/{name}")))
}

#[tokio::test]
async fn those_who_changed_lately_and_have_no_copy_and_how_many_calls_it_takes() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off")).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    let players = players("p", 250);
    grant(&process_tasks, &players).await;
    back_ends.dynamodb.reset_counts();

    let answer = invoke(&maintain_cache, json!({"action": "warm"})).await;
    assert_eq!(warmed(&answer), [250, 250, 0, 0], "{answer:#}");
    assert_eq!(answer["warm"]["done"], true);
    assert_eq!(reads(&back_ends), (16, 0), "each shard of the index, and no queue");
    let mut before = round_trips(&answer);
    assert_eq!(before, 3, "emergency mode, who is active, who has a copy");

    invoke(&maintain_cache, json!({"action": "clear"})).await;
    before = round_trips(&invoke(&maintain_cache, json!({"action": "warm", "playerIds": ["p-0"]})).await);
    assert_eq!(reads(&back_ends), (0, 1), "players who are named are not looked for");
    let answer = invoke(&maintain_cache, json!({"action": "warm", "maxPlayers": 100})).await;
    assert_eq!(warmed(&answer)[0], 100, "{answer:#}");
    assert_eq!(warmed(&answer)[1] + warmed(&answer)[2], 100);
    assert_eq!(reads(&back_ends), (16, 1));
    assert_eq!(round_trips(&answer) - before, 4, "the same three, and one put for a hundred");
    before = round_trips(&answer);
    let filled = 1 + warmed(&answer)[2];

    let answer = invoke(&maintain_cache, json!({"action": "warm"})).await;
    assert_eq!(warmed(&answer), [250, filled, 250 - filled, 0], "{answer:#}");
    assert_eq!(reads(&back_ends), (16, 2), "those that are left, a hundred a call");
    assert_eq!(round_trips(&answer) - before, 3 + 2);
    assert_eq!((number(&answer, "/report/loads/calls"), number(&answer, "/report/players")), (18, 250));
    assert_eq!(number(&answer, "/report/cache/hits"), filled);

    // It was worth it.
    for players in players.chunks(100) {
        let answer = grant(&process_tasks, players).await;
        assert_eq!(number(&answer, "/report/cache/redis/hits"), players.len() as u64);
        assert_eq!(number(&answer, "/report/commits/conflicts"), 0);
    }
    assert_eq!(back_ends.dynamodb.count(LOAD), 0);
}

#[tokio::test]
async fn those_with_something_due_soon() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks()).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    let (soon, later) = (players("soon", 30), players("later", 30));
    let task = |duration_ms: u64| json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": duration_ms}}]});
    apply(&process_tasks, &soon, &task(200_000)).await;
    apply(&process_tasks, &later, &task(3_000_000)).await;
    // Whoever is active is forgotten with all the rest.
    let _: String = back_ends.redis.cli(&["FLUSHALL"]).await;
    back_ends.dynamodb.reset_counts();

    let answer = invoke(&maintain_cache, json!({"action": "warm"})).await;
    assert_eq!(warmed(&answer), [30, 0, 30, 0], "{answer:#}");
    assert_eq!(reads(&back_ends), (16, 1));
    let answer = invoke(&maintain_cache, json!({"action": "warm", "dueWithinSeconds": 3_600})).await;
    assert_eq!(warmed(&answer), [60, 30, 30, 0], "{answer:#}");
    let answer = invoke(&maintain_cache, json!({"action": "warm", "dueWithinSeconds": 0})).await;
    assert_eq!(warmed(&answer), [0; 4], "who was warmed is not active: {answer:#}");
}

#[tokio::test]
async fn who_is_active_and_who_is_due_share_the_bound() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks()).await;
    let setup = back_ends.maintain_cache().env("MILLRACE_WARM_MAX_PLAYERS", "20");
    let maintain_cache = started(setup).await;
    let (due, active) = (players("due", 40), players("active", 40));
    let task =
        json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 250_000}}]});
    apply(&process_tasks, &due, &task).await;
    let _: String = back_ends.redis.cli(&["FLUSHALL"]).await;
    grant(&process_tasks, &active).await;
    invoke(&maintain_cache, json!({"action": "clear"})).await;
    let answer = invoke(&maintain_cache, json!({"action": "warm"})).await;
    assert_eq!(warmed(&answer), [20, 0, 20, 0], "{answer:#}");
    let mut halves = [0, 0];
    for (half, name) in halves.iter_mut().zip(["due", "active"]) {
        let keys: Vec<String> = back_ends.redis.cli(&["KEYS", &format!("{}queue:{name}-*", back_ends.prefix())]).await;
        for key in keys {
            // A tombstone has 34 bytes.
            *half += u64::from(back_ends.redis.cli::<u64>(&["STRLEN", &key]).await > 34);
        }
    }
    assert_eq!(halves, [10, 10]);
}

#[tokio::test]
async fn players_by_name_some_of_whom_nobody_knows() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks().env("MILLRACE_REDIS_CACHE", "off")).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    grant(&process_tasks, &players("p", 3)).await;
    back_ends.dynamodb.reset_counts();
    let request = json!({"action": "warm", "playerIds": ["p-0", "nobody", "p-2", "p-0"]});
    let answer = invoke(&maintain_cache, request.clone()).await;
    assert_eq!(warmed(&answer), [3, 0, 2, 1], "{answer:#}");
    assert_eq!(reads(&back_ends), (0, 1));
    let answer = invoke(&maintain_cache, request).await;
    assert_eq!(warmed(&answer), [3, 2, 0, 1]);
}

#[tokio::test]
async fn for_the_share_of_the_players_that_is_on() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks().env("MILLRACE_REDIS_CACHE", "off")).await;
    let setup = back_ends.maintain_cache().env("MILLRACE_REDIS_CACHE_ROLLOUT_PERCENT", "50");
    let maintain_cache = started(setup).await;
    let players = players("p", 100);
    grant(&process_tasks, &players).await;
    let answer = invoke(&maintain_cache, json!({"action": "warm", "playerIds": players})).await;
    let filled = number(&answer, "/warm/filled");
    assert!((30..=70).contains(&filled), "{answer:#}");
    assert_eq!(number(&answer, "/warm/players"), filled);
}

#[tokio::test]
async fn a_queue_that_is_warmed_has_its_records_written() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks()).await;
    let players = players("p", 1);
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}}]});
    apply(&process_tasks, &players, &task).await;
    apply(&process_tasks, &players, &json!({"type": "grantResources", "resources": {"gold": 1}})).await;
    let _: String = back_ends.redis.cli(&["FLUSHALL"]).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    let answer = invoke(&maintain_cache, json!({"action": "warm", "playerIds": ["p-0"]})).await;
    assert_eq!(warmed(&answer), [1, 0, 1, 0]);
    assert_eq!(number(&answer, "/report/writes/items"), 2, "the task's end and the totals, again: {answer:#}");
}
