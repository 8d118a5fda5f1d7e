//! How a run says how far it came, where it ends early or can do nothing, on a store in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use millrace_domain::{FeatureSwitch, PlayerId, Timestamp};
use millrace_due::{AdvanceError, TickError, TickMessage, TicksQueue};
use millrace_pipeline::{Invocation, PipelineSettings};
use millrace_simulation::{BEGIN, Options, Process, Sent, enqueue, sqs, standard};
use millrace_store::{
    DUE_SHARDS, QueueStore, QueueWrite, StoreError, due_shard,
    memory::{Fault, Operation},
};
use serde_json::{Value, json};
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3_600);

fn invocation(millis: u64) -> Invocation {
    let times_out_at = Instant::now() + Duration::from_millis(millis);
    Invocation { request_id: "r-1".to_owned(), times_out_at, cold_start: false }
}

fn advancing(rows: &Process, settings: PipelineSettings) -> Process {
    rows.another(Options { settings: PipelineSettings { is_redelivered: false, ..settings }, ..Options::default() })
}

/// What a run answers, as its reader sees it.
async fn run(process: &Process, ticks: Option<&dyn TicksQueue>, millis: u64) -> Result<Value, AdvanceError> {
    let advanced = process.advance(ticks, &invocation(millis)).await?;
    Ok(serde_json::to_value(advanced).unwrap())
}

