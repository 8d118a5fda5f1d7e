//! Having queues advanced that have something due, on a store in memory: by a run itself, with shards and
//! stores failing, and cut short.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use millrace_domain::{Record, Rules, Timestamp, record::Table};
use millrace_pipeline::{Advanced, ServiceSettings, advance::Mode};
use millrace_store::{
    DUE_SHARDS, QueueStore, QueueWrite, StoreError,
    memory::{Fault, MemoryStore, Operation},
};
use serde_json::json;
use support::{BEGIN, Options, Process, enqueue, grant, idle_row, invocation, queue_tasks, shard_of, sqs, standard};

const SHARDS: u64 = DUE_SHARDS as u64;

/// A process that nobody delivers anything to again.
fn advancing(rows: &Process) -> Process {
    advancing_with(rows, ServiceSettings::default())
}

fn advancing_with(rows: &Process, settings: ServiceSettings) -> Process {
    rows.another(Options { settings: ServiceSettings { delivered_again: false, ..settings }, ..Options::default() })
}

async fn direct(process: &Process) -> Advanced {
    process.service.advance(None, &invocation(10)).await.unwrap()
}

/// Every player has completed its task once: in its queue, its history and its stats.
fn assert_completed_once(process: &Process, count: usize) {
    for at in 0..count {
        let queue = process.queue(&format!("p{at}"));
        assert_eq!((queue.totals.completed, queue.balances.get("gold")), (1, 1), "p{at}");
    }
    assert_eq!(process.store.records(Table::History).len(), count);
    let stats = process.store.records(Table::Stats);
    assert!(stats.iter().all(|row| matches!(row, Record::Stats(row) if row.totals.completed == 1)));
    assert_eq!(stats.len(), count);
}

fn index_is_empty(process: &Process) -> bool {
    process.store.queues().iter().all(|(player, _)| process.store.due_at(player).is_none())
}

#[tokio::test]
async fn what_is_due_is_advanced_and_the_rest_is_left_alone() {
    let rows = Process::new();
    queue_tasks(&rows, 60, |at| if at < 40 { 1_000 + at as u64 } else { 9_000 }).await;
    let process = advancing(&rows);
    process.wait(5_000);
    let Advanced { advance, report } = direct(&process).await;
    assert_eq!((advance.mode, advance.due, advance.ticks, advance.failed), (Mode::Direct, 40, 40, 0));
    assert_eq!((advance.done, advance.up_to), (true, Some(Timestamp::from_millis(BEGIN + 5_000))));
    assert_eq!((advance.calls.due, advance.calls.ticks, advance.messages), (SHARDS, 0, 0));
    assert_eq!((report.players, report.commands.received), (40, 0));
    // The first was due at 1000 and the last at 1039: seen at 5000.
    let late = report.lateness;
    assert_eq!((late.count, late.max_ms), (40, Some(4_000)));
    assert!(late.p50_ms >= Some(3_980) && late.p99_ms <= Some(4_000), "{late:?}");
    // Two calls that decide and two that take the queues out of the index, 25 at a time.
    assert_eq!((report.commits.committed, report.commits.calls, advance.settled), (80, 4, 40));
    assert_eq!((report.writes.items, process.store.records(Table::History).len()), (80, 40));

    process.wait(4_000);
    let last = direct(&process).await.advance;
    assert_eq!((last.due, last.ticks, last.done), (20, 20, true));
    assert_completed_once(&process, 60);
    assert!(index_is_empty(&process));
}

#[tokio::test]
async fn nothing_due_costs_a_read_of_each_shard_however_many_queues_there_are() {
    let rows = Process::new();
    let process = advancing(&rows);
    for idle in [0, 2_000] {
        let writes: Vec<QueueWrite> = (0..idle).map(|at| idle_row(&format!("idle-{at}"))).collect();
        assert!(rows.store.commit(&writes).await.outcomes.iter().all(Result::is_ok));
        let Advanced { advance, report } = direct(&process).await;
        assert_eq!((advance.due, advance.done, advance.calls.due), (0, true, SHARDS), "{idle} idle queues");
        assert_eq!((report.loads.calls, report.commits.calls, report.writes.calls), (0, 0, 0));
        assert_eq!((report.cache.hit_rate, report.lateness.p99_ms), (None, None));
    }
}

