//! Warming: which players are warmed, and the exact number of calls.

use millrace_tests::{answers::number, backends::Backends};
use serde_json::{Value, json};

use crate::{apply, grant, invoke, players, round_trips};

const DUE: &str = "Query";
const LOAD: &str = "BatchGetItem";

/// The numbers of calls that read the due index and that load queues, since the last call of this
/// function. Panics if there were other reads.
fn take_reads(backends: &Backends) -> (u64, u64) {
    let (due, loads) = (backends.aws_proxy.count(DUE), backends.aws_proxy.count(LOAD));
    // Loading a queue writes its outbox again. A cached queue has its records written already.
    let writes = backends.aws_proxy.count("BatchWriteItem");
    assert_eq!(backends.aws_proxy.total(), due + loads + writes, "there were other calls");
    backends.aws_proxy.reset_counts();
    (due, loads)
}

/// The numbers of players, of existing copies, of new copies and of unknown players.
fn warmed(answer: &Value) -> [u64; 4] {
    ["players", "cached", "filled", "unknown"].map(|name| number(answer, &format!("/warm/{name}")))
}

#[tokio::test]
async fn recently_active_players_without_a_copy_are_warmed() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off").started().await;
    let maintain_cache = backends.maintain_cache().started().await;
    let players = players("p", 250);
    grant(&process_tasks, &players).await;
    backends.aws_proxy.reset_counts();

    let answer = invoke(&maintain_cache, json!({"action": "warm"})).await;
    assert_eq!(warmed(&answer), [250, 250, 0, 0], "{answer:#}");
    assert_eq!(answer["warm"]["done"], true);
    assert_eq!(take_reads(&backends), (16, 0), "each shard of the due index, and no queue");
    let mut before = round_trips(&answer);
    assert_eq!(before, 3, "emergency mode, active players, existing copies");

    invoke(&maintain_cache, json!({"action": "clear"})).await;
    before = round_trips(&invoke(&maintain_cache, json!({"action": "warm", "playerIds": ["p-0"]})).await);
    assert_eq!(take_reads(&backends), (0, 1), "the due index is not read for named players");
    let answer = invoke(&maintain_cache, json!({"action": "warm", "maxPlayers": 100})).await;
    assert_eq!(warmed(&answer)[0], 100, "{answer:#}");
    assert_eq!(warmed(&answer)[1] + warmed(&answer)[2], 100);
    assert_eq!(take_reads(&backends), (16, 1));
    assert_eq!(round_trips(&answer) - before, 4, "the same three, and one put of a hundred copies");
    before = round_trips(&answer);
    let filled = 1 + warmed(&answer)[2];

    let answer = invoke(&maintain_cache, json!({"action": "warm"})).await;
    assert_eq!(warmed(&answer), [250, filled, 250 - filled, 0], "{answer:#}");
    assert_eq!(take_reads(&backends), (16, 2), "the remaining players, a hundred to a call");
    assert_eq!(round_trips(&answer) - before, 3 + 2);
    assert_eq!((number(&answer, "/report/loads/calls"), number(&answer, "/report/players")), (18, 250));
    assert_eq!(number(&answer, "/report/cache/hits"), filled);

    // The copies are found and current.
    for players in players.chunks(100) {
        let answer = grant(&process_tasks, players).await;
        assert_eq!(number(&answer, "/report/cache/redis/hits"), players.len() as u64);
        assert_eq!(number(&answer, "/report/commits/conflicts"), 0);
    }
    assert_eq!(backends.aws_proxy.count(LOAD), 0);
}

