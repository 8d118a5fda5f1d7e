//! The trace of an invocation, and the one that events and ticks get.

use millrace_domain::Timestamp;
use millrace_tests::{
    Function, Invocation,
    database::Database,
    due_queues::insert_queues,
    event_calls::EventCalls,
    eventbridge,
    http::Request,
    sqs::{self, Message},
    traces::{OtlpCollector, Span, XRayDaemon, find},
};
use serde_json::json;

use crate::{SAMPLED, TRACE_ID, enqueue, message, sampled};

const OTHER: &str = "Root=1-6759e988-000000000000000000000002;Parent=0000000000000022;Sampled=1";
const OTHER_LINK: &str = "6759e988000000000000000000000002-0000000000000022";
const THIRD: &str = "Root=1-6759e988-000000000000000000000003;Parent=0000000000000033;Sampled=0";
const TRACEPARENT: &str = "00-6759e988000000000000000000000002-0000000000000022-01";

struct Fixture {
    database: Database,
    calls: EventCalls,
    collector: OtlpCollector,
    function: Function,
}

impl Fixture {
    /// A function that publishes to a bus and a queue, and exports over OTLP.
    async fn new(name: &str) -> Self {
        let (database, calls, collector) = (Database::new(), EventCalls::start().await, OtlpCollector::start().await);
        let events = format!("eventbridge:events,sqs:{}", calls.queue_url("events.fifo"));
        let function = calls.serve(database.function(name)).env("MILLRACE_EVENTS", events);
        let function = function.env("MILLRACE_TRACES", collector.setting()).started().await;
        Self { database, calls, collector, function }
    }

    /// The trace headers of all events, from the bus and from the queue.
    fn headers(&self) -> [Vec<String>; 2] {
        ["PutEvents", "SendMessageBatch"]
            .map(|operation| self.calls.take(operation).iter().flat_map(|call| call.trace_headers()).collect())
    }
}

/// The header of a call inside of this span.
fn header(span: &Span) -> String {
    format!("Root=1-{}-{};Parent={};Sampled=1", &span.trace_id[..8], &span.trace_id[8..], span.id)
}

#[tokio::test]
async fn events_continue_the_trace_of_their_message() {
    let fixture = Fixture::new("process-tasks").await;
    let batch = sqs::standard(&[
        message(1, "p-1").trace_header(OTHER),
        message(2, "p-2").trace_header(THIRD),
        message(3, "p-3").attribute("traceparent", TRACEPARENT),
        message(4, "p-4").attribute("AWSTraceHeader", OTHER),
    ]);
    fixture.function.answer(sampled(batch)).await;
    let spans = fixture.collector.take();
    assert_eq!(spans[0].trace_id, TRACE_ID, "the trace of Lambda is continued");
    assert_eq!(spans[0].links, [OTHER_LINK, "6759e988000000000000000000000003-0000000000000033"]);
    for mut headers in fixture.headers() {
        headers.sort();
        headers.dedup();
        assert_eq!(headers, [OTHER, THIRD]);
    }
}

#[tokio::test]
async fn events_of_a_message_without_a_trace_belong_to_the_call_that_sends_them() {
    let fixture = Fixture::new("process-tasks").await;
    fixture.function.answer(sampled(sqs::standard(&[message(1, "p-1")]))).await;
    let spans = fixture.collector.take();
    for (operation, name) in [("PutEvents", "EventBridge.PutEvents"), ("SendMessageBatch", "SQS.SendMessageBatch")] {
        let calls = fixture.calls.take(operation);
        let expected = header(find(&spans, name));
        assert_eq!(calls[0].trace, expected);
        assert!(calls[0].trace_headers().iter().all(|header| *header == expected), "{calls:?}");
        assert_eq!(find(&spans, name).parent, find(&spans, "publish").id);
        assert_eq!(find(&spans, name).kind, "producer");
    }
}

#[tokio::test]
async fn without_lambda_the_trace_of_the_one_message_is_continued() {
    let fixture = Fixture::new("process-tasks").await;
    let batch = sqs::standard(&[message(1, "p-1").trace_header(OTHER)]);
    fixture.function.answer(Invocation::from(batch).trace("")).await;
    let spans = fixture.collector.take();
    let root = &spans[0];
    assert_eq!(format!("{}-{}", root.trace_id, root.parent), OTHER_LINK);
    assert!(root.links.is_empty());
    let [on_bus, _] = fixture.headers();
    assert_eq!(on_bus[0], header(find(&spans, "EventBridge.PutEvents")));

    let not_sampled = sqs::standard(&[message(2, "p-2").trace_header(THIRD)]);
    fixture.function.answer(Invocation::from(not_sampled).trace("")).await;
    assert!(fixture.collector.take().is_empty());
}

