//! Faults in the pipeline: the affected messages fail, and other players are not affected.

use std::time::Duration;

use millrace_domain::{PlayerId, record::Table};
use millrace_pipeline::{
    Invocation, PipelineSettings,
    applied::{Applied, ApplyInput},
    steps::apply::apply_items,
};
use millrace_simulation::{
    Options, Process, START_MS, SqsMessage, access_denied, enqueue_task, eventbridge_payload, failed_message_ids,
    fifo_message, grant_gold, report_progress, sqs_payload, standard_message, throttled,
};
use millrace_store::{
    QueueRow, StoreError,
    memory::{Fault, Operation},
};
use serde_json::json;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn version_conflict_on_every_retry_fails_the_message() {
    let process = Process::new();
    process.inject(
        Fault::Conflict,
        |operation| matches!(operation, Operation::Commit { write } if write.player_id.as_str() == "p"),
    );
    let payload =
        sqs_payload(&[standard_message("m0", &grant_gold("p", 1)), standard_message("m1", &grant_gold("q", 1))]);
    let answer = process.invoke(&payload).await;
    assert_eq!(failed_message_ids(&answer), ["m0"]);
    assert_eq!(answer.results[0].reason, Some("conflict"));
    assert_eq!(answer.report.commits.conflicts, u64::from(PipelineSettings::default().conflict_retries) + 1);
    assert_eq!((process.version("p"), process.version("q")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn commit_with_a_lost_response_is_applied_once() {
    let process = Process::new();
    let throttled_after_effect = Fault::FailAfterEffect(StoreError::Throttled { table: "queues".to_owned() });
    process.inject(throttled_after_effect, |operation| matches!(operation, Operation::Commit { .. }));
    let payload = sqs_payload(&[fifo_message("m0", "p", 7, &grant_gold("p", 3))]);
    assert_eq!(failed_message_ids(&process.invoke(&payload).await), ["m0"]);
    process.store.clear_faults();
    let answer = process.invoke(&payload).await;
    assert_eq!((answer.report.commands.duplicate, answer.batch_item_failures.len()), (1, 0));
    assert_eq!(process.queue("p").balances.get("gold"), 3);
}

#[tokio::test(start_paused = true)]
async fn next_load_of_a_row_writes_the_records_that_failed() {
    let process = Process::new();
    process.send("m0", &enqueue_task("p", "t", json!({"units": 1}))).await;
    process.inject(access_denied(), |operation| matches!(operation, Operation::Write { table: Table::History, .. }));
    let payload = sqs_payload(&[standard_message("m1", &report_progress("p", "t", 1))]);
    let answer = process.invoke(&payload).await;
    assert_eq!((failed_message_ids(&answer), answer.results[0].reason), (vec!["m1"], Some("access_denied")));
    assert!(process.store.records(Table::History).is_empty());
    assert_eq!(process.queue("p").balances.get("gold"), 1, "the commit is kept");

    // The process that failed has dropped its cached copy, so it loads the row too.
    process.store.clear_faults();
    let answer = process.invoke(&payload).await;
    assert_eq!((answer.report.commands.duplicate, answer.batch_item_failures.len()), (1, 0));
    assert_eq!(process.store.records(Table::History).len(), 1);
    assert_eq!(process.store.records(Table::Stats).len(), 1);
    assert_eq!(process.queue("p").balances.get("gold"), 1);
}

#[tokio::test(start_paused = true)]
async fn queue_accepts_no_commands_while_its_outbox_cannot_be_written() {
    let process = Process::new();
    process.send("m0", &enqueue_task("p", "t", json!({"units": 1}))).await;
    process.inject(access_denied(), |operation| matches!(operation, Operation::Write { table: Table::History, .. }));
    process.send("m1", &report_progress("p", "t", 1)).await;
    let version = process.version("p");
    let answer = process.send("m2", &grant_gold("p", 5)).await;
    assert_eq!(failed_message_ids(&answer), ["m2"]);
    assert_eq!(process.version("p"), version, "the row still holds its outbox");
}

#[tokio::test]
async fn unreadable_row_is_not_overwritten_and_affects_no_other_player() {
    let process = Process::new();
    process
        .invoke(&sqs_payload(&[standard_message("a", &grant_gold("p", 1)), standard_message("b", &grant_gold("q", 1))]))
        .await;
    let damaged = PlayerId::new("p").unwrap();
    let mut row = process.store.queues().into_iter().find(|(player, _)| *player == damaged).unwrap().1;
    let last = row.queue.len() - 1;
    row.queue[last] ^= 1;
    process.store.overwrite_queue(&damaged, row.clone());
    let unknown_format = PlayerId::new("n").unwrap();
    process.store.overwrite_queue(
        &unknown_format,
        QueueRow { version: 3, queue: vec![b'Q', 200, 0, 0, 0, 0, 1], outbox: None, due_at: None },
    );

    let fresh = process.start_another(Options::default());
    let payload = sqs_payload(&[
        fifo_message("m0", "p", 1, &grant_gold("p", 1)),
        fifo_message("m1", "q", 1, &grant_gold("q", 1)),
        fifo_message("m2", "p", 2, &grant_gold("r", 1)),
        fifo_message("m3", "n", 1, &grant_gold("n", 1)),
    ]);
    let answer = fresh.invoke(&payload).await;
    assert_eq!(failed_message_ids(&answer), ["m0", "m2", "m3"], "later messages of the group fail too");
    let reasons: Vec<_> = answer.results.iter().map(|result| result.reason.unwrap()).collect();
    assert_eq!(reasons, ["row_unreadable", "earlier_message_failed", "row_unreadable"]);
    assert!(answer.results[0].detail.as_ref().unwrap().contains("checksum"), "{answer:?}");
    assert!(answer.results[2].detail.as_ref().unwrap().contains("format 200"), "{answer:?}");
    assert_eq!(process.queue("q").balances.get("gold"), 2);
    assert_eq!(process.version("r"), 0, "commands behind a failed message are not applied");
    let after = process.store.queues().into_iter().find(|(player, _)| *player == damaged).unwrap().1;
    assert_eq!(after, row);
}

#[tokio::test]
async fn panic_fails_only_the_message_group_of_its_player() {
    fn panicking_apply(input: ApplyInput<'_>) -> Applied {
        assert!(input.player_id.as_str() != "panicking", "simulated bug");
        apply_items(input)
    }
    let process = Process::new().start_another(Options { apply: panicking_apply, ..Options::default() });
    let payload = sqs_payload(&[
        fifo_message("m0", "panicking", 1, &grant_gold("panicking", 1)),
        fifo_message("m1", "p", 1, &grant_gold("p", 1)),
        fifo_message("m2", "panicking", 2, &grant_gold("q", 1)),
        fifo_message("m3", "q", 1, &grant_gold("q", 10)),
    ]);
    let answer = process.invoke(&payload).await;
    assert_eq!(failed_message_ids(&answer), ["m0", "m2"]);
    assert_eq!(answer.results[0].reason, Some("internal_error"));
    assert!(answer.results[0].detail.as_ref().unwrap().contains("simulated bug"));
    assert_eq!(process.queue("p").balances.get("gold"), 1);
    assert_eq!(
        process.queue("q").balances.get("gold"),
        10,
        "the queue is applied again without the message behind the panic"
    );
}

#[tokio::test(start_paused = true)]
async fn unfinished_messages_fail_before_the_function_times_out() {
    let process = Process::new();
    process.inject(
        Fault::Delay(Duration::from_secs(60)),
        |operation| matches!(operation, Operation::Commit { write } if write.player_id.as_str() == "slow"),
    );
    let mut messages: Vec<SqsMessage> =
        (0..25).map(|n| standard_message(&format!("m{n}"), &grant_gold(&format!("p{n}"), 1))).collect();
    messages.push(standard_message("slow", &grant_gold("slow", 1)));
    let invocation = Invocation {
        request_id: "r".to_owned(),
        times_out_at: Instant::now() + Duration::from_secs(3),
        cold_start: true,
        record: Default::default(),
    };
    let started = Instant::now();
    let answer = process.process(sqs_payload(&messages).to_string().as_bytes(), &invocation).await.unwrap();
    assert!(started.elapsed() <= Duration::from_millis(2_600), "{:?}", started.elapsed());
    assert_eq!(failed_message_ids(&answer), ["slow"]);
    assert_eq!(answer.results[0].reason, Some("deadline"));
    assert_eq!(answer.report.commands.applied, 25);
}

#[tokio::test(start_paused = true)]
async fn failed_eventbridge_event_fails_the_invocation_and_is_redelivered() {
    let process = Process::new();
    let payload = eventbridge_payload(&grant_gold("p", 4));
    process.inject(throttled(), |operation| matches!(operation, Operation::Commit { .. }));
    let error = process.try_invoke(&payload).await.unwrap_err();
    assert_eq!(error.error_type(), "CommandsFailed");
    assert!(error.to_string().contains("throttled"), "{error}");
    process.store.clear_faults();
    let answer = process.invoke(&payload).await;
    assert_eq!((answer.results[0].command_id.as_deref(), answer.results[0].status), (Some("e-1:0"), "applied"));
    let advanced_to = process.queue("p").advanced_to;
    assert_eq!(advanced_to.as_millis(), START_MS, "the time of arrival, because the sender sets that of the event");
    assert_eq!(process.invoke(&payload).await.results[0].status, "duplicate");
}

#[tokio::test]
async fn unwritten_progress_is_neither_acknowledged_nor_cached() {
    let process = Process::new();
    process.send("m0", &enqueue_task("p", "t", json!({"units": 100}))).await;
    process.inject(access_denied(), |operation| matches!(operation, Operation::Write { table: Table::Progress, .. }));
    process.advance_clock(10);
    let payload =
        sqs_payload(&[SqsMessage { sent_at: START_MS + 10, ..standard_message("m1", &report_progress("p", "t", 20)) }]);
    assert_eq!(failed_message_ids(&process.invoke(&payload).await), ["m1"]);
    process.store.clear_faults();
    let answer = process.invoke(&payload).await;
    assert_eq!((answer.report.commands.applied, answer.report.writes.items), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn failed_commit_fails_the_later_messages_of_its_group() {
    let process = Process::new();
    process.inject(
        throttled(),
        |operation| matches!(operation, Operation::Commit { write } if write.player_id.as_str() == "p"),
    );
    let payload = sqs_payload(&[
        fifo_message("m0", "guild", 1, &grant_gold("q", 1)),
        fifo_message("m1", "guild", 2, &grant_gold("p", 1)),
        fifo_message("m2", "guild", 3, &grant_gold("r", 1)),
        fifo_message("m3", "other", 4, &grant_gold("s", 1)),
    ]);
    let answer = process.invoke(&payload).await;
    assert_eq!(failed_message_ids(&answer), ["m1", "m2"], "m2 was applied and is still redelivered");
    assert_eq!(answer.report.commands.applied, 3);
    process.store.clear_faults();
    let counts = process.invoke(&payload).await.report.commands;
    assert_eq!((counts.applied, counts.duplicate), (1, 3));
    assert_eq!(process.queue("r").balances.get("gold"), 1);
}
