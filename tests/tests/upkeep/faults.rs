//! Errors of Redis and of the table, and invalid requests.

use std::time::{Duration, Instant};

use millrace_servers::{Fault, Redis};
use millrace_tests::{Invocation, answers::number, backends::Backends, database::Database};
use serde_json::{Value, json};

use crate::{grant, invoke, invoke_error, players};

/// A request for each action.
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
async fn every_action_is_skipped_without_redis() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let unset = database.function("maintain-cache");
    let off = unset.clone().env("MILLRACE_REDIS_URL", redis.url()).env("MILLRACE_REDIS_CACHE", "off");
    for builder in [unset, off] {
        let function = builder.started().await;
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
        assert_eq!(answer["emergencyMode"]["enabled"], false, "other processes could not see it");
    }
    assert_eq!(redis.cli::<u64>(&["DBSIZE"]).await, 0);
}

#[tokio::test]
async fn an_unreachable_redis_is_an_error_until_it_is_back() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let builder = database.function("maintain-cache").env("MILLRACE_REDIS_URL", redis.url());
    let function = builder.env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "2000").started().await;
    redis.kill();
    for request in requests() {
        let (error_type, message) = invoke_error(&function, request.clone()).await;
        assert_eq!(error_type, "CacheUnavailable", "{request}");
        assert!(message.starts_with("the shared cache cannot be used: "), "{message}");
    }
    redis.restart().await;
    let answer = invoke(&function, json!({"action": "statistics"})).await;
    assert_eq!(answer["redis"], "up", "upkeep ignores the circuit breaker: {answer:#}");
}

#[tokio::test]
async fn an_unresponsive_redis_is_an_error_before_the_time_out() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let function = database.function("maintain-cache").env("MILLRACE_REDIS_URL", redis.url()).started().await;
    redis.pause();
    for request in requests() {
        let began = Instant::now();
        // The deadline margin leaves half a second for the answer.
        let invocation = Invocation::from(&request).within(Duration::from_secs(4));
        let (error_type, message) = invoke_error(&function, invocation).await;
        assert_eq!(error_type, "CacheUnavailable", "{message}");
        assert!(began.elapsed() < Duration::from_millis(3_900), "{request} took {:?}", began.elapsed());
    }
    redis.resume();
}

#[tokio::test]
async fn a_wrong_password_is_reported_without_the_password() {
    let (database, redis) = (Database::new(), Redis::builder().requirepass("right").start().await);
    let builder = database.function("maintain-cache").env("MILLRACE_REDIS_URL", redis.url_as("default", "hunter2"));
    let function = builder.env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "2000").started().await;
    let (error_type, message) = invoke_error(&function, json!({"action": "clear"})).await;
    assert_eq!(error_type, "CacheUnavailable");
    assert!(message.contains("Password authentication failed"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn a_redis_user_without_permission_to_scan_gets_that_error() {
    let rules = "on >secret ~t-* -@all +get +getex +mget +set +getrange +del +evalsha +script|load";
    let (database, redis) = (Database::new(), Redis::builder().user("app", rules).start().await);
    let builder = database.function("maintain-cache").env("MILLRACE_REDIS_URL", redis.url_as("app", "secret"));
    let function = builder.env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "2000").started().await;
    let (error_type, message) = invoke_error(&function, json!({"action": "clear"})).await;
    assert_eq!(error_type, "CacheUnavailable");
    assert!(message.contains("NOPERM"), "{message}");
}

#[tokio::test]
async fn an_error_of_the_table_is_reported_after_one_call() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().env("MILLRACE_REDIS_CACHE", "off").started().await;
    let players = players("p", 300);
    grant(&process_tasks, &players).await;
    let maintain_cache = backends.maintain_cache().started().await;
    backends.aws_proxy.set_rule(|_| Fault::access_denied());
    backends.aws_proxy.reset_counts();
    for request in [json!({"action": "warm", "playerIds": players}), json!({"action": "rebuild", "playerIds": players})]
    {
        let (error_type, message) = invoke_error(&maintain_cache, request).await;
        assert_eq!(error_type, "StoreUnavailable", "{message}");
    }
    assert_eq!(backends.aws_proxy.count("BatchGetItem"), 2, "one call for each request, without the other players");
    for request in [json!({"action": "warm"}), json!({"action": "upkeep"})] {
        assert_eq!(invoke_error(&maintain_cache, request).await.0, "StoreUnavailable");
    }
    // Actions that do not need the table succeed.
    assert_eq!(invoke(&maintain_cache, json!({"action": "clear"})).await["clear"]["done"], true);
    assert_eq!(invoke(&maintain_cache, json!({"action": "statistics"})).await["redis"], "up");
    backends.aws_proxy.clear_rule();
    let answer = invoke(&maintain_cache, json!({"action": "warm", "playerIds": players})).await;
    assert_eq!(number(&answer, "/warm/filled"), 300, "{answer:#}");
}

#[tokio::test]
async fn invalid_requests_are_refused_with_the_name_of_the_field() {
    let database = Database::new();
    let function = database.function("maintain-cache").started().await;
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
        let (error_type, message) = invoke_error(&function, payload).await;
        assert_eq!(error_type, "BadRequest", "{payload}");
        assert!(message.starts_with(expected), "{payload}: {message}");
    }
}
