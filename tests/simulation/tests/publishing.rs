//! Events are published after the commit and before the acknowledgement, at least once.

use std::{sync::Arc, time::Duration};

use millrace_domain::{FailureReason, PlayerId, Record, event::EventType, record::Table};
use millrace_pipeline::{Failure, Invocation, PipelineSettings, Publishing};
use millrace_simulation::{
    Options, Process,
    destination::{DestinationFault, FakeDestination},
    failed_message_ids, grant_gold, invocation, throttled,
};
use millrace_store::memory::Operation;
use serde_json::{Value, json};
use tokio::time::timeout;

fn unavailable() -> Failure {
    Failure::new(FailureReason::EventsUnavailable, "simulated")
}

fn refused() -> Failure {
    Failure::new(FailureReason::EventsRefused, "simulated")
}

/// A command that leads to two events: a task is queued and starts.
fn start_task(player: &str) -> Value {
    let task = json!({"taskId": "t-1", "kind": "dig", "work": {"units": 100}});
    json!({"type": "enqueueTasks", "playerId": player, "commandId": "start", "tasks": [task]})
}

/// The next command, which also leads to two events: the task fails, and the queue is empty.
fn end_task(player: &str) -> Value {
    json!({"type": "failTask", "playerId": player, "commandId": "end", "taskId": "t-1", "reason": "broken",
        "retry": false})
}

fn publishing_to(destination: &Arc<FakeDestination>) -> Process {
    Process::new().start_another(destination.options())
}

/// Publishes only these types, and to the table if `table` is set.
fn limited(destination: &Arc<FakeDestination>, types: &[EventType], table: bool) -> Process {
    let options = destination.options();
    let publishing = options.publishing.map(|publishing| Publishing {
        types: Some(types.iter().map(|event_type| event_type.as_str()).collect()),
        table,
        ..publishing
    });
    Process::new().start_another(Options { publishing, ..options })
}

fn ids(player: &str, sequences: impl IntoIterator<Item = u64>) -> Vec<String> {
    sequences.into_iter().map(|sequence| format!("{player}/{sequence}")).collect()
}

#[tokio::test]
async fn ten_players_with_one_event_each_take_one_call() {
    let destination = FakeDestination::unordered();
    let process = publishing_to(&destination);
    let report = process.send_to_each("m", 10, |_, player| grant_gold(player, 1)).await.report;
    assert_eq!((report.events.published, report.events.calls), (10, 1));
    assert_eq!(serde_json::to_value(report.events).unwrap(), json!({"published": 10, "calls": 1}));
    let mut accepted = destination.accepted_ids();
    accepted.sort();
    assert_eq!(accepted, (0..10).flat_map(|at| ids(&format!("p{at}"), [1])).collect::<Vec<_>>());
}

#[tokio::test]
async fn commit_without_events_makes_no_call() {
    let destination = FakeDestination::unordered();
    let process = limited(&destination, &[EventType::TaskStarted], false);
    let report = process.send("m", &grant_gold("p", 1)).await.report;
    assert_eq!((report.commits.committed, report.events.published, report.events.calls), (1, 0, 0));
    let process = publishing_to(&destination);
    process.send("m", &grant_gold("p", 1)).await;
    let again = process.send("m", &grant_gold("p", 1)).await.report;
    assert_eq!((again.commands.duplicate, again.events.calls), (1, 0), "a duplicate changes nothing");
}

