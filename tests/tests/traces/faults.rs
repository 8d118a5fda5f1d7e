//! Daemons and collectors that do not answer; traces that are off or not sampled.

use std::net::UdpSocket;

use hyper::StatusCode;
use millrace_tests::{
    Function, Invocation,
    database::Database,
    sqs,
    traces::{OtlpCollector, XRayDaemon},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{SAMPLED, message, sampled, traced};

async fn apply(function: &Function, number: u64, trace: &str) {
    let batch = sqs::standard(&[message(number, &format!("p-{number}"))]);
    let answer = function.answer(Invocation::from(batch).trace(trace)).await;
    assert_eq!(answer["report"]["commands"]["applied"], 1, "{answer:#}");
}

fn warnings(function: &Function) -> Vec<Value> {
    function.log().into_iter().filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").collect()
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_sends_nothing() {
    let (database, daemon) = (Database::new(), XRayDaemon::start().await);
    let function = traced(&database, &daemon).await;
    let undecided = SAMPLED.replace(";Sampled=1", "");
    let not_sampled = SAMPLED.replace("Sampled=1", "Sampled=0");
    for (number, trace) in [(1, not_sampled.as_str()), (2, undecided.as_str()), (3, ""), (4, "no trace")] {
        apply(&function, number, trace).await;
        assert_eq!(daemon.take_documents().await, Vec::<Value>::new(), "{trace}");
    }
    apply(&function, 5, SAMPLED).await;
    assert_eq!(daemon.take_documents().await.len(), 1);
    assert!(warnings(&function).is_empty());
}

#[tokio::test]
async fn over_otlp_lambda_decides_too() {
    let (database, collector) = (Database::new(), OtlpCollector::start().await);
    let function = database.process_tasks().env("MILLRACE_TRACES", collector.setting()).started().await;
    apply(&function, 1, &SAMPLED.replace("Sampled=1", "Sampled=0")).await;
    assert!(collector.take_requests().is_empty());
    apply(&function, 2, "").await;
    assert_eq!(collector.take_requests().len(), 1, "without Lambda, each trace is recorded");
}

#[tokio::test]
async fn traces_can_be_off() {
    let (database, daemon) = (Database::new(), XRayDaemon::start().await);
    let function = database.process_tasks().env("AWS_XRAY_DAEMON_ADDRESS", daemon.address());
    let function = function.env("MILLRACE_TRACES", "off").started().await;
    apply(&function, 1, SAMPLED).await;
    assert!(daemon.take_documents().await.is_empty());
}

#[tokio::test]
async fn a_dead_daemon_costs_nothing() {
    let database = Database::new();
    // Nothing listens there.
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let function = database.process_tasks().env("AWS_XRAY_DAEMON_ADDRESS", free.to_string()).started().await;
    for number in 1..4 {
        apply(&function, number, SAMPLED).await;
    }
    assert!(warnings(&function).is_empty(), "{:?}", function.log());
}

#[tokio::test]
async fn a_daemon_without_an_address_does_not_fail_the_start() {
    let database = Database::new();
    let function = database.process_tasks().env("AWS_XRAY_DAEMON_ADDRESS", "no address").started().await;
    apply(&function, 1, SAMPLED).await;
    assert!(function.stderr().starts_with("traces are off: the X-Ray daemon at no address"), "{}", function.stderr());
}

#[tokio::test]
async fn a_failing_collector_is_left_alone_for_a_while() {
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // It accepts connections and does not answer.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let failing = OtlpCollector::answering(StatusCode::SERVICE_UNAVAILABLE).await;
    for (address, reason) in [
        (refused, "refused"),
        (silent.local_addr().unwrap(), "no answer in time"),
        (failing.address(), "the status 503"),
    ] {
        let database = Database::new();
        let function = database.process_tasks().env("MILLRACE_TRACES", format!("otlp:http://{address}"));
        let function = function.started().await;
        for number in 1..4 {
            apply(&function, number, SAMPLED).await;
        }
        let warnings = warnings(&function);
        assert_eq!(warnings.len(), 1, "one attempt in three invocations: {warnings:?}");
        assert_eq!(warnings[0]["pause_s"], 30);
        assert!(warnings[0]["reason"].as_str().is_some_and(|text| text.contains(reason)), "{reason}: {warnings:?}");
    }
    assert_eq!(failing.take_requests().len(), 1);
}

#[tokio::test]
async fn a_failed_invocation_is_a_failed_span() {
    let (database, collector) = (Database::new(), OtlpCollector::start().await);
    let api = database.queue_api().env("MILLRACE_TRACES", collector.setting()).started().await;
    assert!(api.invoke(sampled(json!({"no": "request"}))).await.is_err());
    let spans = collector.take();
    assert!(spans[0].failed);
    assert_eq!(spans[0].attributes["error.type"], "NotAnHttpRequest");
}
