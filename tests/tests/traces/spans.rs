//! The spans of an invocation, their parents and attributes.

use millrace_servers::{Fault, rules};
use millrace_tests::{
    backends::Backends,
    database::Database,
    http::Request,
    sqs,
    traces::{OtlpCollector, Span, XRayDaemon, children, find},
};
use serde_json::json;

use crate::{FUNCTION_SEGMENT, TRACE_ID, message, sampled, traced};

const STEPS: [&str; 7] = ["decode", "load", "apply", "commit", "record", "publish", "refresh"];

/// Every span but the first lies inside of its parent.
fn assert_nested(spans: &[Span]) {
    for span in &spans[1..] {
        let parent = spans.iter().find(|parent| parent.id == span.parent);
        let parent = parent.unwrap_or_else(|| panic!("no parent of {span:?}"));
        assert!(parent.nanos.0 <= span.nanos.0 && span.nanos.1 <= parent.nanos.1, "{span:?} in {parent:?}");
        assert!(span.nanos.0 <= span.nanos.1);
        assert_eq!(span.trace_id, TRACE_ID);
    }
}

#[tokio::test]
async fn each_step_is_a_subsegment_below_the_segment_of_the_function() {
    let (database, daemon) = (Database::new(), XRayDaemon::start().await);
    let function = traced(&database, &daemon).await;
    function.answer(sampled(sqs::standard(&[message(1, "p-1")]))).await;
    let spans = daemon.take().await;
    let root = &spans[0];
    assert_eq!(
        (root.name.as_str(), root.parent.as_str(), root.trace_id.as_str()),
        ("handler", FUNCTION_SEGMENT, TRACE_ID)
    );
    assert_eq!(root.attributes["faas.coldstart"], true);
    assert!(root.attributes.contains_key("faas.invocation_id"));
    let steps = [&STEPS[..], &["correct_due_entries", "answer"]].concat();
    let mut found = children(&spans, root);
    found.retain(|name| steps.contains(name));
    assert_eq!(found.iter().copied().collect::<std::collections::BTreeSet<_>>(), steps.iter().copied().collect());
    for (step, call) in [("load", "sqlite"), ("commit", "sqlite")] {
        assert!(children(&spans, find(&spans, step)).contains(&call), "{step} of {spans:#?}");
    }
    assert_nested(&spans);
}

#[tokio::test]
async fn each_call_to_dynamodb_and_redis_is_a_span() {
    let (backends, collector) = (Backends::start().await, OtlpCollector::start().await);
    let function = backends.process_tasks().env("MILLRACE_TRACES", collector.setting()).started().await;
    backends.aws_proxy.reset_counts();
    let messages: Vec<_> = (0..3).map(|at| message(at, &format!("p-{at}"))).collect();
    function.answer(sampled(sqs::standard(&messages))).await;
    let spans = collector.take();
    let root = &spans[0];
    assert_eq!(
        (root.name.as_str(), root.kind.as_str(), root.parent.as_str()),
        ("process-tasks", "server", FUNCTION_SEGMENT)
    );
    assert_nested(&spans);
    let load = find(&spans, "load");
    assert_eq!(children(&spans, load), ["redis", "DynamoDB.BatchGetItem"]);
    assert_eq!(children(&spans, find(&spans, "commit")), ["DynamoDB.BatchExecuteStatement"]);
    assert_eq!(children(&spans, find(&spans, "refresh")), ["redis"]);
    let calls: u64 = ["BatchGetItem", "BatchExecuteStatement", "BatchWriteItem"]
        .map(|operation| backends.aws_proxy.count(operation))
        .iter()
        .sum();
    assert_eq!(spans.iter().filter(|span| span.name.starts_with("DynamoDB.")).count() as u64, calls);
    let call = find(&spans, "DynamoDB.BatchGetItem");
    for (name, value) in [
        ("db.system.name", json!("aws.dynamodb")),
        ("db.operation.name", json!("BatchGetItem")),
        ("db.collection.name", json!(format!("{}queues", backends.prefix()))),
        ("rpc.service", json!("DynamoDB")),
    ] {
        assert_eq!(call.attributes[name], value, "{name}");
    }
    assert_eq!(call.kind, "client");
    assert!(!call.failed);
    let pipeline = find(&spans, "redis");
    assert_eq!((pipeline.kind.as_str(), &pipeline.attributes["db.system.name"]), ("client", &json!("redis")));
}

#[tokio::test]
async fn a_failed_call_is_a_failed_span_with_its_reason() {
    let (backends, daemon) = (Backends::start().await, XRayDaemon::start().await);
    let function = backends.process_tasks().env("AWS_XRAY_DAEMON_ADDRESS", daemon.address()).started().await;
    backends.aws_proxy.set_rule(rules::first(1, |call| call.operation == "PutItem", Fault::throttled()));
    function.answer(sampled(sqs::standard(&[message(1, "p-1")]))).await;
    let documents = daemon.take_documents().await;
    let steps = documents[0]["subsegments"].as_array().expect("steps");
    let commit = steps.iter().find(|step| step["name"] == "commit").expect("a commit");
    let calls = commit["subsegments"].as_array().expect("calls");
    let shown: Vec<_> = calls.iter().map(|call| (&call["name"], &call["aws"]["operation"], &call["fault"])).collect();
    let (name, operation) = (&json!("DynamoDB"), &json!("PutItem"));
    assert_eq!(shown, [(name, operation, &json!(true)), (name, operation, &json!(false))]);
    assert_eq!(calls[0]["cause"]["exceptions"][0]["type"], "store_throttled");
    assert_eq!(calls[0]["namespace"], "aws");
    assert_eq!(calls[0]["aws"]["table_name"], format!("{}queues", backends.prefix()));
}

#[tokio::test]
async fn a_request_is_a_span_with_its_route_and_status() {
    let (database, collector) = (Database::new(), OtlpCollector::start().await);
    let api = database.queue_api().env("MILLRACE_TRACES", collector.setting()).started().await;
    let request = Request::get("/players/p-1/queue").trusted();
    let response = request.send_as(&api, sampled(request.payload())).await;
    let spans = collector.take();
    assert_eq!(children(&spans, &spans[0]), ["queue"]);
    let request = find(&spans, "queue");
    assert_eq!(request.attributes["http.response.status_code"], response.status);
    assert_eq!(request.attributes["http.request.method"], "GET");
    assert_nested(&spans);
}

#[tokio::test]
async fn spans_have_no_payloads_and_no_players() {
    let (backends, collector) = (Backends::start().await, OtlpCollector::start().await);
    let function = backends.process_tasks().env("MILLRACE_TRACES", collector.setting()).started().await;
    function.answer(sampled(sqs::standard(&[message(1, "player-of-this-test")]))).await;
    let shown = format!("{:?}", collector.take());
    assert!(shown.contains("DynamoDB"), "{shown}");
    for secret in ["player-of-this-test", "must-not-be-shown", "dig"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
