//! Thresholds of the performance history: a change is published once, on an event bus, in a FIFO
//! queue and on a channel of Redis.

use std::time::Duration;

use millrace_domain::Timestamp;
use millrace_tests::{
    Function,
    backends::Backends,
    clock::ClockFile,
    event_targets::EventTargets,
    sqs::{self, Message},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Subscribes to the channel of Redis.
async fn subscribe(backends: &Backends) -> TcpStream {
    let mut subscriber = TcpStream::connect(backends.redis.address()).await.expect("a connection");
    let subscribe = format!("SUBSCRIBE {}thresholds\r\n", backends.prefix());
    subscriber.write_all(subscribe.as_bytes()).await.expect("it is sent");
    let mut answer = [0; 256];
    assert!(subscriber.read(&mut answer).await.expect("an answer") > 0);
    subscriber
}

/// What was published on the channel so far.
async fn received(subscriber: &mut TcpStream) -> String {
    let (mut text, mut bytes) = (String::new(), [0; 8_192]);
    while let Ok(read) = timeout(Duration::from_millis(200), subscriber.read(&mut bytes)).await {
        text.push_str(std::str::from_utf8(&bytes[..read.expect("a message")]).expect("UTF-8"));
    }
    text
}

async fn watcher(name: &str, backends: &Backends, targets: &EventTargets, clock: &ClockFile) -> Function {
    let function = backends.function(name).env("MILLRACE_REDIS_URL", backends.redis.url());
    let events = format!("{},{}", targets.bus(), targets.queue());
    function.env("MILLRACE_CLOCK_FILE", clock.path()).env("MILLRACE_EVENTS", events).started().await
}

async fn advance_queues(backends: &Backends, targets: &EventTargets, clock: &ClockFile) -> Function {
    watcher("advance-queues", backends, targets, clock).await
}

/// Passes the limit of malformed input in the minute of the clock.
async fn send_malformed_input(backends: &Backends, clock: &ClockFile) {
    let process_tasks = backends.process_tasks().env("MILLRACE_CLOCK_FILE", clock.path()).started().await;
    let messages: Vec<_> = (0..11).map(|number| Message::new(number, "no JSON")).collect();
    process_tasks.answer(&sqs::standard(&messages)).await;
    process_tasks.terminate().await;
}

#[tokio::test]
async fn several_processes_publish_a_change_once() {
    let backends = Backends::start().await;
    let targets = EventTargets::new(&backends).await;
    let start = Timestamp::parse("2026-11-20T12:00:30Z").expect("a time");
    let clock = ClockFile::at(start);
    send_malformed_input(&backends, &clock).await;
    let (one, other) =
        tokio::join!(advance_queues(&backends, &targets, &clock), advance_queues(&backends, &targets, &clock));
    let mut subscriber = subscribe(&backends).await;
    let run = async || {
        let answers = tokio::join!(one.answer("{}"), other.answer("{}"));
        [answers.0, answers.1]
    };
    run().await;
    assert!(targets.take_from_bus().await.is_empty(), "the minute is not over");
    clock.set(start + 60_000);
    for _ in 0..3 {
        run().await;
    }
    let from_queue = targets.take_from_queue().await;
    assert_eq!(from_queue.len(), 1, "{from_queue:?}");
    let queued = &from_queue[0];
    assert_eq!((queued.group.as_str(), queued.deduplication_id.as_str()), ("#malformed", "#malformed/1"));
    let event: Value = serde_json::from_str(&queued.body).expect("JSON");
    assert_eq!((&event["type"], &event["state"]), (&json!("thresholdCrossed"), &json!("passed")), "{event:#}");
    assert_eq!((&event["value"], &event["limit"], &event["at"]), (&json!(11.0), &json!(10.0), &json!(start + 60_000)));
    let from_bus = targets.take_from_bus().await;
    assert_eq!(from_bus.len(), 1, "{from_bus:?}");
    assert_eq!((&from_bus[0]["source"], &from_bus[0]["detail-type"]), (&json!("millrace"), &json!("thresholdCrossed")));
    assert_eq!(from_bus[0]["detail"], event);
    let announced = received(&mut subscriber).await;
    assert_eq!(announced.matches(&queued.body).count(), 1, "{announced}");
    assert_eq!(announced.matches("thresholdCrossed").count(), 1, "{announced}");

    clock.set(start + 6 * 60_000);
    run().await;
    let ended: Value = serde_json::from_str(&targets.take_from_queue().await[0].body).expect("JSON");
    assert_eq!((&ended["eventId"], &ended["state"]), (&json!("#malformed/2"), &json!("ok")));
    assert_eq!(targets.take_from_bus().await.len(), 1);
}

#[tokio::test]
async fn without_changes_a_run_takes_one_round_trip_to_redis() {
    let backends = Backends::start().await;
    let advance = backends.function("advance-queues").env("MILLRACE_REDIS_URL", backends.redis.url()).started().await;
    advance.answer("{}").await;
    let after_first = advance.answer("{}").await;
    let after_second = advance.answer("{}").await;
    let round_trips = |answer: &Value| {
        let redis = answer.pointer("/report/statistics/redis").expect("statistics");
        ["get", "put", "forget", "upkeep"].map(|call| redis[call]["roundTrips"].as_u64().expect("a count"))
    };
    // A report is made before the thresholds are watched: it shows the round trips of earlier runs.
    assert_eq!((round_trips(&after_first), round_trips(&after_second)), ([0, 0, 0, 1], [0, 0, 0, 2]));
}

#[tokio::test]
async fn maintain_cache_publishes_a_change_where_advance_queues_does_not_reach_redis() {
    let backends = Backends::start().await;
    let targets = EventTargets::new(&backends).await;
    let start = Timestamp::parse("2026-11-20T12:00:30Z").expect("a time");
    let clock = ClockFile::at(start);
    send_malformed_input(&backends, &clock).await;
    let maintain_cache = watcher("maintain-cache", &backends, &targets, &clock).await;
    clock.set(start + 60_000);
    for _ in 0..2 {
        let answer = maintain_cache.answer(json!({"action": "watchThresholds"})).await;
        assert_eq!(answer["action"], json!("watchThresholds"), "{answer:#}");
    }
    let published = targets.take_from_queue().await;
    assert_eq!(published.len(), 1, "{published:?}");
    assert_eq!(published[0].deduplication_id, "#malformed/1");
}
