//! Events on an event bus, in a FIFO queue and in the events table, and what becomes of them if
//! these fail. All three are behind the proxy.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use millrace_domain::{
    CommandId, Event, EventData, PlayerId, Queue, RejectionReason, Timestamp,
    codec::{self, Outbox},
};
use millrace_servers::{Fault, rules};
use millrace_store::{QueueStore as _, QueueWrite, events_after};
use millrace_tests::{
    Function, Invocation,
    answers::{counts, failures},
    backends::Backends,
    event_targets::{EventTargets, QueuedEvent},
    sqs::{self, Message},
    store_contents::player,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{apply, failure_reasons, grants, messages, number, players, send};

const PUT: &str = "PutEvents";
const SEND: &str = "SendMessageBatch";

struct Fixture {
    backends: Backends,
    targets: EventTargets,
    function: Function,
}

impl Fixture {
    /// A function that publishes to a bus, a FIFO queue and the events table.
    async fn new() -> Self {
        Self::with_types(None).await
    }

    async fn with_types(types: Option<&str>) -> Self {
        let backends = Backends::start().await;
        let targets = EventTargets::new(&backends).await;
        let everywhere = format!("{},{},table", targets.bus(), targets.queue());
        let builder = backends.process_tasks().env("MILLRACE_EVENTS", everywhere);
        let builder = types.into_iter().fold(builder, |builder, types| builder.env("MILLRACE_EVENTS_TYPES", types));
        let function = builder.started().await;
        backends.aws_proxy.reset_counts();
        Self { backends, targets, function }
    }

    /// Another process with the same settings, and with nothing in its caches.
    async fn another(&self) -> Function {
        let _: String = self.backends.redis.cli(&["FLUSHALL"]).await;
        let everywhere = format!("{},{},table", self.targets.bus(), self.targets.queue());
        self.backends.process_tasks().env("MILLRACE_EVENTS", everywhere).started().await
    }

    /// The numbers of calls of the bus and of the FIFO queue.
    fn calls(&self) -> [u64; 2] {
        [PUT, SEND].map(|operation| self.backends.aws_proxy.count(operation))
    }

    /// The events of a player in the events table.
    async fn kept(&self, id: &PlayerId) -> Vec<String> {
        let read = events_after(self.backends.store(), id, Some(0), 1_000).await.expect("the rows are read");
        read.events.expect("nothing is gone").into_iter().map(|event| event.json).collect()
    }

    /// Asserts that the bus and the queue have these events, each at least once, and the queue in
    /// the order of each player. Takes them.
    async fn assert_published(&self, expected: &[String]) {
        let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
        let on_bus = self.targets.take_from_bus().await;
        let on_bus: BTreeSet<&str> = on_bus.iter().filter_map(|event| event["detail"]["eventId"].as_str()).collect();
        assert_eq!(on_bus, expected, "on the bus");
        let queued = self.targets.take_from_queue().await;
        let queued_ids: Vec<&str> = queued.iter().map(|event| event.deduplication_id.as_str()).collect();
        assert_eq!(queued_ids.len(), expected.len(), "the FIFO queue drops duplicates: {queued_ids:?}");
        assert_eq!(BTreeSet::from_iter(queued_ids), expected, "in the queue");
        for (at, event) in queued.iter().enumerate() {
            let earlier = queued[..at].iter().filter(|earlier| earlier.group == event.group);
            assert!(earlier.map(sequence).all(|earlier| earlier < sequence(event)), "out of order: {event:?}");
        }
    }
}

fn sequence(event: &QueuedEvent) -> u64 {
    let json: Value = serde_json::from_str(&event.body).expect("an event is JSON");
    json["sequence"].as_u64().expect("a sequence")
}

/// The ids of the events of these sequences of each player.
fn ids(players: &[PlayerId], sequences: &[u64]) -> Vec<String> {
    players.iter().flat_map(|player| sequences.iter().map(move |sequence| format!("{player}/{sequence}"))).collect()
}

/// A message for each player with a task that starts at once: two events.
fn starts(players: &[PlayerId], round: usize) -> Vec<Message> {
    messages(players, round, |_| {
        json!({"type": "enqueueTasks", "tasks": [
        {"taskId": format!("t-{round}"), "kind": "dig", "work": {"units": 4}, "payload": {"depth": [1.50]}}]})
    })
}

#[tokio::test]
async fn events_are_on_the_bus_in_the_queue_and_in_the_table() {
    let fixture = Fixture::new().await;
    let mut players = players(9);
    players.push(player(&"x".repeat(128)));
    let answer = apply(&fixture.function, &grants(&players, 0)).await;
    assert_eq!(answer["report"]["events"], json!({"published": 10, "calls": 2}));
    assert_eq!(fixture.calls(), [1, 1], "one call takes the events of ten players");
    let table = format!("{}events", fixture.backends.prefix());
    assert_eq!(fixture.backends.aws_proxy.count_on("BatchWriteItem", &table), 1);

    let (on_bus, queued) = (fixture.targets.take_from_bus().await, fixture.targets.take_from_queue().await);
    assert_eq!((on_bus.len(), queued.len()), (10, 10));
    for player in &players {
        let kept = fixture.kept(player).await;
        let event: Value = serde_json::from_str(&kept[0]).expect("an event is JSON");
        assert_eq!((kept.len(), &event["eventId"]), (1, &json!(format!("{player}/1"))));
        let bus = on_bus.iter().find(|bus| bus["detail"]["playerId"] == player.as_str()).expect("it is on the bus");
        assert_eq!((&bus["source"], &bus["detail-type"]), (&json!("millrace"), &json!("resourcesGranted")));
        assert_eq!(bus["detail"], event);
        let queued = queued.iter().find(|queued| queued.group == player.as_str()).expect("it is in the queue");
        assert_eq!(queued.body, kept[0], "the same bytes");
        let id = format!("{player}/1");
        let hash = Sha256::digest(&id).iter().fold(String::new(), |mut hash, byte| {
            let _ = write!(hash, "{byte:02x}");
            hash
        });
        assert_eq!(queued.deduplication_id, if id.len() > 128 { hash } else { id });
    }

    let again = send(&fixture.function, &grants(&players, 0)).await;
    assert_eq!((counts(&again).duplicate, &again["report"]["events"]), (10, &json!({"published": 0, "calls": 0})));
    assert_eq!(fixture.calls(), [1, 1], "a commit without events makes no call");
}

#[tokio::test]
async fn a_player_has_the_order_of_its_events_in_the_queue() {
    let fixture = Fixture::new().await;
    let players = players(12);
    let answer = apply(&fixture.function, &starts(&players, 0)).await;
    // The bus takes any ten events in a call. The queue gets the second event of a player once it
    // has the first one: ten players to a call.
    assert_eq!(answer["report"]["events"], json!({"published": 24, "calls": 7}));
    assert_eq!(fixture.calls(), [3, 4]);
    fixture.assert_published(&ids(&players, &[1, 2])).await;
}

#[tokio::test]
async fn types_limit_the_bus_and_the_queue_but_not_the_table() {
    let fixture = Fixture::with_types(Some("taskStarted,taskCompleted")).await;
    let players = players(2);
    let answer = apply(&fixture.function, &starts(&players, 0)).await;
    assert_eq!(answer["report"]["events"], json!({"published": 4, "calls": 2}));
    let answer = apply(&fixture.function, &grants(&players, 1)).await;
    assert_eq!(answer["report"]["events"], json!({"published": 2, "calls": 0}), "in the table only");
    assert_eq!(fixture.calls(), [1, 1]);
    fixture.assert_published(&ids(&players, &[2])).await;
    assert_eq!(fixture.kept(&players[0]).await.len(), 3);
}

#[tokio::test]
async fn entries_that_fail_for_a_passing_reason_are_sent_again() {
    let fixture = Fixture::new().await;
    let players = players(10);
    let proxy = &fixture.backends.aws_proxy;
    for (round, code) in ["InternalFailure", "ThrottlingException", "InternalError"].into_iter().enumerate() {
        let fault = Fault::entry_errors_every(3, code);
        proxy.set_rule(rules::first(2, |call| [PUT, SEND].contains(&call.operation.as_str()), fault));
        proxy.reset_counts();
        let answer = apply(&fixture.function, &grants(&players, round)).await;
        assert_eq!(answer["report"]["events"], json!({"published": 10, "calls": 4}), "{code}");
        assert_eq!((fixture.calls(), proxy.entries(PUT), proxy.entries(SEND)), ([2, 2], 13, 13), "{code}");
        fixture.assert_published(&ids(&players, &[round as u64 + 1])).await;
    }
}

#[tokio::test]
async fn calls_that_fail_for_a_passing_reason_are_sent_again() {
    let fixture = Fixture::new().await;
    let players = players(10);
    let proxy = &fixture.backends.aws_proxy;
    let faults = [Fault::throttled(), Fault::internal_server_error(), Fault::disconnect(), Fault::lose_answer()];
    for (round, fault) in faults.into_iter().enumerate() {
        let context = format!("{fault:?}");
        proxy.set_rule(rules::first(2, |call| [PUT, SEND].contains(&call.operation.as_str()), fault));
        proxy.reset_counts();
        let answer = apply(&fixture.function, &grants(&players, round)).await;
        assert_eq!(answer["report"]["events"], json!({"published": 10, "calls": 4}), "{context}");
        fixture.assert_published(&ids(&players, &[round as u64 + 1])).await;
    }
}

/// Asserts that a batch of ten players fails with `reason` where `fault` lets an operation fail,
/// and that the redelivery publishes the events, also by another process.
async fn assert_published_at_redelivery(fault: Fault, operation: &str, reason: &str, failed_players: &[usize]) {
    let fixture = Fixture::new().await;
    let players = players(10);
    let context = format!("{operation} {fault:?}");
    for (round, other) in [None, Some(fixture.another().await)].into_iter().enumerate() {
        fixture.backends.aws_proxy.set_rule(rules::on_operation(operation, fault.clone()));
        fixture.backends.aws_proxy.reset_counts();
        let batch = grants(&players, round);
        let answer = send(&fixture.function, &batch).await;
        let expected: Vec<String> = failed_players.iter().map(|at| batch[*at].id()).collect();
        assert_eq!(failures(&answer), expected, "{context}: {answer:#}");
        assert_eq!(failure_reasons(&answer), [reason], "{context}");
        let published = 10 - failed_players.len();
        assert_eq!(answer["report"]["events"], json!({"published": published, "calls": 2}), "{context}");
        assert_eq!(fixture.calls(), [1, 1], "{context}: what is refused for good is not repeated");
        assert_eq!(number(&answer, "/commits/committed"), 10, "{context}: the commands took effect");

        fixture.backends.aws_proxy.clear_rule();
        let left: Vec<Message> = failed_players.iter().map(|at| batch[*at].clone()).collect();
        let again = send(other.as_ref().unwrap_or(&fixture.function), &left).await;
        assert_eq!((counts(&again).duplicate, failures(&again).len()), (left.len() as u64, 0), "{context}: {again:#}");
        assert_eq!(number(&again, "/events/published"), left.len() as u64, "{context}");
        fixture.assert_published(&ids(&players, &[round as u64 + 1])).await;
    }
}

#[tokio::test]
async fn refused_entries_fail_their_players_and_are_published_at_redelivery() {
    let of_player = |name: &'static str| {
        move |entry: &millrace_servers::Entry<'_>| {
            [&entry.value["Detail"], &entry.value["MessageBody"]]
                .into_iter()
                .any(|json| json.as_str().is_some_and(|json| json.contains(&format!("\"{name}\""))))
        }
    };
    let refused = Fault::entry_errors("MalformedDetail", of_player("p-3"));
    assert_published_at_redelivery(refused, PUT, "events_refused", &[3]).await;
    let refused = Fault::entry_errors("InvalidMessageContents", of_player("p-4")).blaming_sender();
    assert_published_at_redelivery(refused, SEND, "events_refused", &[4]).await;
}