#[tokio::test]
async fn a_shard_that_cannot_be_read_harms_no_other_and_is_in_the_answer() {
    let rows = Process::new();
    queue_tasks(&rows, 100, |_| 1).await;
    let process = advancing(&rows);
    process.wait(10);
    let broken = StoreError::AccessDenied { detail: "no".to_owned() };
    let fault = Fault::Error(broken);
    process.store.set_faults(Arc::new(move |operation| match operation {
        Operation::Due { shard: 3 } => fault.clone(),
        _ => Fault::None,
    }));
    let advance = direct(&process).await.advance;
    let missing = (0..100).filter(|at| shard_of(*at) == 3).count() as u64;
    assert!(missing > 0);
    assert_eq!((advance.ticks, advance.failed, advance.done), (100 - missing, 0, false));
    let told: Vec<_> = advance.errors.iter().map(|error| (error.shard, error.error)).collect();
    assert_eq!(told, [(3, "access_denied")]);
    process.store.clear_faults();
    assert_eq!(direct(&process).await.advance.ticks, missing);
    assert_completed_once(&process, 100);

    process.store.set_faults(Arc::new(|_| Fault::Error(StoreError::Throttled { table: "queues".to_owned() })));
    let failed = process.service.advance(None, &invocation(10)).await.unwrap_err();
    assert_eq!(failed.error_type(), "IndexUnreadable");
}

#[tokio::test]
async fn a_queue_that_cannot_be_advanced_holds_up_no_other() {
    let rows = Process::new();
    queue_tasks(&rows, 50, |_| 1).await;
    let process = advancing(&rows);
    process.wait(10);
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Load { table: Table::Queues, player } if player.as_str() == "p7" => {
            Fault::Error(StoreError::unreadable(Table::Queues, "damaged"))
        }
        _ => Fault::None,
    }));
    let advance = direct(&process).await.advance;
    assert_eq!((advance.due, advance.ticks, advance.failed, advance.done), (50, 49, 1, false));
}

/// Nobody delivers a run again: what a crash cuts short is found by the next one in the index.
#[tokio::test]
async fn records_that_a_crash_kept_back_are_written_by_the_next_run() {
    let rows = Process::new();
    queue_tasks(&rows, 10, |_| 1).await;
    rows.wait(10);
    let dying = advancing(&rows);
    // As good as dead between commit and records: no row is written, and nothing is settled.
    dying.store.set_faults(Arc::new(|operation| match operation {
        Operation::Write { .. } => Fault::Error(StoreError::AccessDenied { detail: "dying".to_owned() }),
        _ => Fault::None,
    }));
    let cut = dying.service.advance(None, &invocation(10)).await.unwrap_err();
    assert_eq!(cut.error_type(), "NothingAdvanced");
    assert_eq!((rows.queue("p3").totals.completed, rows.store.records(Table::History).len()), (1, 0));

    rows.wait(60_000);
    let next = advancing(&rows);
    let healed = direct(&next).await;
    assert_eq!((healed.advance.due, healed.advance.settled, healed.advance.done), (10, 10, true));
    assert_eq!(healed.report.lateness.count, 0, "nothing completes a second time");
    assert_completed_once(&rows, 10);
    assert!(index_is_empty(&rows));
    assert_eq!(direct(&next).await.advance.due, 0);
}