/// These figures of what a run answers.
fn figures<const N: usize>(answer: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| answer["advance"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {answer:#}")))
}

/// Queues a task for each of `count` players, which are due one millisecond after the other.
async fn queue_tasks(process: &Process, count: usize) {
    let messages: Vec<Sent> = (0..count)
        .map(|at| standard(&format!("m{at}"), &enqueue(&format!("p{at}"), "t", json!({"durationMs": 1 + at}))))
        .collect();
    assert_eq!(process.invoke(&sqs(&messages)).await.report.commands.applied, count as u64);
}

/// Rows in the index, which nobody can decode.
async fn indexed(process: &Process, rows: impl Iterator<Item = (PlayerId, u64)>) {
    let write = |(player_id, millis)| QueueWrite {
        player_id,
        expected: 0,
        version: 1,
        queue: b"queue".to_vec(),
        outbox: None,
        due_at: Some(Timestamp::from_millis(BEGIN + millis)),
    };
    let writes: Vec<QueueWrite> = rows.map(write).collect();
    assert!(process.store.commit(&writes).await.outcomes.iter().all(Result::is_ok));
}

fn players_of(shard: Option<u8>) -> impl Iterator<Item = PlayerId> {
    let players = (0..).map(|at| PlayerId::new(&format!("p{at}")).unwrap());
    players.filter(move |player| shard.is_none_or(|shard| due_shard(player) == shard))
}

fn time(millis: u64) -> Value {
    json!(Timestamp::from_millis(BEGIN + millis))
}

/// A ticks queue that takes everything, each call after a while.
struct Slow(Duration);

#[async_trait]
impl TicksQueue for Slow {
    async fn send(&self, messages: &[TickMessage<'_>]) -> Result<Vec<Result<(), TickError>>, TickError> {
        tokio::time::sleep(self.0).await;
        Ok(messages.iter().map(|_| Ok(())).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_can_advance_none_of_what_is_due_fails() {
    let rows = Process::new();
    queue_tasks(&rows, 10).await;
    rows.wait(100);
    let process = advancing(&rows, PipelineSettings::default());
    let commits = |fault: Fault| {
        process.store.set_faults(Arc::new(move |operation| match operation {
            Operation::Commit { .. } => fault.clone(),
            _ => Fault::None,
        }));
    };
    commits(Fault::Error(StoreError::AccessDenied { detail: "no".to_owned() }));
    let failed = run(&process, None, 10_000).await.unwrap_err();
    assert_eq!(failed.error_type(), "NothingAdvanced");
    let told = failed.to_string();
    assert!(told.contains("none of the 10 queues") && told.contains("access_denied"), "{told}");
    // Whether it is refused or merely hangs.
    commits(Fault::Delay(HOUR));
    let failed = run(&process, None, 10_000).await.unwrap_err();
    assert_eq!(failed.error_type(), "NothingAdvanced");
    assert!(failed.to_string().contains("before the deadline"), "{failed}");

    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Commit { write } if write.player_id.as_str() != "p7" => {
            Fault::Error(StoreError::AccessDenied { detail: "no".to_owned() })
        }
        _ => Fault::None,
    }));
    let answer = run(&process, None, 10_000).await.unwrap();
    assert_eq!(figures(&answer, ["due", "ticks", "failed"]), [10, 1, 9], "one is something");
}

#[tokio::test(start_paused = true)]
async fn a_run_without_time_to_read_the_index_fails() {
    let rows = Process::new();
    queue_tasks(&rows, 10).await;
    rows.wait(100);
    let process = advancing(&rows, PipelineSettings::default());
    let (ticks, slow_index) = (Slow(Duration::ZERO), |operation: &Operation<'_>| match operation {
        Operation::Due { .. } => Fault::Delay(HOUR),
        _ => Fault::None,
    });
    // The margin alone is 500 ms.
    let failed = run(&process, None, 100).await.unwrap_err();
    assert_eq!(failed.error_type(), "IndexUnreadable");
    assert!(failed.to_string().contains("before the deadline"), "{failed}");
    process.store.set_faults(Arc::new(slow_index));
    for ticks in [None, Some(&ticks as &dyn TicksQueue)] {
        let failed = run(&process, ticks, 10_000).await.unwrap_err();
        assert_eq!(failed.error_type(), "IndexUnreadable");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_was_not_read_at_all_leaves_nothing_that_all_was_taken_up_to() {
    let rows = Process::new();
    // All in one shard, but for one that is due later than the rest.
    indexed(&rows, players_of(Some(3)).zip(1..).take(50).chain(players_of(Some(5)).zip(90..).take(1))).await;
    rows.wait(100);
    for fault in [Fault::Delay(HOUR), Fault::Error(StoreError::Throttled { table: "queues".to_owned() })] {
        let code = if matches!(fault, Fault::Delay(_)) { "deadline" } else { "store_throttled" };
        rows.store.set_faults(Arc::new(move |operation| match operation {
            Operation::Due { shard: 7 } => fault.clone(),
            _ => Fault::None,
        }));
        let answer = run(&rows, Some(&Slow(Duration::ZERO)), 10_000).await;
        // Nothing was sent where the read of a shard took all the time.
        let Ok(answer) = answer else {
            assert_eq!((code, answer.unwrap_err().error_type()), ("deadline", "TicksNotSent"));
            continue;
        };
        assert_eq!(figures(&answer, ["due", "ticks", "failed"]), [51, 51, 0]);
        let advance = &answer["advance"];
        assert_eq!((&advance["upTo"], &advance["done"]), (&Value::Null, &json!(false)), "{answer:#}");
        let told = advance["errors"].as_array().unwrap();
        assert_eq!((told.len(), &told[0]["shard"], &told[0]["error"]), (1, &json!(7), &json!(code)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_stands_behind_the_last_row_read_of_a_shard_bounds_how_far_a_run_came() {
    let rows = Process::new();
    // A page and more of one shard, all of it due before everything else.
    let first = players_of(Some(3)).zip(1..).take(1_500);
    indexed(
        &rows,
        first.chain(
            (0..DUE_SHARDS).filter(|shard| *shard != 3).flat_map(|shard| players_of(Some(shard)).zip(5_000..).take(10)),
        ),
    )
    .await;
    rows.wait(10_000);
    // A wave is a page, and the second page takes all the time there is.
    let process = rows.another(Options {
        settings: PipelineSettings { concurrency: 1, ..PipelineSettings::default() },
        ..Options::default()
    });
    let pages = AtomicU64::new(0);
    process.store.set_faults(Arc::new(move |operation| match operation {
        Operation::Due { shard: 3 } if pages.fetch_add(1, Ordering::Relaxed) == 1 => Fault::Delay(HOUR),
        _ => Fault::None,
    }));
    let answer = run(&process, Some(&Slow(Duration::ZERO)), 10_000).await.unwrap();
    assert_eq!(figures(&answer, ["due", "ticks", "failed"]), [1_150, 1_000, 150]);
    let advance = &answer["advance"];
    assert_eq!((&advance["upTo"], &advance["done"]), (&time(1_000), &json!(false)), "{answer:#}");
    let told = advance["errors"].as_array().unwrap();
    assert_eq!((told.len(), &told[0]["shard"], &told[0]["error"]), (1, &json!(3), &json!("deadline")));
}

#[tokio::test(start_paused = true)]
async fn ticks_that_the_deadline_keeps_from_being_sent_bound_how_far_a_run_came() {
    let rows = Process::new();
    // Forty seconds, a tick each: four calls, one after the other.
    indexed(&rows, players_of(None).zip((1_000..).step_by(1_000)).take(40)).await;
    let process = rows.another(Options {
        settings: PipelineSettings { concurrency: 1, ..PipelineSettings::default() },
        ..Options::default()
    });
    // Time for two calls, and a third one that is not waited for.
    let answer = run(&process, Some(&Slow(Duration::from_secs(1))), 3_000).await.unwrap();
    assert_eq!(figures(&answer, ["due", "ticks", "failed", "messages"]), [40, 20, 20, 20]);
    let advance = &answer["advance"];
    assert_eq!((&advance["upTo"], &advance["done"]), (&time(21_000), &json!(false)), "{answer:#}");
    assert_eq!(advance["sendError"]["error"], "deadline");
}

#[tokio::test(start_paused = true)]
async fn queues_that_the_deadline_keeps_from_being_advanced_have_failed() {
    let rows = Process::new();
    queue_tasks(&rows, 500).await;
    let process = advancing(&rows, PipelineSettings::default());
    process.wait(5_000);
    // A call of 25 commits takes a second.
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Commit { write } if write.version == 2 => Fault::Delay(Duration::from_millis(40)),
        _ => Fault::None,
    }));
    let answer = run(&process, None, 3_000).await.unwrap();
    let [due, ticks, failed] = figures(&answer, ["due", "ticks", "failed"]);
    // Groups of 50 and 100 take a second each, and half a second is left for the next one.
    assert_eq!([due, ticks, failed], [350, 150, 200]);
    assert_eq!(answer["advance"]["upTo"], time(151), "{answer:#}");
}

#[tokio::test]
async fn a_run_is_not_done_while_it_leaves_rows_in_the_index() {
    let rows = Process::new();
    queue_tasks(&rows, 10).await;
    rows.wait(100);
    let process = advancing(&rows, PipelineSettings::default());
    // The second commit of a run takes the row out of the index.
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Commit { write } if write.version == 3 && write.player_id.as_str() < "p3" => {
            Fault::Error(StoreError::Throttled { table: "queues".to_owned() })
        }
        _ => Fault::None,
    }));
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
async fn without_batching_each_queue_leaves_the_index_by_a_call_of_its_own() {
    for (batching, calls) in [(FeatureSwitch::ON, 2), (FeatureSwitch::OFF, 20)] {
        let rows = Process::new();
        queue_tasks(&rows, 10).await;
        rows.wait(100);
        let process = advancing(&rows, PipelineSettings { batching, ..PipelineSettings::default() });
        let answer = run(&process, None, 10_000).await.unwrap();
        assert_eq!(figures(&answer, ["ticks", "settled"]), [10, 10]);
        assert_eq!(answer["report"]["commits"]["calls"], calls, "one to decide and one to settle");
    }
}