#[tokio::test]
async fn events_are_no_rows_unless_the_table_is_on() {
    let destination = FakeDestination::unordered();
    let process = publishing_to(&destination);
    process.send("m", &start_task("p")).await;
    assert!(process.store.records(Table::Events).is_empty());
    let process = limited(&destination, &[], true);
    let report = process.send("m", &start_task("q")).await.report;
    assert_eq!((report.events.published, report.events.calls), (2, 0));
    let rows = |table| report.writes.by_table[&table].items;
    assert_eq!((rows(Table::Events), rows(Table::Stats), report.writes.calls), (1, 1, 2));
    let rows = process.store.records(Table::Events);
    assert!(matches!(&rows[..], [Record::Events(row)] if row.events.len() == 2), "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn events_that_are_refused_for_a_passing_reason_are_sent_again() {
    let destination = FakeDestination::unordered();
    let process = publishing_to(&destination);
    destination.set_faults(|call, event| match call == 0 && event.sequence == 2 {
        true => DestinationFault::Refuse(unavailable()),
        false => DestinationFault::None,
    });
    let answer = process.send("m", &start_task("p")).await;
    assert_eq!((answer.report.events.published, answer.report.events.calls), (2, 2));
    assert_eq!(destination.calls(), [ids("p", [1, 2]), ids("p", [2])]);
    assert!(answer.batch_item_failures.is_empty());
}

#[tokio::test(start_paused = true)]
async fn unpublished_events_fail_their_player_and_are_published_at_the_next_load() {
    for failure in [unavailable(), refused()] {
        let destination = FakeDestination::unordered();
        let process = publishing_to(&destination);
        let expected = failure.reason;
        destination.set_faults(move |_, event| match event.group == "p3" {
            true => DestinationFault::Refuse(failure.clone()),
            false => DestinationFault::None,
        });
        let answer = process.send_to_each("m", 10, |_, player| start_task(player)).await;
        assert_eq!(failed_message_ids(&answer), ["m3"]);
        assert_eq!(answer.results[0].failure, Some(expected));
        assert_eq!((answer.report.events.published, answer.report.events.failed), (18, 2));
        assert_eq!(answer.report.commits.committed, 10, "the command took effect");

        destination.clear_faults();
        let again = process.send("m3", &start_task("p3")).await;
        assert_eq!((again.report.commands.duplicate, again.report.events.published), (1, 2));
        assert_eq!(destination.accepted_ids()[18..], ids("p3", [1, 2]));
        assert_eq!(process.queue("p3").tasks.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn failed_call_fails_the_players_of_that_call_only() {
    let destination = FakeDestination::unordered();
    let process = publishing_to(&destination);
    destination.set_faults(|_, event| match event.group == "p0" {
        true => DestinationFault::FailCall(refused()),
        false => DestinationFault::None,
    });
    let answer = process.send_to_each("m", 10, |_, player| start_task(player)).await;
    assert_eq!(failed_message_ids(&answer), ["m0", "m1", "m2", "m3", "m4"]);
    assert_eq!(answer.report.events.calls, 2, "a call that is refused for good is not repeated");
}

#[tokio::test(start_paused = true)]
async fn ordered_destination_gets_an_event_once_the_earlier_ones_are_accepted() {
    let destination = FakeDestination::ordered();
    let process = publishing_to(&destination);
    destination.set_faults(|call, event| match call < 2 && event.group == "p1" {
        true => DestinationFault::Refuse(unavailable()),
        false => DestinationFault::None,
    });
    let report = process.send_to_each("m", 3, |_, player| start_task(player)).await.report;
    assert_eq!((report.events.published, report.events.calls), (6, 4));
    let players = |sequence| (0..3).flat_map(|at| ids(&format!("p{at}"), [sequence])).collect::<Vec<_>>();
    assert_eq!(destination.calls(), [players(1), ids("p1", [1]), ids("p1", [1]), players(2)]);

    // The second event is not sent before the first one, also not by the next load.
    destination.set_faults(|_, _| DestinationFault::Refuse(refused()));
    let answer = process.send("n", &end_task("p0")).await;
    assert_eq!(failed_message_ids(&answer), ["n"]);
    assert_eq!(destination.calls()[4..], [ids("p0", [3])]);
    destination.clear_faults();
    process.send("o", &grant_gold("p0", 1)).await;
    assert_eq!(destination.accepted_ids()[6..], ids("p0", [3, 4, 5]));
}

#[tokio::test(start_paused = true)]
async fn crash_after_the_commit_loses_no_event_and_changes_none() {
    for crash in ["write", "publish", "publish the second event"] {
        let destination = FakeDestination::ordered();
        let options = destination.options();
        let publishing = options.publishing.clone().map(|publishing| Publishing { table: true, ..publishing });
        let options = Options { publishing, ..options };
        let process = Process::new().start_another(options.clone());
        process.send("m", &start_task("p")).await;
        let call = destination.calls().len() + usize::from(crash == "publish the second event");
        if crash == "write" {
            let hang = millrace_store::memory::Fault::Delay(Duration::from_secs(3_600));
            process.inject(hang, |operation| matches!(operation, Operation::Write { table: Table::Events, .. }));
        } else {
            destination.set_faults(move |at, _| match at == call {
                true => DestinationFault::Hang,
                false => DestinationFault::None,
            });
        }
        let long = Invocation { request_id: "r".to_owned(), ..invocation(600) };
        let payload = millrace_simulation::sqs_payload(&[millrace_simulation::standard_message("n", &end_task("p"))]);
        let payload = payload.to_string();
        let crashed = timeout(Duration::from_secs(60), process.process(payload.as_bytes(), &long)).await;
        assert!(crashed.is_err(), "{crash}: the process waits when it is dropped");

        let next = process.start_another(options);
        destination.clear_faults();
        let answer = next.process(payload.as_bytes(), &invocation(10)).await.unwrap();
        assert_eq!((answer.report.commands.duplicate, answer.report.events.published), (1, 2), "{crash}");
        let mut copies = destination.accepted();
        copies.sort();
        copies.dedup();
        assert_eq!(copies.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), ids("p", 1..=4), "{crash}");
        let row = &next.store.records(Table::Events)[1];
        assert!(matches!(row, Record::Events(row) if row.first_sequence() == 3), "{crash}: {row:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn invocation_answers_before_its_deadline_while_a_destination_hangs() {
    let destination = FakeDestination::unordered();
    let process = publishing_to(&destination);
    destination.set_faults(|_, _| DestinationFault::Hang);
    let payload = millrace_simulation::sqs_payload(&[millrace_simulation::standard_message("m", &start_task("p"))]);
    let invocation = invocation(5);
    let answer = process.process(payload.to_string().as_bytes(), &invocation).await.unwrap();
    assert!(tokio::time::Instant::now() < invocation.times_out_at);
    assert_eq!(failed_message_ids(&answer), ["m"]);
    assert_eq!(answer.results[0].failure, Some(FailureReason::Deadline));
}

#[tokio::test(start_paused = true)]
async fn events_of_a_caller_that_does_not_repeat_are_published_by_the_next_run() {
    let destination = FakeDestination::unordered();
    let options = destination.options();
    let settings = PipelineSettings { is_redelivered: false, ..PipelineSettings::default() };
    let process = Process::new().start_another(Options { settings, ..options });
    destination.set_faults(|_, _| DestinationFault::Refuse(unavailable()));
    let player = PlayerId::new("p").unwrap();
    let answer = process.apply_commands(&player, &start_task("p"), &invocation(10)).await;
    assert_eq!(answer.results[0].failure, Some(FailureReason::EventsUnavailable));
    assert!(process.store.due_at(&player).is_some(), "the queue stays in the due index");

    destination.clear_faults();
    let advanced = process.advance(None, &invocation(10)).await.unwrap();
    assert_eq!((advanced.report.events.published, destination.accepted_ids()), (2, ids("p", [1, 2])));
    assert!(process.store.due_at(&player).is_none());
}

#[tokio::test]
async fn records_that_are_not_written_keep_the_events_for_the_next_load() {
    let destination = FakeDestination::unordered();
    let process = limited(&destination, &[EventType::TaskQueued], true);
    let first_write = std::sync::atomic::AtomicBool::new(true);
    process.inject(throttled(), move |operation| {
        matches!(operation, Operation::Write { .. }) && first_write.load(std::sync::atomic::Ordering::Relaxed)
    });
    let payload = millrace_simulation::sqs_payload(&[millrace_simulation::standard_message("m", &start_task("p"))]);
    let payload = payload.to_string();
    let answer = process.process(payload.as_bytes(), &invocation(1)).await.unwrap();
    assert_eq!((failed_message_ids(&answer), destination.calls().len()), (vec!["m"], 0));
    process.store.clear_faults();
    process.process(payload.as_bytes(), &invocation(10)).await.unwrap();
    assert_eq!(destination.accepted_ids(), ids("p", [1]));
}

#[tokio::test]
async fn cold_load_publishes_nothing_again_once_everything_is_published() {
    let destination = FakeDestination::unordered();
    let options = destination.options();
    let publishing = options.publishing.map(|publishing| Publishing { table: true, ..publishing });
    let options = Options { publishing, ..options };
    let process = Process::new().start_another(options.clone());
    process.send("m", &start_task("p")).await;
    assert_eq!(destination.calls().len(), 1);

    let cold = process.start_another(options.clone());
    let report = cold.send("n", &grant_gold("p", 1)).await.report;
    assert_eq!((report.events.published, report.events.calls), (1, 1));
    assert_eq!(report.writes.by_table[&Table::Events].items, 1, "the row of this commit only");
    assert_eq!(destination.accepted_ids(), ids("p", [1, 2, 3]));

    // The totals are written last, so a crash before that publishes the events once more.
    let fault = millrace_store::memory::Fault::Delay(Duration::from_secs(3_600));
    process.inject(fault, |operation| matches!(operation, Operation::Write { table: Table::Stats, .. }));
    let payload = millrace_simulation::sqs_payload(&[millrace_simulation::standard_message("o", &end_task("p"))]);
    let answer = process.process(payload.to_string().as_bytes(), &invocation(1)).await.unwrap();
    assert_eq!(failed_message_ids(&answer), ["o"]);
    process.store.clear_faults();
    process.start_another(options).send("q", &grant_gold("p", 1)).await;
    assert_eq!(destination.accepted_ids(), ids("p", [1, 2, 3, 4, 5, 4, 5, 6]));
}