#[tokio::test]
async fn a_queue_that_somebody_changes_before_it_is_settled_is_left_to_them() {
    let rows = Process::new();
    queue_tasks(&rows, 1, |_| 1).await;
    rows.wait(10);
    let process = advancing(&rows);
    let (other, commits) = (rows.another(Options::default()), AtomicU64::new(0));
    let other = Arc::new(other);
    process.store.set_faults(Arc::new(move |operation| {
        if matches!(operation, Operation::Commit { .. }) && commits.fetch_add(1, Ordering::Relaxed) == 1 {
            let other = Arc::clone(&other);
            // Another process grants gold between the commit and the settling.
            std::thread::scope(|scope| {
                let grant = scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(other.invoke(&sqs(&[standard("g", &grant("p0", 5))])))
                });
                assert_eq!(grant.join().unwrap().report.commands.applied, 1);
            });
        }
        Fault::None
    }));
    let Advanced { advance, report } = direct(&process).await;
    assert_eq!((advance.ticks, advance.settled, advance.failed), (1, 0, 0));
    assert_eq!(report.commits.conflicts, 1);
    assert_eq!(rows.queue("p0").balances.get("gold"), 6);
    assert!(index_is_empty(&rows));
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_complete_everything_once() {
    let rows = Process::new();
    queue_tasks(&rows, 300, |at| 1 + at as u64 % 7).await;
    rows.wait(10);
    let (one, other) = (advancing(&rows), advancing(&rows));
    for process in [&one, &other] {
        // A store that takes its time lets the other run go on in the middle of each call.
        process.store.set_faults(Arc::new(|operation| match operation {
            Operation::Ping => Fault::None,
            _ => Fault::Delay(Duration::from_millis(1)),
        }));
    }
    let (first, second) = tokio::join!(direct(&one), direct(&other));
    assert!(first.advance.due > 0 && second.advance.due > 0, "{:?} {:?}", first.advance, second.advance);
    assert!(first.report.commits.conflicts + second.report.commits.conflicts > 0, "they never met");
    assert_eq!(first.report.lateness.count + second.report.lateness.count, 300);
    assert_completed_once(&rows, 300);
    direct(&one).await;
    assert!(index_is_empty(&rows));
}

#[tokio::test]
async fn an_inactive_queue_is_paused_and_leaves_the_index() {
    let rules = Rules::default().pause_after_days(3);
    let settings = ServiceSettings { rules, ..ServiceSettings::default() };
    let rows = Process::on(
        MemoryStore::new(),
        Arc::new(AtomicU64::new(BEGIN)),
        Options { settings: settings.clone(), ..Options::default() },
    );
    let day = 86_400_000;
    let tasks: Vec<_> = (0..7).map(|n| enqueue("p0", &format!("t-{n}"), json!({"durationMs": day}))).collect();
    rows.invoke(&sqs(&[standard("m", &json!({ "commands": tasks }))])).await;
    let process = advancing_with(&rows, settings);
    process.wait(3 * day - 1);
    assert_eq!(direct(&process).await.advance.due, 1);
    let queue = process.queue("p0");
    assert_eq!((queue.totals.completed, queue.paused_at), (2, None));
    process.wait(day);
    assert_eq!(direct(&process).await.advance.due, 1);
    let queue = process.queue("p0");
    assert_eq!(queue.totals.completed, 3);
    assert_eq!(queue.paused_at, Some(Timestamp::from_millis(BEGIN + 3 * day)), "as of its moment, not of the run");
    assert!(index_is_empty(&process));
    process.wait(365 * day);
    assert_eq!(direct(&process).await.advance.due, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_reached_before_the_deadline_is_taken_up_by_the_next_run_oldest_first() {
    let rows = Process::new();
    queue_tasks(&rows, 2_000, |at| 1 + at as u64).await;
    let process = advancing(&rows);
    process.wait(5_000);
    // A call of 25 commits takes a second.
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Commit { write } if write.version == 2 => Fault::Delay(Duration::from_millis(40)),
        _ => Fault::None,
    }));
    let cut = process.service.advance(None, &invocation(6)).await.unwrap().advance;
    assert!(!cut.done && cut.ticks > 0 && cut.due < 2_000, "{cut:?}");
    let completed = |at: usize| process.queue(&format!("p{at}")).totals.completed;
    // All that was due before `upTo` is done, over all shards.
    let up_to = cut.up_to.unwrap().as_millis() - BEGIN - 1;
    assert!(up_to >= 300, "{cut:?}");
    assert!((0..up_to as usize).all(|at| completed(at) == 1));
    assert!((0..2_000).filter(|at| completed(*at) == 1).count() < 2_000);
    process.store.clear_faults();
    let rest = process.service.advance(None, &invocation(60)).await.unwrap().advance;
    assert!(rest.done, "{rest:?}");
    assert_completed_once(&process, 2_000);
    assert!(index_is_empty(&process));
}
