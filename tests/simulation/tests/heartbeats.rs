//! Heartbeats between milestones: what they cost, and that none is lost.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use millrace_cache::Emergency;
use millrace_domain::{PlayerId, Timestamp, attempt::MissedDeadline, record::Table};
use millrace_pipeline::{Answer, Report};
use millrace_simulation::{Options, Process, START_MS, invocation, report_progress, shared_cache::FakeSharedCache};
use millrace_store::memory::{Fault, Operation};
use serde_json::{Value, json};

const PLAYERS: usize = 10;
const HEARTBEAT_MS: u64 = 10_000;

/// The rows that a process has read and written.
#[derive(Debug, Default)]
struct Rows {
    queues_read: AtomicU64,
    progress_read: AtomicU64,
    commits: AtomicU64,
    progress_calls: AtomicU64,
    progress_rows: AtomicU64,
    others: AtomicU64,
}

impl Rows {
    /// Counts the operations of this process from now on.
    fn counted(process: &Process) -> Arc<Self> {
        let rows = Arc::new(Self::default());
        let counts = Arc::clone(&rows);
        process.store.set_faults(Arc::new(move |operation| {
            let add = |count: &AtomicU64, rows: usize| {
                count.fetch_add(rows as u64, Ordering::Relaxed);
            };
            match operation {
                Operation::Load { table: Table::Queues, .. } => add(&counts.queues_read, 1),
                Operation::Load { .. } => add(&counts.progress_read, 1),
                Operation::Commit { .. } => add(&counts.commits, 1),
                Operation::Write { table: Table::Progress, keys } => {
                    add(&counts.progress_calls, 1);
                    add(&counts.progress_rows, keys.len());
                }
                _ => add(&counts.others, 1),
            }
            Fault::None
        }));
        rows
    }

    /// Returns the counts and resets them: queue rows read, progress rows read, commits, calls that
    /// write progress rows, progress rows written, other operations.
    fn take(&self) -> [u64; 6] {
        [&self.queues_read, &self.progress_read, &self.commits, &self.progress_calls, &self.progress_rows, &self.others]
            .map(|count| count.swap(0, Ordering::Relaxed))
    }
}

/// Processes with a shared cache. Each player has an active task whose heartbeat is due after
/// [`HEARTBEAT_MS`].
async fn with_tasks() -> (Process, Arc<FakeSharedCache>) {
    let (process, shared_cache) = Process::with_shared_cache();
    let start = |_, player: &str| {
        json!({"type": "enqueueTasks", "playerId": player, "tasks": [{"taskId": "t", "kind": "k",
            "work": {"units": 100, "heartbeatMs": HEARTBEAT_MS}, "maxRetries": 5, "retryDelayMs": 3_600_000}]})
    };
    process.send_to_each("start", PLAYERS, start).await;
    (process, shared_cache)
}

/// A report of every player that crosses no milestone.
async fn beat(process: &Process, units: u64) -> Report {
    let id = format!("beat-{units}-");
    let report = process.send_to_each(&id, PLAYERS, |_, player| report_progress(player, "t", units)).await.report;
    assert_eq!((report.commands.applied, report.commits.calls), (PLAYERS as u64, 0));
    report
}

/// A tick of every player.
async fn tick(process: &Process) -> Answer {
    let players: Vec<String> = (0..PLAYERS).map(|at| format!("p{at}")).collect();
    process.invoke(&json!({"type": "advanceQueues", "playerIds": players})).await
}

/// How many attempts of each player's task have failed.
fn failed_attempts(process: &Process) -> Vec<u8> {
    (0..PLAYERS).map(|at| process.queue(&format!("p{at}")).tasks[0].attempts).collect()
}

fn due_at(process: &Process) -> Option<Timestamp> {
    process.store.due_at(&PlayerId::new("p0").unwrap())
}

fn after_start(ms: u64) -> Timestamp {
    Timestamp::from_millis(START_MS + ms)
}

/// A process without anything in its caches, and without a shared cache.
fn cold(process: &Process) -> Process {
    process.start_another(Options::default())
}