#[tokio::test]
async fn players_with_something_due_soon_are_warmed() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().started().await;
    let maintain_cache = backends.maintain_cache().started().await;
    let (soon, later) = (players("soon", 30), players("later", 30));
    let task = |duration_ms: u64| json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": duration_ms}}]});
    apply(&process_tasks, &soon, &task(200_000)).await;
    apply(&process_tasks, &later, &task(3_000_000)).await;
    // This also removes the list of active players.
    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    backends.aws_proxy.reset_counts();

    let answer = invoke(&maintain_cache, json!({"action": "warm"})).await;
    assert_eq!(warmed(&answer), [30, 0, 30, 0], "{answer:#}");
    assert_eq!(take_reads(&backends), (16, 1));
    let answer = invoke(&maintain_cache, json!({"action": "warm", "dueWithinSeconds": 3_600})).await;
    assert_eq!(warmed(&answer), [60, 30, 30, 0], "{answer:#}");
    let answer = invoke(&maintain_cache, json!({"action": "warm", "dueWithinSeconds": 0})).await;
    assert_eq!(warmed(&answer), [0; 4], "warming does not make a player active: {answer:#}");
}

#[tokio::test]
async fn active_and_due_players_share_the_limit() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().started().await;
    let builder = backends.maintain_cache().env("MILLRACE_WARM_MAX_PLAYERS", "20");
    let maintain_cache = builder.started().await;
    let (due, active) = (players("due", 40), players("active", 40));
    let task =
        json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 250_000}}]});
    apply(&process_tasks, &due, &task).await;
    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    grant(&process_tasks, &active).await;
    invoke(&maintain_cache, json!({"action": "clear"})).await;
    let answer = invoke(&maintain_cache, json!({"action": "warm"})).await;
    assert_eq!(warmed(&answer), [20, 0, 20, 0], "{answer:#}");
    let mut halves = [0, 0];
    for (half, name) in halves.iter_mut().zip(["due", "active"]) {
        let keys: Vec<String> = backends.redis.cli(&["KEYS", &format!("{}queue:{name}-*", backends.prefix())]).await;
        for key in keys {
            // A tombstone has 35 bytes. It marks a cleared copy.
            *half += u64::from(backends.redis.cli::<u64>(&["STRLEN", &key]).await > 35);
        }
    }
    assert_eq!(halves, [10, 10]);
}

#[tokio::test]
async fn named_players_are_warmed_and_unknown_ones_are_counted() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().env("MILLRACE_REDIS_CACHE", "off").started().await;
    let maintain_cache = backends.maintain_cache().started().await;
    grant(&process_tasks, &players("p", 3)).await;
    backends.aws_proxy.reset_counts();
    let request = json!({"action": "warm", "playerIds": ["p-0", "unknown", "p-2", "p-0"]});
    let answer = invoke(&maintain_cache, request.clone()).await;
    assert_eq!(warmed(&answer), [3, 0, 2, 1], "{answer:#}");
    assert_eq!(take_reads(&backends), (0, 1));
    let answer = invoke(&maintain_cache, request).await;
    assert_eq!(warmed(&answer), [3, 2, 0, 1]);
}

#[tokio::test]
async fn only_players_of_the_rollout_are_warmed() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().env("MILLRACE_REDIS_CACHE", "off").started().await;
    let builder = backends.maintain_cache().env("MILLRACE_REDIS_CACHE_ROLLOUT_PERCENT", "50");
    let maintain_cache = builder.started().await;
    let players = players("p", 100);
    grant(&process_tasks, &players).await;
    let answer = invoke(&maintain_cache, json!({"action": "warm", "playerIds": players})).await;
    let filled = number(&answer, "/warm/filled");
    assert!((30..=70).contains(&filled), "{answer:#}");
    assert_eq!(number(&answer, "/warm/players"), filled);
}

#[tokio::test]
async fn warming_a_queue_writes_its_outbox() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().started().await;
    let players = players("p", 1);
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}}]});
    apply(&process_tasks, &players, &task).await;
    apply(&process_tasks, &players, &json!({"type": "grantResources", "resources": {"gold": 1}})).await;
    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    let maintain_cache = backends.maintain_cache().started().await;
    let answer = invoke(&maintain_cache, json!({"action": "warm", "playerIds": ["p-0"]})).await;
    assert_eq!(warmed(&answer), [1, 0, 1, 0]);
    assert_eq!(number(&answer, "/report/writes/items"), 2, "the history and the stats of the last commit: {answer:#}");
}
