//! Reports of runs that end early or advance nothing, on an in-memory store.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use millrace_domain::{FeatureSwitch, PlayerId, Timestamp};
use millrace_due::{AdvanceError, TickMessage, TicksQueue};
use millrace_pipeline::{Failure, Invocation, PipelineSettings};
use millrace_simulation::{Options, Process, START_MS, access_denied, queue_tasks, throttled};
use millrace_store::{
    DUE_SHARDS, QueueStore, QueueWrite, due_shard,
    memory::{Fault, Operation},
};
use serde_json::{Value, json};
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3_600);

/// An invocation that times out after `millis` milliseconds.
fn invocation(millis: u64) -> Invocation {
    let times_out_at = Instant::now() + Duration::from_millis(millis);
    Invocation { request_id: "r-1".to_owned(), times_out_at, cold_start: false, record: Default::default() }
}

/// The answer of a run, as JSON.
async fn run(process: &Process, ticks: Option<&dyn TicksQueue>, millis: u64) -> Result<Value, AdvanceError> {
    let advanced = process.advance(ticks, &invocation(millis)).await?;
    Ok(serde_json::to_value(advanced).unwrap())
}

/// The named numbers of the answer of a run.
fn figures<const N: usize>(answer: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| answer["advance"][name].as_u64().unwrap_or_else(|| panic!("{name} is missing in {answer:#}")))
}

/// Commits rows to the due index. Their bytes do not decode to a queue.
async fn commit_due_rows(process: &Process, rows: impl Iterator<Item = (PlayerId, u64)>) {
    let write = |(player_id, millis)| QueueWrite {
        player_id,
        expected: 0,
        version: 1,
        queue: b"queue".to_vec(),
        outbox: None,
        due_at: Some(Timestamp::from_millis(START_MS + millis)),
        due_before: None,
    };
    let writes: Vec<QueueWrite> = rows.map(write).collect();
    assert!(process.store.commit(&writes).await.outcomes.iter().all(Result::is_ok));
}

/// All players `p0`, `p1` and so on, or those of one shard.
fn players_of(shard: Option<u8>) -> impl Iterator<Item = PlayerId> {
    let players = (0..).map(|index| PlayerId::new(&format!("p{index}")).unwrap());
    players.filter(move |player| shard.is_none_or(|shard| due_shard(player) == shard))
}

/// The timestamp `millis` milliseconds after the start, as JSON.
fn timestamp(millis: u64) -> Value {
    json!(Timestamp::from_millis(START_MS + millis))
}

/// A ticks queue that accepts every message after a delay per call.
struct SlowTicksQueue(Duration);

