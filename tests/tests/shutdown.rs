//! SIGTERM ends the function at once and cleanly, whatever API it runs under.

use std::time::{Duration, Instant};

use millrace_tests::{
    answers::counts,
    sqs::{self, Message},
    tables::Database,
};
use serde_json::json;

#[tokio::test]
async fn sigterm_ends_the_function_with_success_and_in_time() {
    for extensions in [true, false] {
        let database = Database::new();
        let function = database.process_tasks().extensions(extensions).start().await.expect("a start");
        let grant = json!({"type": "grantResources", "playerId": "p-1", "resources": {"gold": 1}});
        let answer = function.invoke(sqs::standard(&[Message::new(1, grant)])).await.expect("an answer");
        assert_eq!(counts(&answer).applied, 1);
        let begun = Instant::now();
        let status = function.terminate().await;
        assert_eq!(status.code(), Some(0), "extensions {extensions}: {status}");
        // Lambda kills after half a second; the machine that runs the tests may be busy.
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(function.stderr(), "");
        assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 1);
    }
}

#[tokio::test]
async fn without_an_extensions_api_the_function_starts_and_answers() {
    let database = Database::new();
    let function = database.process_tasks().extensions(false).start().await.expect("a start");
    let answer = function.invoke(sqs::standard(&[])).await.expect("an answer");
    assert_eq!(answer["report"]["coldStart"], true);
    let answer = function.invoke(sqs::standard(&[])).await.expect("an answer");
    assert_eq!(answer["report"]["coldStart"], false);
}

#[tokio::test]
async fn every_line_of_the_log_is_json_and_names_its_request() {
    let database = Database::new();
    let function = database.process_tasks().start().await.expect("a start");
    let bad = Message::new(1, "no json");
    let answer = function.invoke(sqs::standard(&[bad])).await.expect("an answer");
    function.terminate().await;
    let log = function.log();
    assert!(!log.is_empty());
    assert!(log.iter().all(serde_json::Value::is_object), "{log:#?}");
    let request = &answer["report"]["requestId"];
    assert!(log.iter().any(|line| &line["request_id"] == request), "no line of {request} in {log:#?}");
}