const ALL: u64 = PLAYERS as u64;

#[tokio::test]
async fn heartbeats_write_one_progress_row_each_in_one_call_and_commit_nothing() {
    let (process, shared_cache) = with_tasks().await;
    let rows = Rows::counted(&process);
    let [gets, puts] = [shared_cache.gets.load(Ordering::Relaxed), shared_cache.puts.load(Ordering::Relaxed)];
    for n in 1..=5 {
        process.advance_clock(5_000);
        let report = beat(&process, n).await;
        assert_eq!(rows.take(), [0, 0, 0, 1, ALL, 0], "heartbeat {n}");
        assert_eq!((report.writes.items, report.writes.calls, report.loads.calls), (ALL, 1, 0), "heartbeat {n}");
    }
    let calls = [shared_cache.gets.load(Ordering::Relaxed) - gets, shared_cache.puts.load(Ordering::Relaxed) - puts];
    assert_eq!(calls, [5, 5], "one read and one write of the shared cache a batch");
    assert_eq!((process.version("p0"), due_at(&process)), (1, Some(after_start(HEARTBEAT_MS))));
}

#[tokio::test]
async fn a_tick_that_comes_due_reads_the_last_report_before_an_attempt_fails() {
    let (process, shared_cache) = with_tasks().await;
    process.advance_clock(6_000);
    beat(&process, 1).await;
    process.advance_clock(4_000);
    // The row is due, but the progress row has a later report. The due entry is corrected.
    let other = process.start_with_connection(shared_cache.connect());
    let rows = Rows::counted(&other);
    assert!(tick(&other).await.batch_item_failures.is_empty());
    assert_eq!(rows.take(), [ALL, ALL, ALL, 0, 0, 0]);
    assert_eq!(failed_attempts(&other), [0; PLAYERS]);
    assert_eq!((other.version("p0"), due_at(&other)), (2, Some(after_start(6_000 + HEARTBEAT_MS))));
    // Another tick at this moment finds nothing due.
    tick(&other).await;
    assert_eq!(rows.take()[2], 0);

    // No report comes until the deadline: the attempt fails once.
    process.advance_clock(6_000);
    tick(&other).await;
    let [queues, progress, commits, ..] = rows.take();
    assert_eq!((queues, progress, commits), (0, ALL, ALL), "the copies know the deadline");
    assert_eq!(failed_attempts(&other), [1; PLAYERS]);
    tick(&other).await;
    assert_eq!((failed_attempts(&other), rows.take()[2]), (vec![1; PLAYERS], 0));
}

#[tokio::test]
async fn heartbeats_without_a_copy_take_one_load_and_correct_the_due_entry_once() {
    let (process, _) = with_tasks().await;
    process.advance_clock(6_000);
    // Nothing is due yet: the queue row and the progress row are read in one call.
    let report = beat(&cold(&process), 1).await;
    assert_eq!((report.loads.calls, report.writes.calls, report.commits.committed), (1, 1, 0));
    process.advance_clock(6_000);
    // The deadline that the row knows has passed, so its due entry is corrected.
    let late = cold(&process);
    let rows = Rows::counted(&late);
    let players = late.send_to_each("late", PLAYERS, |_, player| report_progress(player, "t", 2)).await.report;
    assert_eq!((players.commits.committed, players.commits.calls), (ALL, 1));
    assert_eq!(rows.take(), [ALL, ALL, ALL, 1, ALL, 0]);
    let report = beat(&cold(&process), 3).await;
    assert_eq!((report.loads.calls, report.writes.calls, report.commits.committed), (1, 1, 0));
    assert_eq!(failed_attempts(&process), [0; PLAYERS]);
}