#[async_trait]
impl TicksQueue for SlowTicksQueue {
    async fn send(&self, messages: &[TickMessage<'_>]) -> Result<Vec<Result<(), Failure>>, Failure> {
        tokio::time::sleep(self.0).await;
        Ok(messages.iter().map(|_| Ok(())).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn run_fails_if_no_due_queue_can_be_advanced() {
    let rows = Process::new();
    queue_tasks(&rows, 10, |index| 1 + index as u64).await;
    rows.advance_clock(100);
    let process = rows.start_without_redelivery(PipelineSettings::default());
    let set_commit_fault = |fault: Fault| {
        process.inject(fault.clone(), |operation| matches!(operation, Operation::Commit { .. }));
    };
    set_commit_fault(access_denied());
    let failed = run(&process, None, 10_000).await.unwrap_err();
    assert_eq!(failed.error_type(), "NothingAdvanced");
    let message = failed.to_string();
    assert!(message.contains("none of the 10 queues") && message.contains("access_denied"), "{message}");
    // A commit that hangs has the same result as one that is refused.
    set_commit_fault(Fault::Delay(HOUR));
    let failed = run(&process, None, 10_000).await.unwrap_err();
    assert_eq!(failed.error_type(), "NothingAdvanced");
    assert!(failed.to_string().contains("before the deadline"), "{failed}");

    process.inject(
        access_denied(),
        |operation| matches!(operation, Operation::Commit { write } if write.player_id.as_str() != "p7"),
    );
    let answer = run(&process, None, 10_000).await.unwrap();
    assert_eq!(figures(&answer, ["due", "ticks", "failed"]), [10, 1, 9], "the run succeeds if one queue is advanced");
}

#[tokio::test(start_paused = true)]
async fn run_without_time_to_read_the_due_index_fails() {
    let rows = Process::new();
    queue_tasks(&rows, 10, |index| 1 + index as u64).await;
    rows.advance_clock(100);
    let process = rows.start_without_redelivery(PipelineSettings::default());
    let ticks = SlowTicksQueue(Duration::ZERO);
    // The deadline margin of 500 ms exceeds the 100 ms of this invocation.
    let failed = run(&process, None, 100).await.unwrap_err();
    assert_eq!(failed.error_type(), "IndexUnreadable");
    assert!(failed.to_string().contains("before the deadline"), "{failed}");
    process.inject(Fault::Delay(HOUR), |operation| matches!(operation, Operation::Due { .. }));
    for ticks in [None, Some(&ticks as &dyn TicksQueue)] {
        let failed = run(&process, ticks, 10_000).await.unwrap_err();
        assert_eq!(failed.error_type(), "IndexUnreadable");
    }
}

#[tokio::test(start_paused = true)]
async fn up_to_is_null_if_a_shard_was_not_read() {
    let rows = Process::new();
    // 50 rows are in shard 3. One row is in shard 5, and it is due last.
    commit_due_rows(&rows, players_of(Some(3)).zip(1..).take(50).chain(players_of(Some(5)).zip(90..).take(1))).await;
    rows.advance_clock(100);
    for fault in [Fault::Delay(HOUR), throttled()] {
        let error_code = if matches!(fault, Fault::Delay(_)) { "deadline" } else { "store_throttled" };
        rows.inject(fault.clone(), |operation| matches!(operation, Operation::Due { shard: 7 }));
        let answer = run(&rows, Some(&SlowTicksQueue(Duration::ZERO)), 10_000).await;
        // The read of the slow shard takes all the time, so no tick is sent.
        let Ok(answer) = answer else {
            assert_eq!((error_code, answer.unwrap_err().error_type()), ("deadline", "TicksNotSent"));
            continue;
        };
        assert_eq!(figures(&answer, ["due", "ticks", "failed"]), [51, 51, 0]);
        let advance = &answer["advance"];
        assert_eq!((&advance["upTo"], &advance["done"]), (&Value::Null, &json!(false)), "{answer:#}");
        let errors = advance["errors"].as_array().unwrap();
        assert_eq!((errors.len(), &errors[0]["shard"], &errors[0]["error"]), (1, &json!(7), &json!(error_code)));
    }
}

#[tokio::test(start_paused = true)]
async fn up_to_is_bounded_by_the_last_row_read_of_each_shard() {
    let rows = Process::new();
    // Shard 3 has more than one page, and its rows are due before all other rows.
    let oldest = players_of(Some(3)).zip(1..).take(1_500);
    commit_due_rows(
        &rows,
        oldest.chain(
            (0..DUE_SHARDS).filter(|shard| *shard != 3).flat_map(|shard| players_of(Some(shard)).zip(5_000..).take(10)),
        ),
    )
    .await;
    rows.advance_clock(10_000);
    // The second page of shard 3 is not read before the deadline.
    let process = rows.start_another(Options {
        settings: PipelineSettings { concurrency: 1, ..PipelineSettings::default() },
        ..Options::default()
    });
    let pages = AtomicU64::new(0);
    process.inject(
        Fault::Delay(HOUR),
        move |operation| matches!(operation, Operation::Due { shard: 3 } if pages.fetch_add(1, Ordering::Relaxed) == 1),
    );
    let answer = run(&process, Some(&SlowTicksQueue(Duration::ZERO)), 10_000).await.unwrap();
    assert_eq!(figures(&answer, ["due", "ticks", "failed"]), [1_150, 1_000, 150]);
    let advance = &answer["advance"];
    assert_eq!((&advance["upTo"], &advance["done"]), (&timestamp(1_000), &json!(false)), "{answer:#}");
    let errors = advance["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &errors[0]["shard"], &errors[0]["error"]), (1, &json!(3), &json!("deadline")));
}

#[tokio::test(start_paused = true)]
async fn up_to_is_bounded_by_the_ticks_sent_before_the_deadline() {
    let rows = Process::new();
    // 40 queues are due in 40 different seconds. Their ticks take four calls, one after the other.
    commit_due_rows(&rows, players_of(None).zip((1_000..).step_by(1_000)).take(40)).await;
    let process = rows.start_another(Options {
        settings: PipelineSettings { concurrency: 1, ..PipelineSettings::default() },
        ..Options::default()
    });
    // The time is enough for two calls. The third call is cut off by the deadline.
    let answer = run(&process, Some(&SlowTicksQueue(Duration::from_secs(1))), 3_000).await.unwrap();
    assert_eq!(figures(&answer, ["due", "ticks", "failed", "messages"]), [40, 20, 20, 20]);
    let advance = &answer["advance"];
    assert_eq!((&advance["upTo"], &advance["done"]), (&timestamp(21_000), &json!(false)), "{answer:#}");
    assert_eq!(advance["sendError"]["error"], "deadline");
}

#[tokio::test(start_paused = true)]
async fn queues_not_advanced_before_the_deadline_count_as_failed() {
    let rows = Process::new();
    queue_tasks(&rows, 500, |index| 1 + index as u64).await;
    let process = rows.start_without_redelivery(PipelineSettings::default());
    process.advance_clock(5_000);
    // A call with 25 commits takes one second.
    process.inject(
        Fault::Delay(Duration::from_millis(40)),
        |operation| matches!(operation, Operation::Commit { write } if write.version == 2),
    );
    let answer = run(&process, None, 3_000).await.unwrap();
    let [due, ticks, failed] = figures(&answer, ["due", "ticks", "failed"]);
    // Groups of 50 and 100 queues take one second each. The next group has half a second left.
    assert_eq!([due, ticks, failed], [350, 150, 200]);
    assert_eq!(answer["advance"]["upTo"], timestamp(151), "{answer:#}");
}

#[tokio::test]
async fn run_is_not_done_while_advanced_rows_stay_in_the_index() {
    let rows = Process::new();
    queue_tasks(&rows, 10, |index| 1 + index as u64).await;
    rows.advance_clock(100);
    let process = rows.start_without_redelivery(PipelineSettings::default());
    // The second commit of a run removes the row from the index.
    process.inject(throttled(), |operation| matches!(operation, Operation::Commit { write } if write.version == 3 && write.player_id.as_str() < "p3"));
    let answer = run(&process, None, 10_000).await.unwrap();
    assert_eq!(figures(&answer, ["ticks", "failed", "settled"]), [10, 0, 7]);
    assert_eq!(answer["advance"]["done"], false, "{answer:#}");
    assert_eq!(figures(&answer, ["unsettled"]), [3]);
    process.store.clear_faults();
    let answer = run(&process, None, 10_000).await.unwrap();
    assert_eq!(figures(&answer, ["due", "settled", "unsettled"]), [3, 3, 0]);
    assert_eq!(answer["advance"]["done"], true, "{answer:#}");
}

#[tokio::test]
async fn without_batching_each_commit_takes_a_separate_call() {
    for (batching, calls) in [(FeatureSwitch::ON, 2), (FeatureSwitch::OFF, 20)] {
        let rows = Process::new();
        queue_tasks(&rows, 10, |index| 1 + index as u64).await;
        rows.advance_clock(100);
        let process = rows.start_without_redelivery(PipelineSettings { batching, ..PipelineSettings::default() });
        let answer = run(&process, None, 10_000).await.unwrap();
        assert_eq!(figures(&answer, ["ticks", "settled"]), [10, 10]);
        assert_eq!(
            answer["report"]["commits"]["calls"], calls,
            "each queue takes one commit to advance and one to settle"
        );
    }
}
