//! Reads and loads while the table or the shared cache is in trouble.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use millrace_cache::{Emergency, Tier};
use millrace_domain::{PlayerId, Timestamp, record::Table};
use millrace_pipeline::ReadError;
use millrace_store::{
    StoreError,
    memory::{Fault, MemoryStore, Operation},
};
use serde_json::json;
use support::{BEGIN, Options, Process, enqueue, failures, grant, invocation, remote::Remote, report, sqs, standard};
use tokio::time::Instant;

fn process(remote: &Arc<Remote>) -> Process {
    let options = Options { remote: Some(Arc::clone(remote)), ..Options::default() };
    Process::on(MemoryStore::new(), Arc::new(AtomicU64::new(BEGIN)), options)
}

fn player() -> PlayerId {
    PlayerId::new("p").unwrap()
}

#[tokio::test]
async fn in_emergency_mode_a_copy_without_its_progress_is_served_without_the_table() {
    let remote = Arc::new(Remote::default());
    let process = process(&remote);
    process.invoke(&sqs(&[standard("m0", &enqueue("p", "t", json!({"units": 100})))])).await;
    process.invoke(&sqs(&[standard("m1", &report("p", "t", 30))])).await;
    process.invoke(&sqs(&[standard("m2", &report("p", "t", 40))])).await;
    // Another process loads it from the table for a command that needs no progress.
    let shared = Arc::new(Remote::default());
    let other = process.another(Options { remote: Some(Arc::clone(&shared)), ..Options::default() });
    other.invoke(&sqs(&[standard("m3", &grant("p", 1))])).await;
    let table = Arc::new(AtomicU64::new(0));
    let reading = shared.another();
    let reader = process.another(Options { remote: Some(Arc::clone(&reading)), ..Options::default() });
    let asked = Arc::clone(&table);
    reader.store.set_faults(Arc::new(move |operation| match operation {
        Operation::Load { .. } => {
            asked.fetch_add(1, Ordering::Relaxed);
            Fault::Error(StoreError::Unavailable { detail: "away".to_owned() })
        }
        _ => Fault::None,
    }));
    let failed = reader.service.read_queue(&player(), 0, &invocation(10)).await.unwrap_err();
    assert!(matches!(failed, ReadError::Failed(failure) if failure.code == "store_unavailable"));
    assert_eq!(table.swap(0, Ordering::Relaxed), 1, "out of it, the progress row is read");

    let (switched_at, until) = (Timestamp::from_millis(BEGIN), Timestamp::from_millis(BEGIN + 900_000));
    *reading.emergency.lock().unwrap() = Some(Emergency { enabled: true, switched_at, until });
    let read = reader.service.read_queue(&player(), 0, &invocation(10)).await.unwrap();
    assert_eq!(read.cached.queue.tasks[0].units_done, 30, "what milestones tell");
    assert_eq!((read.report.calls, table.load(Ordering::Relaxed)), (0, 0));
    assert!(matches!(read.report.found, Some(Tier::Local | Tier::Redis)));

    // What it does not know is not passed off as known, here or to others.
    *reading.emergency.lock().unwrap() = None;
    reader.store.clear_faults();
    let read = reader.service.read_queue(&player(), 0, &invocation(10)).await.unwrap();
    assert_eq!((read.cached.queue.tasks[0].units_done, read.report.calls), (40, 1));
    assert_eq!(process.store.records(Table::Progress).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shared_tier_that_never_answers_holds_nobody_up_beyond_the_deadline() {
    let remote = Arc::new(Remote::default());
    let process = process(&remote);
    process.invoke(&sqs(&[standard("m0", &grant("p", 1))])).await;
    process.wait(2_000);
    remote.hangs.store(true, Ordering::Relaxed);
    // The table takes its time, as a real one does.
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Load { .. } => Fault::Delay(Duration::from_millis(5)),
        _ => Fault::None,
    }));
    // The function is stopped after three seconds, and hands back what is open half a second before.
    let (begun, call) = (Instant::now(), invocation(3));
    let event = sqs(&[standard("m1", &grant("p", 1))]).to_string();
    let answer = tokio::time::timeout(Duration::from_secs(60), process.service.process(event.as_bytes(), &call));
    let answer = answer.await.expect("it waits for ever").unwrap();
    assert_eq!((failures(&answer), answer.results[0].reason), (vec!["m1"], Some("deadline")));
    assert_eq!(answer.report.cache.redis.errors, 1);
    assert!(begun.elapsed() < Duration::from_millis(2_900), "{:?}", begun.elapsed());

    let (begun, call) = (Instant::now(), invocation(3));
    let player = player();
    let read = tokio::time::timeout(Duration::from_secs(60), process.service.read_queue(&player, 0, &call));
    let failed = read.await.expect("it waits for ever").unwrap_err();
    assert!(matches!(failed, ReadError::Failed(failure) if failure.code == "deadline"));
    assert!(begun.elapsed() < Duration::from_millis(2_900), "{:?}", begun.elapsed());
}
