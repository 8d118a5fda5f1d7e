//! The function ends on SIGTERM, with and without an Extensions API.

use std::time::{Duration, Instant};

use millrace_tests::{
    answers::counts,
    database::Database,
    sqs::{self, Message},
};
use serde_json::json;

#[tokio::test]
async fn sigterm_ends_the_function_in_time_and_with_exit_code_0() {
    for has_extensions_api in [true, false] {
        let database = Database::new();
        let function = database.process_tasks().extensions_api(has_extensions_api).started().await;
        let grant = json!({"type": "grantResources", "playerId": "p-1", "resources": {"gold": 1}});
        let answer = function.answer(sqs::standard(&[Message::new(1, grant)])).await;
        assert_eq!(counts(&answer).applied, 1);
        let begun = Instant::now();
        let status = function.terminate().await;
        assert_eq!(status.code(), Some(0), "Extensions API {has_extensions_api}: {status}");
        // Lambda allows half a second. This is more, because the machine of the tests may be busy.
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(function.stderr(), "");
        assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 1);
    }
}

#[tokio::test]
async fn the_function_starts_and_answers_without_an_extensions_api() {
    let database = Database::new();
    let function = database.process_tasks().extensions_api(false).started().await;
    let answer = function.answer(sqs::standard(&[])).await;
    assert_eq!(answer["report"]["coldStart"], true);
    let answer = function.answer(sqs::standard(&[])).await;
    assert_eq!(answer["report"]["coldStart"], false);
}

#[tokio::test]
async fn log_lines_are_json_and_have_the_request_id() {
    let (_database, function) = Database::with_process_tasks().await;
    let bad = Message::new(1, "no json");
    let answer = function.answer(sqs::standard(&[bad])).await;
    function.terminate().await;
    let log = function.log();
    assert!(!log.is_empty());
    assert!(log.iter().all(serde_json::Value::is_object), "{log:#?}");
    let request = &answer["report"]["requestId"];
    assert!(log.iter().any(|line| &line["request_id"] == request), "no line has the request id {request}: {log:#?}");
}
