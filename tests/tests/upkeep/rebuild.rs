//! Rebuilding: wrong copies are replaced.

use millrace_cache::{SharedCache, redis::RedisMode};
use millrace_domain::{PlayerId, codec::CachedQueue};
use millrace_tests::{answers::number, backends::Backends, store_contents::player};
use serde_json::json;

use crate::{apply, cached_copy, grant, invoke, invoke_error, players, put_copies, tier};

/// The balance of gold in each player's copy.
async fn gold(tier: &impl SharedCache, players: &[PlayerId]) -> Vec<Option<u64>> {
    let (found, errors) = tier.get(players).await;
    assert_eq!(errors, 0);
    found.iter().map(|copy| copy.as_ref().map(|copy| copy.queue.balances.get("gold"))).collect()
}

#[tokio::test]
async fn a_rebuild_replaces_newer_older_and_damaged_copies() {
    let backends = Backends::start().await;
    let redis = backends.redis.url();
    let process_tasks = backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off").started().await;
    let maintain_cache = backends.maintain_cache().started().await;
    let names = ["future", "same", "past", "damaged", "right", "absent"];
    let rows = names.map(player);
    for _ in 0..2 {
        grant(&process_tasks, &rows).await;
    }
    let key = |name: &str| format!("{}queue:{name}", backends.prefix());
    for name in names.iter().filter(|name| **name != "right") {
        backends.redis.cli::<i64>(&["DEL", &key(name)]).await;
    }
    let tier = tier(&redis, RedisMode::Standalone, backends.prefix()).await;
    let unknown = player("unknown");
    put_copies(
        &tier,
        &[
            cached_copy(&rows[0], 99, 66),
            cached_copy(&rows[1], 2, 66),
            cached_copy(&rows[2], 1, 66),
            cached_copy(&unknown, 3, 66),
        ],
    )
    .await;
    let damaged = format!("{:033}qpnonsense", 7);
    backends.redis.cli::<()>(&["SET", &key("damaged"), &damaged]).await;

    // A copy with a version that is too new does not cause a wrong commit. Each commit has a
    // version conflict.
    for _ in 0..2 {
        let answer = grant(&process_tasks, &rows[..1]).await;
        assert_eq!(number(&answer, "/report/commits/conflicts"), 1, "{answer:#}");
    }
    let answer = invoke(&maintain_cache, json!({"action": "rebuild"})).await;
    assert_eq!(number(&answer, "/rebuild/rebuilt"), 5, "{answer:#}");
    assert_eq!(number(&answer, "/rebuild/removed"), 1, "{answer:#}");
    assert_eq!((number(&answer, "/rebuild/players"), &answer["rebuild"]["done"]), (6, &json!(true)));
    assert_eq!(gold(&tier, &rows).await, [Some(4), Some(2), Some(2), Some(2), Some(2), None]);
    assert!(!backends.redis.cli::<bool>(&["EXISTS", &key("unknown")]).await);
    let answer = grant(&process_tasks, &rows).await;
    assert_eq!(number(&answer, "/report/commits/conflicts"), 0, "{answer:#}");
    assert_eq!(gold(&tier, &rows).await, [Some(5), Some(3), Some(3), Some(3), Some(3), Some(3)]);
}

#[tokio::test]
async fn a_rebuild_of_named_players_fills_missing_copies_too() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().env("MILLRACE_REDIS_CACHE", "off").started().await;
    let maintain_cache = backends.maintain_cache().started().await;
    let players = players("p", 230);
    grant(&process_tasks, &players).await;
    let tier = tier(&backends.redis.url(), RedisMode::Standalone, backends.prefix()).await;
    put_copies(&tier, &[cached_copy(&players[7], 99, 66)]).await;
    backends.aws_proxy.reset_counts();
    let answer = invoke(&maintain_cache, json!({"action": "rebuild", "playerIds": players})).await;
    assert_eq!(number(&answer, "/rebuild/rebuilt"), 230, "{answer:#}");
    assert_eq!((backends.aws_proxy.count("BatchGetItem"), backends.aws_proxy.total()), (3, 3));
    assert_eq!(gold(&tier, &players).await, vec![Some(1); 230]);
}

