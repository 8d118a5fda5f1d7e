//! The line of metrics of each invocation, written by the real functions.

use std::fs;

use jsonschema::Validator;
use millrace_telemetry::{Metric, Usage};
use millrace_tests::{
    Function,
    database::{Database, RowDamage},
    http::Request,
    sqs,
    sqs::Message,
};
use serde_json::{Value, json};

fn grant(player: &str) -> Value {
    json!({"type": "grantResources", "playerId": player, "resources": {"gold": 1}})
}

fn cancel(player: &str) -> Value {
    json!({"type": "cancelTask", "playerId": player, "taskId": "none"})
}

fn enqueue(player: &str) -> Value {
    json!({"type": "enqueueTasks", "playerId": player, "tasks": [
        {"taskId": "t", "kind": "k", "work": {"units": 100, "heartbeatMs": 1000}}]})
}

/// A validator of the embedded metric format.
fn schema() -> Validator {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/emf.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(file).expect("the file")).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

/// Asserts what CloudWatch demands of a line, and that the line has the metrics of the list.
fn assert_embedded_metric_format(line: &Value) {
    let errors: Vec<String> = schema().iter_errors(line).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{line:#}\n{errors:?}");
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().expect("an array") {
        let named = |list: &Value| -> Vec<String> {
            list.as_array().expect("an array").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
        };
        for dimension in directive["Dimensions"].as_array().expect("an array").iter().flat_map(named) {
            assert!(line[&dimension].is_string(), "{dimension} in {line:#}");
            assert!(["service", "function_name"].contains(&dimension.as_str()), "{dimension} has few values");
        }
        for metric in directive["Metrics"].as_array().expect("an array") {
            let name = metric["Name"].as_str().expect("a name");
            assert!(line[name].is_number(), "{name} in {line:#}");
            let definition = Metric::ALL.map(Metric::definition).into_iter().find(|metric| metric.name == name);
            let definition = definition.unwrap_or_else(|| panic!("{name} is not in the list"));
            assert!(definition.published, "{name}");
            let unit = metric["Unit"].as_str().unwrap_or("None");
            assert_eq!(json!(unit), json!(definition.unit), "{name}");
        }
    }
}

/// The only line of metrics of a function. Panics if it is not one, or not well-formed.
fn only_line(function: &Function) -> Value {
    let lines = function.metrics();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_embedded_metric_format(&lines[0]);
    lines[0].clone()
}

fn usage_of(cost: &Value) -> Usage {
    let count = |name: &str| cost[name].as_u64().unwrap_or_else(|| panic!("{name} in {cost}"));
    Usage {
        lambda_mib_ms: count("lambdaMibMs"),
        invocations: count("invocations"),
        half_read_units: count("halfReadUnits"),
        write_units: count("writeUnits"),
        fifo_requests: count("fifoRequests"),
        standard_requests: count("standardRequests"),
        published_events: count("publishedEvents"),
        http_requests: count("httpRequests"),
    }
}

#[tokio::test]
async fn the_metrics_of_commands_equal_the_report() {
    let (_database, function) = Database::with_process_tasks().await;
    let messages = [
        Message::new(1, grant("p-1")),
        Message::new(2, enqueue("p-1")),
        Message::new(3, cancel("p-1")),
        Message::new(4, cancel("p-2")),
        Message::new(5, json!({"type": "noSuchCommand"})),
    ];
    let answer = function.answer(sqs::standard(&messages)).await;
    let (line, report) = (only_line(&function), &answer["report"]);
    for (metric, path) in [
        ("CommandsReceived", "/commands/received"),
        ("CommandsApplied", "/commands/applied"),
        ("CommandsDuplicate", "/commands/duplicate"),
        ("CommandsRejected", "/commands/rejected"),
        ("CommandsMalformed", "/commands/malformed"),
        ("CommandsFailed", "/commands/failed"),
        ("ProcessingTime", "/processingTimeMs"),
        ("Players", "/players"),
        ("CacheLookups", "/cache/lookups"),
        ("CacheHits", "/cache/hits"),
        ("Commits", "/commits/committed"),
        ("Conflicts", "/commits/conflicts"),
        ("RecordsWritten", "/writes/items"),
        ("RoundTripsSaved", "/writes/roundTripsSaved"),
        ("AttemptsTimedOut", "/attemptsTimedOut"),
        ("ResidentMemory", "/memory/residentBytes"),
        ("EstimatedCost", "/cost/microdollars"),
        ("WriteUnits", "/cost/writeUnits"),
        ("Records.rejections", "/writes/byTable/rejections/items"),
        ("Rejected.unknown_task", "/reasons/rejected/unknown_task"),
    ] {
        // A field of 0 that is no metric is left out.
        let (shown, expected) = (line[metric].as_f64().unwrap_or_default(), report.pointer(path));
        assert_eq!(Some(shown), expected.and_then(Value::as_f64), "{metric} and {path}");
    }
    let calls = ["loads", "commits", "writes"].map(|step| report[step]["calls"].as_u64().expect("a number"));
    assert_eq!(line["RoundTrips"].as_u64(), Some(calls.iter().sum()));
    assert_eq!((&line["Messages"], line.get("Ticks"), &line["ColdStart"]), (&json!(5), None, &json!(1)));
    assert_eq!((&line["service"], &line["function_name"]), (&json!("millrace"), &json!("process-tasks")));
    assert_eq!(line["request_id"], report["requestId"]);
    let message = line["message"].as_str().expect("a message");
    assert!(message.starts_with("processed: 5 commands of 2 players, 2 applied"), "{message}");
}

#[tokio::test]
async fn messages_that_are_handed_back_are_counted() {
    let (database, function) = Database::with_process_tasks().await;
    function.answer(sqs::standard(&[Message::new(1, grant("p-1"))])).await;
    // A new process has no cached copy of the row.
    function.kill().await;
    database.damage_row("p-1", RowDamage::FlippedByte);
    let function = database.process_tasks().started().await;
    function.answer(sqs::standard(&[Message::new(2, grant("p-1")), Message::new(3, grant("p-2"))])).await;
    let line = only_line(&function);
    let counts = ["Messages", "MessagesFailed", "CommandsFailed", "Failed.row_unreadable"].map(|name| &line[name]);
    assert_eq!(counts, [&json!(2), &json!(1), &json!(1), &json!(1)], "{line:#}");
}

#[tokio::test]
async fn the_estimated_cost_is_that_of_the_counted_units() {
    let (_database, function) = Database::with_process_tasks().await;
    let messages: Vec<Message> = (0..12).map(|n| Message::new(n, enqueue(&format!("p-{n}")))).collect();
    let cost = function.answer(sqs::standard(&messages)).await["report"]["cost"].clone();
    let usage = usage_of(&cost);
    assert_eq!(cost["microdollars"].as_f64(), Some(usage.microdollars()));
    // Twelve messages are received and deleted in two requests each. Twelve queues are missing,
    // which costs a unit each for the queue. Each commit writes a row under 1 KB and a due entry.
    assert_eq!((usage.standard_requests, usage.fifo_requests, usage.http_requests), (4, 0, 0));
    assert_eq!((usage.half_read_units, usage.write_units, usage.invocations), (2 * 12, 2 * 12, 1));
    assert_eq!(usage.lambda_mib_ms % 256, 0, "the memory of the function is 256 MiB: {usage:?}");
}

#[tokio::test]
async fn every_function_writes_one_line_for_each_invocation() {
    let database = Database::new();
    for (name, payload, message) in [
        ("advance-queues", json!({}), "advanced: 0 queues due"),
        ("maintain-cache", json!({"action": "statistics"}), "upkeep done: statistics"),
    ] {
        let function = database.function(name).started().await;
        function.answer(&payload).await;
        let line = only_line(&function);
        assert!(line["message"].as_str().expect("a message").starts_with(message), "{line:#}");
        function.answer(&payload).await;
        let lines = function.metrics();
        assert_eq!([&lines[0]["ColdStart"], &lines[1]["ColdStart"]], [&json!(1), &json!(0)]);
    }
}

#[tokio::test]
async fn requests_are_counted_by_status() {
    let database = Database::new();
    let api = database.queue_api().started().await;
    let commands = json!({"commands": [{"type": "grantResources", "resources": {"gold": 1}}]});
    Request::post("/players/p-1/commands", &commands).trusted().send(&api).await.expect(200);
    for (target, status) in [("/players/p-1/queue", 200), ("/players/p-2/queue", 404), ("/nowhere", 404)] {
        Request::get(target).trusted().send(&api).await.expect(status);
    }
    let upkeep = Request::new("POST", "/admin/cache/warm").trusted().send(&api).await.expect(200);
    assert_eq!(upkeep["report"]["cost"]["httpRequests"], 1);
    let lines = api.metrics();
    lines.iter().for_each(assert_embedded_metric_format);
    let counts = |name: &str| -> Vec<u64> { lines.iter().map(|line| line[name].as_u64().unwrap_or(0)).collect() };
    assert_eq!(counts("Requests"), [1, 1, 1, 1, 1]);
    assert_eq!(counts("RequestsRefused"), [0, 0, 1, 1, 0]);
    assert_eq!(counts("RequestsFailed"), [0, 0, 0, 0, 0]);
    assert_eq!(counts("Reads"), [0, 1, 0, 0, 0]);
    assert_eq!(counts("CommandsApplied"), [1, 0, 0, 0, 0]);
    assert_eq!(counts("CacheHits"), [0, 1, 0, 0, 0]);
    assert_eq!(counts("Usage.httpRequests"), [1, 1, 1, 1, 1]);
    assert!(lines.iter().all(|line| line.get("Messages").is_none()), "commands over HTTP are no messages");
    assert_eq!((&lines[1]["route"], &lines[1]["message"]), (&json!("queue"), &json!("answered: GET queue with 200")));
}

#[tokio::test]
async fn an_invocation_that_fails_has_its_line() {
    let database = Database::new();
    let function = database.function("maintain-cache").started().await;
    function.invoke(json!({"action": "dance"})).await.expect_err("an unknown action");
    let line = only_line(&function);
    assert_eq!((&line["level"], &line["ColdStart"]), (&json!("ERROR"), &json!(1)));
    assert!(
        line["error_type"].is_string() && line["message"].as_str().expect("text").starts_with("failed: "),
        "{line}"
    );
}

#[tokio::test]
async fn settings_choose_the_namespace_or_switch_metrics_off() {
    let database = Database::new();
    let namespace = |line: &Value| line["_aws"]["CloudWatchMetrics"][0]["Namespace"].clone();
    let function = database.process_tasks().env("MILLRACE_METRICS_NAMESPACE", "Game/eu").env("MILLRACE_LOG", "off");
    let function = function.started().await;
    function.answer(grant("p-1")).await;
    assert_eq!(namespace(&only_line(&function)), "Game/eu");
    assert_eq!(function.log().len(), 1, "the level of the logs does not matter");

    let function = database.process_tasks().env("MILLRACE_METRICS", "log").started().await;
    function.answer(grant("p-1")).await;
    assert!(function.metrics().is_empty());
    let lines = function.log();
    assert!(lines.iter().any(|line| line["CommandsApplied"] == 1), "{lines:?}");

    let function = database.process_tasks().env("MILLRACE_METRICS", "off").started().await;
    function.answer(grant("p-1")).await;
    assert!(function.metrics().is_empty());
}
