//! Errors of SQS and of shards of the due index.

use millrace_servers::{Fault, rules};
use millrace_store::due_shard;
use millrace_tests::{
    Function, FunctionError,
    answers::number,
    backends::Backends,
    clock::ClockFile,
    due_queues::{insert_queues, player},
};

use crate::{TicksQueue, is_done, run, scheduler_event, start, start_time};

const SEND: &str = "SendMessageBatch";

/// Backends with `count` due queues, and `advance-queues`.
async fn with_due_queues(count: usize) -> (Backends, TicksQueue, Function, ClockFile) {
    let (backends, clock) = (Backends::start().await, ClockFile::at(start_time()));
    let queue = TicksQueue::new(&backends).await;
    let function = start(queue.advance_queues(&backends), &clock).await;
    let due: Vec<_> = (0..count).map(|at| start_time() + 1 + at as u64).collect();
    insert_queues(backends.store(), start_time(), &due).await;
    clock.set(start_time() + 10_000);
    backends.aws_proxy.clear_rule();
    (backends, queue, function, clock)
}

#[tokio::test]
async fn only_messages_that_sqs_refused_are_sent_again() {
    let (backends, queue, function, _clock) = with_due_queues(2_500).await;
    let failing = rules::first(3, |call| call.operation == SEND, Fault::entry_errors_every(3, "InternalError"));
    backends.aws_proxy.set_rule(failing);
    backends.aws_proxy.reset_counts();
    let answer = run(&function).await;
    // 25 messages in calls of 10, 10 and 5. SQS refuses 3, 3 and 1 of them the first time.
    assert!(is_done(&answer), "{answer:#}");
    assert_eq!((number(&answer, "/advance/ticks"), number(&answer, "/advance/messages")), (2_500, 25));
    assert_eq!(number(&answer, "/advance/retriedMessages"), 7);
    assert_eq!((number(&answer, "/advance/calls/ticks"), backends.aws_proxy.count(SEND)), (6, 6));
    assert_eq!(queue.messages().await, 25);
}

#[tokio::test]
async fn calls_that_fail_with_a_passing_error_are_retried() {
    let (backends, queue, function, _clock) = with_due_queues(300).await;
    for fault in [Fault::throttled(), Fault::internal_server_error(), Fault::disconnect()] {
        backends.aws_proxy.set_rule(rules::first(2, |call| call.operation == SEND, fault.clone()));
        let answer = run(&function).await;
        assert!(is_done(&answer), "{fault:?}: {answer:#}");
        assert_eq!(
            (number(&answer, "/advance/messages"), number(&answer, "/advance/calls/ticks")),
            (3, 3),
            "{fault:?}"
        );
    }
    assert_eq!(queue.messages().await, 9);
}

#[tokio::test]
async fn a_run_that_cannot_send_ticks_fails_and_the_next_run_sends_all() {
    let (backends, queue, function, _clock) = with_due_queues(300).await;
    for (fault, calls) in [(Fault::internal_server_error(), 5), (Fault::access_denied(), 1)] {
        backends.aws_proxy.reset_counts();
        backends.aws_proxy.set_rule(rules::on_operation(SEND, fault.clone()));
        match function.invoke(scheduler_event()).await {
            Err(FunctionError::Reported { error_type, message, .. }) => {
                assert_eq!(error_type, "TicksNotSent", "{fault:?}");
                assert!(message.contains("none of the ticks for 300 queues"), "{message}");
            }
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(backends.aws_proxy.count(SEND), calls, "{fault:?}");
    }
    backends.aws_proxy.clear_rule();
    let answer = run(&function).await;
    assert_eq!((is_done(&answer), number(&answer, "/advance/ticks")), (true, 300));
    assert_eq!(queue.messages().await, 3);
}

#[tokio::test]
async fn an_unreadable_shard_does_not_affect_other_shards() {
    let (backends, _queue, function, _clock) = with_due_queues(400).await;
    let of_shard = |shard: &str| {
        let shard = shard.to_owned();
        move |call: &millrace_servers::Call| {
            call.operation == "Query" && call.body["ExpressionAttributeValues"][":shard"]["N"] == *shard
        }
    };
    backends.aws_proxy.set_rule(rules::only(of_shard("5"), Fault::access_denied()));
    let answer = run(&function).await;
    let missing = (0..400).filter(|at| due_shard(&player(*at)) == 5).count() as u64;
    assert_eq!((is_done(&answer), number(&answer, "/advance/ticks")), (false, 400 - missing), "{answer:#}");
    assert_eq!(answer["advance"]["errors"][0]["shard"], 5);
    assert_eq!(answer["advance"]["errors"][0]["error"], "access_denied");
    assert_eq!(answer["advance"]["errors"].as_array().map(Vec::len), Some(1));

    backends.aws_proxy.set_rule(rules::on_operation("Query", Fault::access_denied()));
    match function.invoke(scheduler_event()).await {
        Err(FunctionError::Reported { error_type, .. }) => assert_eq!(error_type, "IndexUnreadable"),
        other => panic!("{other:?}"),
    }
    backends.aws_proxy.clear_rule();
    assert_eq!(number(&run(&function).await, "/advance/ticks"), 400);
}

#[tokio::test]
async fn a_clock_file_is_refused_in_aws_and_a_missing_clock_file_is_refused_everywhere() {
    let clock = ClockFile::at(start_time());
    let in_aws = Function::builder("advance-queues")
        .env("MILLRACE_STORE", "dynamodb")
        .env("AWS_REGION", "eu-central-1")
        .env("MILLRACE_CLOCK_FILE", clock.path());
    let refused = in_aws.start().await.expect_err("the start fails");
    assert!(refused.stderr.starts_with("MILLRACE_CLOCK_FILE="), "{}", refused.stderr);
    assert!(refused.stderr.contains(" is not allowed; allowed: unset, or the path of a file with AWS_ENDPOINT_URL"));
    let database = millrace_tests::database::Database::new();
    let missing = database.function("process-tasks").env("MILLRACE_CLOCK_FILE", "/no/such/clock");
    let refused = missing.start().await.expect_err("the start fails");
    assert!(refused.stderr.starts_with("MILLRACE_CLOCK_FILE=/no/such/clock cannot be used: "), "{}", refused.stderr);
}
