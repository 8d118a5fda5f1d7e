//! SQS and shards of the index failing, partly and wholly.

use millrace_servers::{Fault, rules};
use millrace_store::due_shard;
use millrace_tests::{
    Function, FunctionError,
    backends::BackEnds,
    due::{MovedClock, plant, player},
};

use crate::{TicksQueue, begin, figure, is_done, run, scheduled, started};

const SEND: &str = "SendMessageBatch";

async fn with_players(count: usize) -> (BackEnds, TicksQueue, Function, MovedClock) {
    let (back_ends, clock) = (BackEnds::start().await, MovedClock::at(begin()));
    let queue = TicksQueue::new(&back_ends).await;
    let function = started(queue.advance_queues(&back_ends), &clock).await;
    let due: Vec<_> = (0..count).map(|at| begin() + 1 + at as u64).collect();
    plant(back_ends.store(), begin(), &due).await;
    clock.set(begin() + 10_000);
    back_ends.dynamodb.clear_rule();
    (back_ends, queue, function, clock)
}

#[tokio::test]
async fn messages_that_sqs_does_not_take_are_sent_again_and_no_others() {
    let (back_ends, queue, function, _clock) = with_players(2_500).await;
    let failing = rules::first(3, |call| call.operation == SEND, Fault::messages_failed_every(3));
    back_ends.dynamodb.set_rule(failing);
    back_ends.dynamodb.reset_counts();
    let answer = run(&function).await;
    // 25 messages in calls of 10, 10 and 5, of which 3, 3 and 1 fail the first time.
    assert!(is_done(&answer), "{answer:#}");
    assert_eq!((figure(&answer, "/advance/ticks"), figure(&answer, "/advance/messages")), (2_500, 25));
    assert_eq!(figure(&answer, "/advance/retriedMessages"), 7);
    assert_eq!((figure(&answer, "/advance/calls/ticks"), back_ends.dynamodb.count(SEND)), (6, 6));
    assert_eq!(queue.messages().await, 25);
}

#[tokio::test]
async fn calls_that_fail_for_the_moment_are_sent_again() {
    let (back_ends, queue, function, _clock) = with_players(300).await;
    for fault in [Fault::throttled(), Fault::internal_server_error(), Fault::disconnect()] {
        back_ends.dynamodb.set_rule(rules::first(2, |call| call.operation == SEND, fault.clone()));
        let answer = run(&function).await;
        assert!(is_done(&answer), "{fault:?}: {answer:#}");
        assert_eq!(
            (figure(&answer, "/advance/messages"), figure(&answer, "/advance/calls/ticks")),
            (3, 3),
            "{fault:?}"
        );
    }
    assert_eq!(queue.messages().await, 9);
}

#[tokio::test]
async fn without_sqs_the_run_fails_and_the_next_one_finds_everything_again() {
    let (back_ends, queue, function, _clock) = with_players(300).await;
    for (fault, calls) in [(Fault::internal_server_error(), 5), (Fault::access_denied(), 1)] {
        back_ends.dynamodb.reset_counts();
        back_ends.dynamodb.set_rule(rules::on_operation(SEND, fault.clone()));
        match function.invoke(scheduled()).await {
            Err(FunctionError::Reported { error_type, message, .. }) => {
                assert_eq!(error_type, "TicksNotSent", "{fault:?}");
                assert!(message.contains("none of the ticks for 300 queues"), "{message}");
            }
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(back_ends.dynamodb.count(SEND), calls, "{fault:?}");
    }
    back_ends.dynamodb.clear_rule();
    let answer = run(&function).await;
    assert_eq!((is_done(&answer), figure(&answer, "/advance/ticks")), (true, 300));
    assert_eq!(queue.messages().await, 3);
}

#[tokio::test]
async fn a_shard_that_cannot_be_read_harms_no_other() {
    let (back_ends, _queue, function, _clock) = with_players(400).await;
    let of_shard = |shard: &str| {
        let shard = shard.to_owned();
        move |call: &millrace_servers::Call| {
            call.operation == "Query" && call.body["ExpressionAttributeValues"][":shard"]["N"] == *shard
        }
    };
    back_ends.dynamodb.set_rule(rules::only(of_shard("5"), Fault::access_denied()));
    let answer = run(&function).await;
    let missing = (0..400).filter(|at| due_shard(&player(*at)) == 5).count() as u64;
    assert_eq!((is_done(&answer), figure(&answer, "/advance/ticks")), (false, 400 - missing), "{answer:#}");
    assert_eq!(answer["advance"]["errors"][0]["shard"], 5);
    assert_eq!(answer["advance"]["errors"][0]["error"], "access_denied");
    assert_eq!(answer["advance"]["errors"].as_array().map(Vec::len), Some(1));

    back_ends.dynamodb.set_rule(rules::on_operation("Query", Fault::access_denied()));
    match function.invoke(scheduled()).await {
        Err(FunctionError::Reported { error_type, .. }) => assert_eq!(error_type, "IndexUnreadable"),
        other => panic!("{other:?}"),
    }
    back_ends.dynamodb.clear_rule();
    assert_eq!(figure(&run(&function).await, "/advance/ticks"), 400);
}

#[tokio::test]
async fn a_moved_clock_is_refused_in_aws_and_a_file_without_a_time_everywhere() {
    let clock = MovedClock::at(begin());
    let in_aws = Function::named("advance-queues")
        .env("MILLRACE_STORE", "dynamodb")
        .env("AWS_REGION", "eu-central-1")
        .env("MILLRACE_CLOCK_FILE", clock.path());
    let refused = in_aws.start().await.expect_err("it must not start");
    assert!(refused.stderr.starts_with("MILLRACE_CLOCK_FILE="), "{}", refused.stderr);
    assert!(refused.stderr.contains(" is not allowed; allowed: unset, or the path of a file with AWS_ENDPOINT_URL"));
    let here = millrace_tests::tables::Database::new();
    let missing = here.function("process-tasks").env("MILLRACE_CLOCK_FILE", "/no/such/clock");
    let refused = missing.start().await.expect_err("it must not start");
    assert!(refused.stderr.starts_with("MILLRACE_CLOCK_FILE=/no/such/clock cannot be used: "), "{}", refused.stderr);
}
