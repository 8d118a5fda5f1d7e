//! Reads and loads while the table or the shared cache is unavailable.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use millrace_cache::{Emergency, Tier};
use millrace_domain::{PlayerId, Timestamp, record::Table};
use millrace_queries::ReadError;
use millrace_simulation::{
    Process, START_MS, enqueue_task, failed_message_ids, grant_gold, invocation, report_progress,
    shared_cache::FakeSharedCache, sqs_payload, standard_message,
};
use millrace_store::{
    StoreError,
    memory::{Fault, Operation},
};
use serde_json::json;
use tokio::time::Instant;

fn player() -> PlayerId {
    PlayerId::new("p").unwrap()
}

#[tokio::test]
async fn emergency_mode_serves_a_copy_without_progress_and_without_a_table_read() {
    let (process, _) = Process::with_shared_cache();
    process.send("m0", &enqueue_task("p", "t", json!({"units": 100}))).await;
    process.send("m1", &report_progress("p", "t", 30)).await;
    process.send("m2", &report_progress("p", "t", 40)).await;
    // A command that needs no progress loads the queue without its progress row.
    let other_cache = Arc::new(FakeSharedCache::default());
    let other = process.start_with_connection(Arc::clone(&other_cache));
    other.send("m3", &grant_gold("p", 1)).await;
    let table_reads = Arc::new(AtomicU64::new(0));
    let reader_cache = other_cache.connect();
    let reader = process.start_with_connection(Arc::clone(&reader_cache));
    let counted_reads = Arc::clone(&table_reads);
    reader.store.set_faults(Arc::new(move |operation| match operation {
        Operation::Load { .. } => {
            counted_reads.fetch_add(1, Ordering::Relaxed);
            Fault::Error(StoreError::Unavailable { detail: "simulated".to_owned() })
        }
        _ => Fault::None,
    }));
    let failed = reader.read_queue(&player(), 0, &invocation(10)).await.unwrap_err();
    assert!(matches!(failed, ReadError::Failed(failure) if failure.reason.code() == "store_unavailable"));
    assert_eq!(table_reads.swap(0, Ordering::Relaxed), 1, "the progress row is read while emergency mode is off");

    let (switched_at, until) = (Timestamp::from_millis(START_MS), Timestamp::from_millis(START_MS + 900_000));
    *reader_cache.emergency.lock().unwrap() = Some(Emergency { enabled: true, switched_at, until });
    let read = reader.read_queue(&player(), 0, &invocation(10)).await.unwrap();
    assert_eq!(read.cached.queue.tasks[0].units_done, 30, "the copy has the progress of the last milestone");
    assert_eq!((read.report.calls, table_reads.load(Ordering::Relaxed)), (0, 0));
    assert!(matches!(read.report.found, Some(Tier::Local | Tier::Redis)));

    // The incomplete copy was not cached as complete, so the progress row is read again.
    *reader_cache.emergency.lock().unwrap() = None;
    reader.store.clear_faults();
    let read = reader.read_queue(&player(), 0, &invocation(10)).await.unwrap();
    assert_eq!((read.cached.queue.tasks[0].units_done, read.report.calls), (40, 1));
    assert_eq!(process.store.records(Table::Progress).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn hanging_shared_cache_does_not_delay_answers_beyond_the_deadline() {
    let (process, shared_cache) = Process::with_shared_cache();
    process.send("m0", &grant_gold("p", 1)).await;
    process.advance_clock(2_000);
    shared_cache.hangs.store(true, Ordering::Relaxed);
    // A real table has a latency too.
    process.inject(Fault::Delay(Duration::from_millis(5)), |operation| matches!(operation, Operation::Load { .. }));
    // The function times out after three seconds. Unfinished messages fail half a second before.
    let (started, call) = (Instant::now(), invocation(3));
    let payload = sqs_payload(&[standard_message("m1", &grant_gold("p", 1))]).to_string();
    let answer = tokio::time::timeout(Duration::from_secs(60), process.process(payload.as_bytes(), &call));
    let answer = answer.await.expect("the answer does not hang").unwrap();
    assert_eq!((failed_message_ids(&answer), answer.results[0].reason), (vec!["m1"], Some("deadline")));
    assert_eq!(answer.report.cache.redis.errors, 1);
    assert!(started.elapsed() < Duration::from_millis(2_900), "{:?}", started.elapsed());

    let (started, call) = (Instant::now(), invocation(3));
    let player = player();
    let read = tokio::time::timeout(Duration::from_secs(60), process.read_queue(&player, 0, &call));
    let failed = read.await.expect("the answer does not hang").unwrap_err();
    assert!(matches!(failed, ReadError::Failed(failure) if failure.reason.code() == "deadline"));
    assert!(started.elapsed() < Duration::from_millis(2_900), "{:?}", started.elapsed());
}
