//! What fails on the way: it is handed back, harms nobody else, and leaves nothing half done.

mod support;

use std::{sync::Arc, time::Duration};

use millrace_domain::{PlayerId, record::Table};
use millrace_pipeline::{
    Invocation, ServiceSettings,
    apply::{Applied, Input, apply},
};
use millrace_store::{
    QueueRow, StoreError,
    memory::{Fault, Operation},
};
use serde_json::json;
use support::{BEGIN, Options, Process, Sent, enqueue, failures, fifo, grant, report, sqs, standard};
use tokio::time::Instant;

fn throttled(table: Table) -> StoreError {
    StoreError::Throttled { table: table.as_str().to_owned() }
}

fn denied() -> StoreError {
    StoreError::AccessDenied { detail: "no".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_outlasts_its_retries_is_handed_back() {
    let process = Process::new();
    process.store.set_faults(Arc::new(|operation: &Operation<'_>| match operation {
        Operation::Commit { write } if write.player_id.as_str() == "p" => Fault::Conflict,
        _ => Fault::None,
    }));
    let event = sqs(&[standard("m0", &grant("p", 1)), standard("m1", &grant("q", 1))]);
    let answer = process.invoke(&event).await;
    assert_eq!(failures(&answer), ["m0"]);
    assert_eq!(answer.results[0].reason, Some("conflict"));
    assert_eq!(answer.report.commits.conflicts, u64::from(ServiceSettings::default().conflict_retries) + 1);
    assert_eq!((process.version("p"), process.version("q")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_success_was_hidden_takes_effect_once() {
    let process = Process::new();
    process.store.set_faults(Arc::new(|operation: &Operation<'_>| match operation {
        Operation::Commit { .. } => Fault::FailAfterEffect(throttled(Table::Queues)),
        _ => Fault::None,
    }));
    let event = sqs(&[fifo("m0", "p", 7, &grant("p", 3))]);
    assert_eq!(failures(&process.invoke(&event).await), ["m0"]);
    process.store.clear_faults();
    let answer = process.invoke(&event).await;
    assert_eq!((answer.report.commands.duplicate, answer.batch_item_failures.len()), (1, 0));
    assert_eq!(process.queue("p").balances.get("gold"), 3);
}

#[tokio::test(start_paused = true)]
async fn records_that_were_not_written_are_written_by_whoever_loads_the_row_next() {
    let process = Process::new();
    process.invoke(&sqs(&[standard("m0", &enqueue("p", "t", json!({"units": 1})))])).await;
    process.store.set_faults(Arc::new(|operation: &Operation<'_>| match operation {
        Operation::Write { table: Table::History, .. } => Fault::Error(denied()),
        _ => Fault::None,
    }));
    let event = sqs(&[standard("m1", &report("p", "t", 1))]);
    let answer = process.invoke(&event).await;
    assert_eq!((failures(&answer), answer.results[0].reason), (vec!["m1"], Some("access_denied")));
    assert!(process.store.records(Table::History).is_empty());
    assert_eq!(process.queue("p").balances.get("gold"), 1, "the decision stands");

    // Not even the process that failed takes its cached copy for the truth.
    process.store.clear_faults();
    let answer = process.invoke(&event).await;
    assert_eq!((answer.report.commands.duplicate, answer.batch_item_failures.len()), (1, 0));
    assert_eq!(process.store.records(Table::History).len(), 1);
    assert_eq!(process.store.records(Table::Stats).len(), 1);
    assert_eq!(process.queue("p").balances.get("gold"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_outbox_cannot_be_written_decides_nothing_new() {
    let process = Process::new();
    process.invoke(&sqs(&[standard("m0", &enqueue("p", "t", json!({"units": 1})))])).await;
    let deny = |operation: &Operation<'_>| match operation {
        Operation::Write { table: Table::History, .. } => Fault::Error(denied()),
        _ => Fault::None,
    };
    process.store.set_faults(Arc::new(deny));
    process.invoke(&sqs(&[standard("m1", &report("p", "t", 1))])).await;
    let version = process.version("p");
    let answer = process.invoke(&sqs(&[standard("m2", &grant("p", 5))])).await;
    assert_eq!(failures(&answer), ["m2"]);
    assert_eq!(process.version("p"), version, "the row still carries its records");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_harms_no_other_and_is_never_overwritten() {
    let process = Process::new();
    process.invoke(&sqs(&[standard("a", &grant("p", 1)), standard("b", &grant("q", 1))])).await;
    let id = PlayerId::new("p").unwrap();
    let mut row = process.store.queues().into_iter().find(|(player, _)| *player == id).unwrap().1;
    let last = row.queue.len() - 1;
    row.queue[last] ^= 1;
    process.store.overwrite_queue(&id, row.clone());
    let newer = PlayerId::new("n").unwrap();
    process.store.overwrite_queue(
        &newer,
        QueueRow { version: 3, queue: vec![b'Q', 200, 0, 0, 0, 0, 1], outbox: None, due_at: None },
    );

    let fresh = process.another(Options::default());
    let event = sqs(&[
        fifo("m0", "p", 1, &grant("p", 1)),
        fifo("m1", "q", 1, &grant("q", 1)),
        fifo("m2", "p", 2, &grant("r", 1)),
        fifo("m3", "n", 1, &grant("n", 1)),
    ]);
    let answer = fresh.invoke(&event).await;
    assert_eq!(failures(&answer), ["m0", "m2", "m3"], "the rest of the group waits too");
    let reasons: Vec<_> = answer.results.iter().map(|result| result.reason.unwrap()).collect();
    assert_eq!(reasons, ["row_unreadable", "earlier_message_failed", "row_unreadable"]);
    assert!(answer.results[0].detail.as_ref().unwrap().contains("checksum"), "{answer:?}");
    assert!(answer.results[2].detail.as_ref().unwrap().contains("format 200"), "{answer:?}");
    assert_eq!(process.queue("q").balances.get("gold"), 2);
    assert_eq!(process.version("r"), 0, "what is behind a failed message is not applied");
    let after = process.store.queues().into_iter().find(|(player, _)| *player == id).unwrap().1;
    assert_eq!(after, row);
}

#[tokio::test]
async fn a_panic_stays_with_its_player() {
    fn explosive(input: Input<'_>) -> Applied {
        assert!(input.player_id.as_str() != "boom", "a bug");
        apply(input)
    }
    let process = Process::new().another(Options { apply: Some(explosive), ..Options::default() });
    let event = sqs(&[
        fifo("m0", "boom", 1, &grant("boom", 1)),
        fifo("m1", "p", 1, &grant("p", 1)),
        fifo("m2", "boom", 2, &grant("q", 1)),
        fifo("m3", "q", 1, &grant("q", 10)),
    ]);
    let answer = process.invoke(&event).await;
    assert_eq!(failures(&answer), ["m0", "m2"]);
    assert_eq!(answer.results[0].reason, Some("internal_error"));
    assert!(answer.results[0].detail.as_ref().unwrap().contains("a bug"));
    assert_eq!(process.queue("p").balances.get("gold"), 1);
    assert_eq!(process.queue("q").balances.get("gold"), 10, "applied again without what was behind the panic");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_before_the_deadline_is_handed_back_in_time() {
    let process = Process::new();
    process.store.set_faults(Arc::new(|operation: &Operation<'_>| match operation {
        Operation::Commit { write } if write.player_id.as_str() == "slow" => Fault::Delay(Duration::from_secs(60)),
        _ => Fault::None,
    }));
    let mut messages: Vec<Sent> = (0..25).map(|n| standard(&format!("m{n}"), &grant(&format!("p{n}"), 1))).collect();
    messages.push(standard("slow", &grant("slow", 1)));
    let invocation = Invocation {
        request_id: "r".to_owned(),
        times_out_at: Instant::now() + Duration::from_secs(3),
        cold_start: true,
    };
    let begun = Instant::now();
    let answer = process.service.process(sqs(&messages).to_string().as_bytes(), &invocation).await.unwrap();
    assert!(begun.elapsed() <= Duration::from_millis(2_600), "{:?}", begun.elapsed());
    assert_eq!(failures(&answer), ["slow"]);
    assert_eq!(answer.results[0].reason, Some("deadline"));
    assert_eq!(answer.report.commands.applied, 25);
}

#[tokio::test(start_paused = true)]
async fn an_event_of_eventbridge_fails_as_a_whole_so_that_it_comes_again() {
    let process = Process::new();
    let event = json!({
        "version": "0", "id": "e-1", "detail-type": "TaskQueueCommand", "source": "game", "account": "1",
        "time": "2026-01-15T10:00:00Z", "region": "us-east-1", "resources": [], "detail": grant("p", 4),
    });
    process.store.set_faults(Arc::new(|operation: &Operation<'_>| match operation {
        Operation::Commit { .. } => Fault::Error(throttled(Table::Queues)),
        _ => Fault::None,
    }));
    let error = process.try_invoke(&event).await.unwrap_err();
    assert_eq!(error.error_type(), "CommandsFailed");
    assert!(error.to_string().contains("throttled"), "{error}");
    process.store.clear_faults();
    let answer = process.invoke(&event).await;
    assert_eq!((answer.results[0].command_id.as_deref(), answer.results[0].status), (Some("e-1"), "applied"));
    assert_eq!(process.queue("p").advanced_to.as_millis(), 1_768_471_200_000, "the event's own time");
    assert_eq!(process.invoke(&event).await.results[0].status, "duplicate");
}

#[tokio::test]
async fn progress_that_was_not_recorded_is_not_acknowledged_nor_cached() {
    let process = Process::new();
    process.invoke(&sqs(&[standard("m0", &enqueue("p", "t", json!({"units": 100})))])).await;
    process.store.set_faults(Arc::new(|operation: &Operation<'_>| match operation {
        Operation::Write { table: Table::Progress, .. } => Fault::Error(denied()),
        _ => Fault::None,
    }));
    process.wait(10);
    let event = sqs(&[Sent { sent_at: BEGIN + 10, ..standard("m1", &report("p", "t", 20)) }]);
    assert_eq!(failures(&process.invoke(&event).await), ["m1"]);
    process.store.clear_faults();
    let answer = process.invoke(&event).await;
    assert_eq!((answer.report.commands.applied, answer.report.writes.items), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_fails_at_the_commit_takes_the_rest_of_its_group_with_it() {
    let process = Process::new();
    process.store.set_faults(Arc::new(|operation: &Operation<'_>| match operation {
        Operation::Commit { write } if write.player_id.as_str() == "p" => Fault::Error(throttled(Table::Queues)),
        _ => Fault::None,
    }));
    let event = sqs(&[
        fifo("m0", "guild", 1, &grant("q", 1)),
        fifo("m1", "guild", 2, &grant("p", 1)),
        fifo("m2", "guild", 3, &grant("r", 1)),
        fifo("m3", "other", 4, &grant("s", 1)),
    ]);
    let answer = process.invoke(&event).await;
    assert_eq!(failures(&answer), ["m1", "m2"], "m2 was applied, and comes again all the same");
    assert_eq!(answer.report.commands.applied, 3);
    process.store.clear_faults();
    let counts = process.invoke(&event).await.report.commands;
    assert_eq!((counts.applied, counts.duplicate), (1, 3));
    assert_eq!(process.queue("r").balances.get("gold"), 1);
}