#[tokio::test]
async fn refused_calls_fail_their_players_and_are_published_at_redelivery() {
    let all: Vec<usize> = (0..10).collect();
    assert_published_at_redelivery(Fault::access_denied(), PUT, "access_denied", &all).await;
    let missing = Fault::error(400, "ResourceNotFoundException", "Event bus events does not exist.");
    assert_published_at_redelivery(missing, PUT, "events_refused", &all).await;
    let missing = Fault::error(400, "QueueDoesNotExist", "The specified queue does not exist.");
    assert_published_at_redelivery(missing, SEND, "no_such_queue", &all).await;
}

#[tokio::test]
async fn a_queue_that_does_not_exist_has_its_reason() {
    let backends = Backends::start().await;
    let queue = EventTargets::new(&backends).await.queue().replace("events.fifo", "missing.fifo");
    let function = backends.process_tasks().env("MILLRACE_EVENTS", queue).started().await;
    let answer = send(&function, &grants(&players(1), 0)).await;
    assert_eq!((failures(&answer).len(), failure_reasons(&answer)), (1, vec!["no_such_queue"]), "{answer:#}");
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_at_the_deadline() {
    let fixture = Fixture::new().await;
    let players = players(10);
    for (round, operation) in [PUT, SEND].into_iter().enumerate() {
        let hang = Fault::delay(Duration::from_secs(3_600));
        fixture.backends.aws_proxy.set_rule(rules::on_operation(operation, hang));
        let batch = grants(&players, round);
        let invocation = Invocation::from(sqs::standard(&batch)).within(Duration::from_secs(4));
        let answer = fixture.function.answer(invocation).await;
        assert_eq!((failures(&answer).len(), failure_reasons(&answer)), (10, vec!["deadline"]), "{operation}");
        fixture.backends.aws_proxy.clear_rule();
        let again = send(&fixture.function, &batch).await;
        assert_eq!((counts(&again).duplicate, number(&again, "/events/published")), (10, 10), "{again:#}");
        fixture.assert_published(&ids(&players, &[round as u64 + 1])).await;
    }
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_publishes_loses_no_event() {
    let fixture = Fixture::new().await;
    let all = players(20);
    for (players, operation) in all.chunks(10).zip([PUT, SEND]) {
        let hang = Fault::delay(Duration::from_secs(3_600));
        fixture.backends.aws_proxy.set_rule(rules::on_operation(operation, hang));
        fixture.backends.aws_proxy.reset_counts();
        let (killed, next) = (fixture.another().await, fixture.another().await);
        let batch = starts(players, 0);
        let invoked = async { killed.invoke(&sqs::standard(&batch)).await };
        let kill = async {
            while fixture.backends.aws_proxy.count(operation) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            killed.kill().await
        };
        assert!(tokio::join!(invoked, kill).0.is_err(), "{operation}: the process answers nothing");
        fixture.backends.aws_proxy.clear_rule();
        let again = send(&next, &batch).await;
        assert_eq!((counts(&again).duplicate, failures(&again).len()), (10, 0), "{again:#}");
        fixture.assert_published(&ids(players, &[1, 2])).await;
        assert_eq!(fixture.kept(&players[0]).await.len(), 2);
    }
}

/// A row whose commit has led to one event of about `bytes`, which is not published.
fn row_with_large_event(player_id: &PlayerId, bytes: usize) -> QueueWrite {
    let mut queue = Queue::new(player_id.clone(), Timestamp::from_millis(sqs::START_MS));
    (queue.version, queue.event_sequence) = (1, 1);
    let data = EventData::CommandRejected {
        command_id: CommandId::new("c").expect("an allowed name"),
        reason: RejectionReason::UnknownTask,
        detail: "x".repeat(bytes).into(),
    };
    let event = Event { sequence: 1, at: queue.advanced_to, data };
    let outbox = Outbox { records: Vec::new(), events: vec![event] };
    QueueWrite {
        player_id: player_id.clone(),
        expected: 0,
        version: 1,
        queue: codec::encode(&queue),
        outbox: Some(codec::encode(&outbox)),
        due_at: None,
        due_before: None,
    }
}

#[tokio::test]
async fn a_call_has_at_most_a_megabyte() {
    let fixture = Fixture::new().await;
    let players = players(10);
    for player in &players {
        let outcomes = fixture.backends.store().commit(&[row_with_large_event(player, 240_000)]).await.outcomes;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    let answer = apply(&fixture.function, &grants(&players, 1)).await;
    // Four events of 240 kB to a call, and then ten small ones.
    assert_eq!(answer["report"]["events"], json!({"published": 20, "calls": 8}));
    assert_eq!(fixture.calls(), [4, 4]);
    fixture.assert_published(&ids(&players, &[1, 2])).await;
}
