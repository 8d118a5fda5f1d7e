//! Wrong copies made right.

use millrace_cache::{SharedCache, redis::RedisMode};
use millrace_domain::{PlayerId, codec::CachedQueue};
use millrace_tests::{backends::BackEnds, stored::player};
use serde_json::json;

use crate::{apply, copy, grant, invoke, number, plant, players, refusal, started, tier};

/// The gold of each player's copy.
async fn gold(tier: &impl SharedCache, players: &[PlayerId]) -> Vec<Option<u64>> {
    let (found, errors) = tier.get(players).await;
    assert_eq!(errors, 0);
    found.iter().map(|copy| copy.as_ref().map(|copy| copy.queue.balances.get("gold"))).collect()
}

#[tokio::test]
async fn copies_that_are_wrong_in_any_way() {
    let back_ends = BackEnds::start().await;
    let redis = back_ends.redis.url();
    let process_tasks = started(back_ends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off")).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    let names = ["future", "same", "past", "damaged", "right", "absent"];
    let rows = names.map(player);
    for _ in 0..2 {
        grant(&process_tasks, &rows).await;
    }
    let key = |name: &str| format!("{}queue:{name}", back_ends.prefix());
    for name in names.iter().filter(|name| **name != "right") {
        back_ends.redis.cli::<i64>(&["DEL", &key(name)]).await;
    }
    let tier = tier(&redis, RedisMode::Standalone, back_ends.prefix()).await;
    let nobody = player("nobody");
    plant(&tier, &[copy(&rows[0], 99, 66), copy(&rows[1], 2, 66), copy(&rows[2], 1, 66), copy(&nobody, 3, 66)]).await;
    let damaged = format!("{:033}pnonsense", 7);
    back_ends.redis.cli::<()>(&["SET", &key("damaged"), &damaged]).await;

    // A copy that claims to be newer harms no decision, and makes every one cost a conflict.
    for _ in 0..2 {
        let answer = grant(&process_tasks, &rows[..1]).await;
        assert_eq!(number(&answer, "/report/commits/conflicts"), 1, "{answer:#}");
    }
    let answer = invoke(&maintain_cache, json!({"action": "rebuild"})).await;
    assert_eq!(number(&answer, "/rebuild/rebuilt"), 5, "{answer:#}");
    assert_eq!(number(&answer, "/rebuild/removed"), 1, "{answer:#}");
    assert_eq!((number(&answer, "/rebuild/players"), &answer["rebuild"]["done"]), (6, &json!(true)));
    assert_eq!(gold(&tier, &rows).await, [Some(4), Some(2), Some(2), Some(2), Some(2), None]);
    assert!(!back_ends.redis.cli::<bool>(&["EXISTS", &key("nobody")]).await);
    let answer = grant(&process_tasks, &rows).await;
    assert_eq!(number(&answer, "/report/commits/conflicts"), 0, "{answer:#}");
    assert_eq!(gold(&tier, &rows).await, [Some(5), Some(3), Some(3), Some(3), Some(3), Some(3)]);
}

#[tokio::test]
async fn players_by_name_cached_or_not() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks().env("MILLRACE_REDIS_CACHE", "off")).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    let players = players("p", 230);
    grant(&process_tasks, &players).await;
    let tier = tier(&back_ends.redis.url(), RedisMode::Standalone, back_ends.prefix()).await;
    plant(&tier, &[copy(&players[7], 99, 66)]).await;
    back_ends.dynamodb.reset_counts();
    let answer = invoke(&maintain_cache, json!({"action": "rebuild", "playerIds": players})).await;
    assert_eq!(number(&answer, "/rebuild/rebuilt"), 230, "{answer:#}");
    assert_eq!((back_ends.dynamodb.count("BatchGetItem"), back_ends.dynamodb.total()), (3, 3));
    assert_eq!(gold(&tier, &players).await, vec![Some(1); 230]);
}

/// What to do after a row was restored: clearing keeps the restored queue out, as it would any older copy.
#[tokio::test]
async fn a_restored_row_is_cached_again_after_a_rebuild_and_not_after_a_clear() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off")).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    let one = [player("p")];
    grant(&process_tasks, &one).await;
    let tier = tier(&back_ends.redis.url(), RedisMode::Standalone, back_ends.prefix()).await;
    // The table has version 1, and everybody had seen version 99.
    plant(&tier, &[copy(&one[0], 99, 66)]).await;
    let answer = invoke(&maintain_cache, json!({"action": "clear", "playerIds": ["p"]})).await;
    assert_eq!(number(&answer, "/clear/cleared"), 1, "{answer:#}");
    grant(&process_tasks, &one).await;
    assert_eq!(gold(&tier, &one).await, [None], "what is older is kept out");
    let answer = invoke(&maintain_cache, json!({"action": "rebuild", "playerIds": ["p"]})).await;
    assert_eq!(number(&answer, "/rebuild/rebuilt"), 1, "{answer:#}");
    assert_eq!(gold(&tier, &one).await, [Some(2)]);
    grant(&process_tasks, &one).await;
    assert_eq!(gold(&tier, &one).await, [Some(3)]);
}

#[tokio::test]
async fn progress_between_milestones_is_not_lost() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks()).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    let one = [player("p")];
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"units": 100}}]});
    apply(&process_tasks, &one, &task).await;
    apply(&process_tasks, &one, &json!({"type": "reportProgress", "taskId": "t", "unitsDone": 40})).await;
    apply(&process_tasks, &one, &json!({"type": "reportProgress", "taskId": "t", "unitsDone": 44})).await;
    let tier = tier(&back_ends.redis.url(), RedisMode::Standalone, back_ends.prefix()).await;
    let held = async || {
        let copy = tier.get(&one).await.0.remove(0).expect("a copy");
        let CachedQueue { queue, progress_known } = &*copy;
        (queue.tasks[0].units_done, *progress_known)
    };
    assert_eq!(held().await, (44, true));
    back_ends.redis.cli::<i64>(&["DEL", &format!("{}queue:p", back_ends.prefix())]).await;
    let answer = invoke(&maintain_cache, json!({"action": "rebuild", "playerIds": ["p"]})).await;
    assert_eq!(number(&answer, "/rebuild/rebuilt"), 1, "{answer:#}");
    assert_eq!(held().await, (44, true), "from the progress table");
}

#[tokio::test]
async fn not_in_emergency_mode() {
    let back_ends = BackEnds::start().await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": true, "durationSeconds": 600})).await;
    back_ends.dynamodb.reset_counts();
    let (error_type, message) = refusal(&maintain_cache, json!({"action": "rebuild"})).await;
    assert_eq!(error_type, "EmergencyMode");
    assert!(message.contains("emergency mode is on until 20"), "{message}");
    let answer = invoke(&maintain_cache, json!({"action": "warm", "playerIds": ["p"]})).await;
    assert_eq!((&answer["warm"]["skipped"], &answer["warm"]["done"]), (&json!("emergencyMode"), &json!(true)));
    assert_eq!(back_ends.dynamodb.total(), 0);
    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": false})).await;
    let answer = invoke(&maintain_cache, json!({"action": "rebuild"})).await;
    assert_eq!(answer["rebuild"]["done"], true, "{answer:#}");
}
