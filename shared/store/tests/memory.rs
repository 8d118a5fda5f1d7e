//! The store in memory beyond the conformance suite: handles, faults, and access to the rows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use millrace_domain::{Record, Timestamp, record::Table};
use millrace_store::{
    CommitError, QueueRow, QueueStore, QueueWrite, Store, StoreError,
    conformance::{load_queue, sample, write_records},
    due_shard,
    memory::{Fault, MemoryStore, Operation},
};

fn timed_out() -> StoreError {
    StoreError::TimedOut { millis: 5 }
}

#[tokio::test]
async fn faults_of_one_handle_do_not_affect_others() {
    let store = MemoryStore::new();
    let crashing = store.handle();
    let steps = AtomicUsize::new(0);
    // The third operation and all later ones fail, as in a crashed process.
    crashing.set_faults(Arc::new(move |_| match steps.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Fault::None,
        _ => Fault::Error(timed_out()),
    }));
    let player = sample::player();
    assert_eq!(load_queue(&crashing, &player).await, Ok(None));
    assert_eq!(crashing.commit(&[sample::write(&player, 0)]).await.outcomes, vec![Ok(())]);
    let record = [Record::Stats(sample::stats(&player, 1))];
    assert_eq!(write_records(&crashing, Table::Stats, &record).await, Err(timed_out()));
    assert_eq!(crashing.ping().await, Err(timed_out()));
    assert_eq!(load_queue(&store, &player).await.unwrap().unwrap().version, 1);
    assert_eq!(store.records(Table::Stats), []);
    crashing.clear_faults();
    assert_eq!(crashing.ping().await, Ok(()));
}

#[tokio::test]
async fn failed_write_may_have_taken_effect() {
    let store = MemoryStore::new();
    store.set_faults(Arc::new(|_| Fault::FailAfterEffect(timed_out())));
    let player = sample::player();
    let outcomes = store.commit(&[sample::write(&player, 0)]).await.outcomes;
    assert_eq!(outcomes, vec![Err(CommitError::Store(timed_out()))]);
    assert_eq!(store.queue(&player).unwrap().version, 1);
    let record = [Record::Stats(sample::stats(&player, 1))];
    assert_eq!(write_records(&store, Table::Stats, &record).await, Err(timed_out()));
    assert_eq!(store.records(Table::Stats), record);
}

#[tokio::test]
async fn faults_can_affect_single_rows() {
    let store = MemoryStore::new();
    let players = [sample::player(), sample::player(), sample::player()];
    let unlucky = players[1].clone();
    store.set_faults(Arc::new(move |operation| match operation {
        Operation::Commit { write } if write.player_id == unlucky => Fault::Conflict,
        Operation::Load { table: Table::Queues, player } if **player == unlucky => Fault::Error(timed_out()),
        Operation::Write { keys, .. } => {
            Fault::Unprocessed((0..keys.len()).filter(|at| keys[*at].partition == unlucky.as_str()).collect())
        }
        _ => Fault::None,
    }));
    let writes = players.each_ref().map(|player| sample::write(player, 0));
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()), Err(CommitError::Conflict), Ok(())]);
    let mut loaded = store.load(&players, &players, &[]).await;
    assert_eq!(players.each_ref().map(|player| loaded.take_queue(player).is_ok()), [true, false, true]);
    assert_eq!(players.each_ref().map(|player| loaded.take_progress(player)), [Ok(None), Ok(None), Ok(None)]);
    let records = players.each_ref().map(|player| Record::Stats(sample::stats(player, 1)));
    assert_eq!(write_records(&store, Table::Stats, &records).await, Ok(vec![1]));
    assert_eq!(store.records(Table::Stats).len(), 2);
}

#[tokio::test]
async fn fault_hook_can_simulate_a_concurrent_commit() {
    let store = MemoryStore::new();
    let (player, other) = (sample::player(), store.handle());
    let theirs = QueueRow { version: 1, queue: b"theirs".to_vec(), outbox: None, due_at: None };
    let row = theirs.clone();
    store.set_faults(Arc::new(move |operation| {
        if let Operation::Commit { write } = operation {
            other.overwrite_queue(&write.player_id, row.clone());
        }
        Fault::None
    }));
    assert_eq!(store.commit(&[sample::write(&player, 0)]).await.outcomes, vec![Err(CommitError::Conflict)]);
    assert_eq!(store.queues(), [(player, theirs)]);
}

#[tokio::test(start_paused = true)]
async fn delays_use_the_clock_of_tokio() {
    let store = MemoryStore::new();
    store.set_faults(Arc::new(|_| Fault::Delay(Duration::from_secs(30))));
    let started = tokio::time::Instant::now();
    assert!(tokio::time::timeout(Duration::from_secs(29), store.ping()).await.is_err());
    assert_eq!(store.ping().await, Ok(()));
    assert_eq!(started.elapsed(), Duration::from_secs(59));
}

#[tokio::test]
async fn overwritten_row_leaves_the_index() {
    let store = MemoryStore::new();
    let player = sample::player();
    let at = Timestamp::from_millis(1000);
    let due = async || store.due(due_shard(&player), at, None, 10).await.queues;
    let commit = |expected| QueueWrite { due_at: Some(at), ..sample::write(&player, expected) };
    assert_eq!(store.commit(&[commit(0)]).await.outcomes, vec![Ok(())]);
    assert_eq!((store.due_at(&player), due().await.unwrap().len()), (Some(at), 1));
    store.overwrite_queue(&player, QueueRow { version: 7, queue: b"damaged".to_vec(), outbox: None, due_at: None });
    assert_eq!((store.due_at(&player), due().await.unwrap().len()), (None, 0));
    assert_eq!(store.commit(&[commit(7)]).await.outcomes, vec![Ok(())]);
    assert_eq!((store.due_at(&player), due().await.unwrap().len()), (Some(at), 1));
    assert_eq!(store.due(200, at, None, 10).await.queues, Ok(vec![]), "a shard that does not exist");
}

#[test]
fn one_thread_wins_each_version() {
    let store = MemoryStore::new();
    let player = sample::player();
    let won = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                for version in 0..2000 {
                    let write = sample::write(&player, version);
                    match runtime.block_on(store.commit(&[write])).outcomes.remove(0) {
                        Ok(()) => drop(won.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => assert_eq!(error, CommitError::Conflict),
                    }
                }
            });
        }
    });
    let version = store.queue(&player).unwrap().version;
    assert_eq!((won.into_inner() as u64, version), (version, version));
}