#[tokio::test]
async fn a_report_of_one_process_renews_the_heartbeat_for_all() {
    let (process, shared_cache) = with_tasks().await;
    let [one, two] = [0, 1].map(|_| process.start_with_connection(shared_cache.connect()));
    for (at, reporter) in [&one, &two, &one, &two].into_iter().enumerate() {
        process.advance_clock(8_000);
        // The second process reports fewer units, which lowers nothing.
        beat(reporter, [4, 3, 6, 5][at]).await;
        // A third process has only what the tables have.
        tick(&cold(&process)).await;
        assert_eq!(failed_attempts(&process), [0; PLAYERS], "after report {at}");
    }
    let player = PlayerId::new("p0").unwrap();
    let read = cold(&process).read_queue(&player, 0, &invocation(10)).await.unwrap();
    assert_eq!(read.cached.queue.tasks[0].units_done, 6);
    let deadline = Some((after_start(4 * 8_000 + HEARTBEAT_MS), MissedDeadline::HeartbeatLost));
    assert_eq!(read.cached.queue.tasks[0].deadline(), deadline);
}

#[tokio::test]
async fn a_report_in_emergency_mode_is_not_lost() {
    let (process, shared_cache) = with_tasks().await;
    let [switched_at, until] = [after_start(0), after_start(9_000)];
    *shared_cache.emergency.lock().unwrap() = Some(Emergency { enabled: true, switched_at, until });
    process.advance_clock(8_000);
    beat(&process, 1).await;
    *shared_cache.emergency.lock().unwrap() = None;
    process.advance_clock(9_000);
    tick(&cold(&process)).await;
    assert_eq!(failed_attempts(&process), [0; PLAYERS]);
    process.advance_clock(1_000);
    tick(&cold(&process)).await;
    assert_eq!(failed_attempts(&process), [1; PLAYERS]);
}

#[tokio::test]
async fn a_pause_does_not_count_as_time_without_a_report() {
    let (process, _) = with_tasks().await;
    let of_type = |name: &str| -> Value { json!({"type": name}) };
    let to_all = async |name: &str| {
        let command = |_, player: &str| {
            let mut command = of_type(name);
            command["playerId"] = player.into();
            command
        };
        cold(&process).send_to_each(name, PLAYERS, command).await
    };
    process.advance_clock(5_000);
    beat(&process, 1).await;
    process.advance_clock(1_000);
    to_all("pauseQueue").await;
    process.advance_clock(100_000);
    tick(&cold(&process)).await;
    assert_eq!(failed_attempts(&process), [0; PLAYERS], "nothing is due while the queue is paused");
    to_all("resumeQueue").await;
    // The report was one second before the pause, so nine seconds are left.
    process.advance_clock(8_999);
    tick(&cold(&process)).await;
    assert_eq!(failed_attempts(&process), [0; PLAYERS]);
    process.advance_clock(1);
    tick(&cold(&process)).await;
    assert_eq!(failed_attempts(&process), [1; PLAYERS]);
}

#[tokio::test]
async fn only_attempts_that_miss_a_deadline_count_as_timed_out() {
    let (process, _) = with_tasks().await;
    process.advance_clock(HEARTBEAT_MS - 1);
    assert_eq!(tick(&process).await.report.attempts_timed_out, 0);
    let fail = |reason: &str| {
        let reason = reason.to_owned();
        move |_: usize, player: &str| json!({"type": "failTask", "playerId": player, "taskId": "t", "reason": reason})
    };
    // A worker may use the reason of a missed deadline.
    let failed = process.send_to_each("fail", 4, fail(MissedDeadline::HeartbeatLost.as_str())).await.report;
    assert_eq!((failed.commands.applied, failed.attempts_timed_out), (4, 0));
    process.advance_clock(1);
    assert_eq!(tick(&process).await.report.attempts_timed_out, ALL - 4);
    // Without another attempt, the task has failed.
    let last = |id: usize, player: &str| {
        json!({"type": "enqueueTasks", "playerId": player, "tasks": [{"taskId": format!("last-{id}"), "kind": "k",
            "work": {"units": 100, "timeoutMs": 1_000}, "maxRetries": 0}]})
    };
    process.send_to_each("last", PLAYERS, last).await;
    process.advance_clock(1_000);
    let report = tick(&process).await.report;
    assert_eq!(report.attempts_timed_out, ALL, "{report:?}");
}