#[tokio::test]
async fn an_event_of_eventbridge_names_its_trace() {
    let fixture = Fixture::new("process-tasks").await;
    let mut event = eventbridge::command("e-1", Timestamp::from_millis(sqs::START_MS), &enqueue("p-1"));
    event["trace-header"] = json!(OTHER);
    let mut in_queue = eventbridge::command("e-2", Timestamp::from_millis(sqs::START_MS), &enqueue("p-2"));
    in_queue["trace-header"] = json!(OTHER);
    for payload in [event, sqs::standard(&[Message::new(1, in_queue)])] {
        fixture.function.answer(sampled(payload)).await;
        assert_eq!(fixture.collector.take()[0].links, [OTHER_LINK]);
        let headers = fixture.headers().concat();
        assert!(!headers.is_empty() && headers.iter().all(|header| header == OTHER), "{headers:?}");
    }
    // A header in another form fails nothing.
    let mut event = eventbridge::command("e-3", Timestamp::from_millis(sqs::START_MS), &enqueue("p-3"));
    event["trace-header"] = json!({"a": 1});
    fixture.function.answer(sampled(event)).await;
    assert!(fixture.collector.take()[0].links.is_empty());
}

#[tokio::test]
async fn a_request_names_its_trace() {
    let fixture = Fixture::new("queue-api").await;
    for (number, name, value) in [(1, "traceparent", TRACEPARENT), (2, "X-Amzn-Trace-Id", OTHER)] {
        let path = format!("/players/p-{number}/commands");
        let request = Request::post(&path, &enqueue(&format!("p-{number}"))).trusted().header(name, value);
        request.send_as(&fixture.function, sampled(request.payload())).await.expect(200);
        let spans = fixture.collector.take();
        assert_eq!((spans[0].trace_id.as_str(), &spans[0].links[..]), (TRACE_ID, &[OTHER_LINK.to_owned()][..]));
        let headers = fixture.headers().concat();
        assert!(!headers.is_empty() && headers.iter().all(|header| header == OTHER), "{headers:?}");
    }
    let request = Request::get("/players/p-1/queue").trusted().header("traceparent", TRACEPARENT);
    request.send_as(&fixture.function, Invocation::from(request.payload()).trace("")).await;
    let root = &fixture.collector.take()[0];
    assert_eq!(format!("{}-{}", root.trace_id, root.parent), OTHER_LINK);
}

#[tokio::test]
async fn ticks_belong_to_the_call_that_sends_them() {
    let fixture = Fixture::new("advance-queues").await;
    let function = fixture.calls.serve(fixture.database.function("advance-queues"));
    let function = function.env("MILLRACE_TICKS_QUEUE_URL", fixture.calls.queue_url("ticks"));
    let function = function.env("MILLRACE_TRACES", fixture.collector.setting()).started().await;
    let now = Timestamp::from_millis(sqs::START_MS);
    insert_queues(&fixture.database.store().await, now, &[now + 1]).await;
    function.answer(sampled(json!({}))).await;
    let spans = fixture.collector.take();
    let call = find(&spans, "SQS.SendMessageBatch");
    assert_eq!(call.attributes["messaging.destination.name"], "ticks");
    assert_eq!(call.parent, find(&spans, "send_ticks").id);
    assert_eq!(fixture.calls.take("SendMessageBatch")[0].trace_headers(), [header(call)]);
}

#[tokio::test]
async fn traces_are_passed_on_where_nothing_is_recorded() {
    let (database, calls, daemon) = (Database::new(), EventCalls::start().await, XRayDaemon::start().await);
    let not_sampled = SAMPLED.replace("Sampled=1", "Sampled=0");
    for traces in ["off", "xray"] {
        let function = calls.serve(database.process_tasks()).env("MILLRACE_EVENTS", "eventbridge:events");
        let function = function.env("AWS_XRAY_DAEMON_ADDRESS", daemon.address()).env("MILLRACE_TRACES", traces);
        let function = function.started().await;
        for (player, header, expected) in [("p-1", Some(OTHER), OTHER), ("p-2", None, &not_sampled)] {
            let message = message(1, &format!("{player}-{traces}"));
            let message = header.into_iter().fold(message, Message::trace_header);
            function.answer(Invocation::from(sqs::standard(&[message])).trace(&not_sampled)).await;
            let call = &calls.take("PutEvents")[0];
            assert!(call.trace_headers().iter().all(|header| header == expected), "{call:?}");
        }
    }
    assert!(daemon.take().await.is_empty());
}
