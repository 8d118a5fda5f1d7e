//! No Redis, a Redis that is away, silent or locked, a table in trouble, bad requests.

use std::time::{Duration, Instant};

use millrace_servers::{Fault, Redis};
use millrace_tests::{Invocation, backends::BackEnds, tables::Database};
use serde_json::{Value, json};

use crate::{grant, invoke, number, players, refusal, started};

/// A request of each action.
fn requests() -> [Value; 7] {
    [
        json!({"action": "warm"}),
        json!({"action": "warm", "playerIds": ["p-0"]}),
        json!({"action": "clear"}),
        json!({"action": "rebuild"}),
        json!({"action": "emergencyMode", "enabled": true}),
        json!({"action": "statistics"}),
        json!({"action": "upkeep"}),
    ]
}

#[tokio::test]
async fn without_redis_each_action_says_so() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let unset = database.function("maintain-cache");
    let off = unset.clone().env("MILLRACE_REDIS_URL", redis.url()).env("MILLRACE_REDIS_CACHE", "off");
    for setup in [unset, off] {
        let function = started(setup).await;
        for request in requests() {
            let answer = invoke(&function, request.clone()).await;
            assert_eq!((&answer["action"], &answer["redis"]), (&request["action"], &json!("off")), "{answer:#}");
            assert_eq!(answer["report"]["cache"]["emergency"], false);
            for part in ["warm", "clear", "rebuild", "emergencyMode"] {
                assert!(answer.get(part).is_none_or(|part| part["done"] == true), "{answer:#}");
            }
        }
        let answer = invoke(&function, json!({"action": "warm"})).await;
        assert_eq!((&answer["warm"]["skipped"], number(&answer, "/warm/filled")), (&json!("redisOff"), 0));
        let answer = invoke(&function, json!({"action": "emergencyMode", "enabled": true})).await;
        assert_eq!(answer["emergencyMode"]["enabled"], false, "nobody would hear of it");
    }
    assert_eq!(redis.cli::<u64>(&["DBSIZE"]).await, 0);
}

#[tokio::test]
async fn a_redis_that_is_away_is_a_clear_error_and_back_again_it_is_used() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let setup = database.function("maintain-cache").env("MILLRACE_REDIS_URL", redis.url());
    let function = started(setup.env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "2000")).await;
    redis.kill();
    for request in requests() {
        let (error_type, message) = refusal(&function, request.clone()).await;
        assert_eq!(error_type, "CacheUnavailable", "{request}");
        assert!(message.starts_with("the shared cache cannot be used: "), "{message}");
    }
    redis.restart().await;
    let answer = invoke(&function, json!({"action": "statistics"})).await;
    assert_eq!(answer["redis"], "up", "whatever the breaker says: {answer:#}");
}

#[tokio::test]
async fn a_redis_that_is_silent_is_waited_for_until_the_deadline_at_most() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let function = started(database.function("maintain-cache").env("MILLRACE_REDIS_URL", redis.url())).await;
    redis.pause();
    for request in requests() {
        let began = Instant::now();
        // Of which half a second is left for the answer.
        let invocation = Invocation::from(&request).within(Duration::from_secs(4));
        let (error_type, message) = refusal(&function, invocation).await;
        assert_eq!(error_type, "CacheUnavailable", "{message}");
        assert!(began.elapsed() < Duration::from_millis(3_900), "{request} took {:?}", began.elapsed());
    }
    redis.resume();
}

#[tokio::test]
async fn a_wrong_password_is_named_and_not_shown() {
    let (database, redis) = (Database::new(), Redis::builder().requirepass("right").start().await);
    let setup = database.function("maintain-cache").env("MILLRACE_REDIS_URL", redis.url_as("default", "hunter2"));
    let function = started(setup.env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "2000")).await;
    let (error_type, message) = refusal(&function, json!({"action": "clear"})).await;
    assert_eq!(error_type, "CacheUnavailable");
    assert!(message.contains("Password authentication failed"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn a_user_who_may_not_look_through_the_keys_is_told_so() {
    let rules = "on >secret ~t-* -@all +get +mget +set +getrange +del +evalsha +script|load";
    let (database, redis) = (Database::new(), Redis::builder().user("app", rules).start().await);
    let setup = database.function("maintain-cache").env("MILLRACE_REDIS_URL", redis.url_as("app", "secret"));
    let function = started(setup.env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "2000")).await;
    let (error_type, message) = refusal(&function, json!({"action": "clear"})).await;
    assert_eq!(error_type, "CacheUnavailable");
    assert!(message.contains("NOPERM"), "{message}");
}

#[tokio::test]
async fn a_table_in_trouble_is_a_clear_error_and_asked_once() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks().env("MILLRACE_REDIS_CACHE", "off")).await;
    let players = players("p", 300);
    grant(&process_tasks, &players).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    back_ends.dynamodb.set_rule(|_| Fault::access_denied());
    back_ends.dynamodb.reset_counts();
    for request in [json!({"action": "warm", "playerIds": players}), json!({"action": "rebuild", "playerIds": players})]
    {
        let (error_type, message) = refusal(&maintain_cache, request).await;
        assert_eq!(error_type, "StoreUnavailable", "{message}");
    }
    assert_eq!(back_ends.dynamodb.count("BatchGetItem"), 2, "the other players are left in peace");
    for request in [json!({"action": "warm"}), json!({"action": "upkeep"})] {
        assert_eq!(refusal(&maintain_cache, request).await.0, "StoreUnavailable");
    }
    // What needs no table is done.
    assert_eq!(invoke(&maintain_cache, json!({"action": "clear"})).await["clear"]["done"], true);
    assert_eq!(invoke(&maintain_cache, json!({"action": "statistics"})).await["redis"], "up");
    back_ends.dynamodb.clear_rule();
    let answer = invoke(&maintain_cache, json!({"action": "warm", "playerIds": players})).await;
    assert_eq!(number(&answer, "/warm/filled"), 300, "{answer:#}");
}

#[tokio::test]
async fn bad_requests_are_refused_by_the_name_of_what_is_wrong() {
    let database = Database::new();
    let function = started(database.function("maintain-cache")).await;
    let cases = [
        ("", "not JSON"),
        ("[1]", "[1] is not allowed"),
        ("{}", "action: missing; allowed: warm, clear, rebuild, emergencyMode, statistics, upkeep"),
        (r#"{"Records": []}"#, "action: missing"),
        (r#"{"action": "explode"}"#, "action: `explode` is not allowed; allowed: warm"),
        (
            r#"{"action": "warm", "maxplayers": 5}"#,
            "maxplayers: unknown field of `warm`; allowed: playerIds, maxPlayers",
        ),
        (r#"{"action": "clear", "playerIds": ["p 1"]}"#, "playerIds[0]: `p 1` is not allowed here"),
        (
            r#"{"action": "emergencyMode", "enabled": true, "durationSeconds": 100000}"#,
            "durationSeconds: 100000 is not",
        ),
    ];
    for (payload, expected) in cases {
        let (error_type, message) = refusal(&function, payload).await;
        assert_eq!(error_type, "BadRequest", "{payload}");
        assert!(message.starts_with(expected), "{payload}: {message}");
    }
}