/// The procedure after a row was restored from a backup. A clear is not enough, because afterwards
/// the cache refuses the restored version, which is older.
#[tokio::test]
async fn a_restored_row_is_cached_after_a_rebuild_but_not_after_a_clear() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off").started().await;
    let maintain_cache = backends.maintain_cache().started().await;
    let players = [player("p")];
    grant(&process_tasks, &players).await;
    let tier = tier(&backends.redis.url(), RedisMode::Standalone, backends.prefix()).await;
    // The table has version 1 and the cache has version 99.
    put_copies(&tier, &[cached_copy(&players[0], 99, 66)]).await;
    let answer = invoke(&maintain_cache, json!({"action": "clear", "playerIds": ["p"]})).await;
    assert_eq!(number(&answer, "/clear/cleared"), 1, "{answer:#}");
    grant(&process_tasks, &players).await;
    assert_eq!(gold(&tier, &players).await, [None], "the older version is not cached");
    let answer = invoke(&maintain_cache, json!({"action": "rebuild", "playerIds": ["p"]})).await;
    assert_eq!(number(&answer, "/rebuild/rebuilt"), 1, "{answer:#}");
    assert_eq!(gold(&tier, &players).await, [Some(2)]);
    grant(&process_tasks, &players).await;
    assert_eq!(gold(&tier, &players).await, [Some(3)]);
}

#[tokio::test]
async fn a_rebuild_keeps_progress_between_milestones() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().started().await;
    let maintain_cache = backends.maintain_cache().started().await;
    let players = [player("p")];
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"units": 100}}]});
    apply(&process_tasks, &players, &task).await;
    apply(&process_tasks, &players, &json!({"type": "reportProgress", "taskId": "t", "unitsDone": 40})).await;
    apply(&process_tasks, &players, &json!({"type": "reportProgress", "taskId": "t", "unitsDone": 44})).await;
    let tier = tier(&backends.redis.url(), RedisMode::Standalone, backends.prefix()).await;
    let cached_progress = async || {
        let copy = tier.get(&players).await.0.remove(0).expect("a copy");
        let CachedQueue { queue, progress_known } = &*copy;
        (queue.tasks[0].units_done, *progress_known)
    };
    assert_eq!(cached_progress().await, (44, true));
    backends.redis.cli::<i64>(&["DEL", &format!("{}queue:p", backends.prefix())]).await;
    let answer = invoke(&maintain_cache, json!({"action": "rebuild", "playerIds": ["p"]})).await;
    assert_eq!(number(&answer, "/rebuild/rebuilt"), 1, "{answer:#}");
    assert_eq!(cached_progress().await, (44, true), "the progress is read from the progress table");
}

#[tokio::test]
async fn rebuild_and_warm_are_refused_in_emergency_mode() {
    let backends = Backends::start().await;
    let maintain_cache = backends.maintain_cache().started().await;
    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": true, "durationSeconds": 600})).await;
    backends.aws_proxy.reset_counts();
    let (error_type, message) = invoke_error(&maintain_cache, json!({"action": "rebuild"})).await;
    assert_eq!(error_type, "EmergencyMode");
    assert!(message.contains("emergency mode is on until 20"), "{message}");
    let answer = invoke(&maintain_cache, json!({"action": "warm", "playerIds": ["p"]})).await;
    assert_eq!((&answer["warm"]["skipped"], &answer["warm"]["done"]), (&json!("emergencyMode"), &json!(true)));
    assert_eq!(backends.aws_proxy.total(), 0);
    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": false})).await;
    let answer = invoke(&maintain_cache, json!({"action": "rebuild"})).await;
    assert_eq!(answer["rebuild"]["done"], true, "{answer:#}");
}
