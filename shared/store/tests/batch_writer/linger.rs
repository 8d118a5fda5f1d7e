//! Writes that share calls in a linger window.

use std::{pin::pin, time::Duration};

use futures::{FutureExt, future::join_all};
use millrace_domain::record::Table;
use millrace_store::{StoreError, WriteResponse, batch_writer::FailedWrite};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    batch_writer,
    fake::{FakeStore, history, progress, record_writes, rejection, stats, throttled},
    in_a_minute,
};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn concurrent_writes_share_calls() {
    let store = FakeStore::reliable();
    let writer = batch_writer(&store, |settings| settings.linger = 20 * MS);
    let start = Instant::now();
    let one = writer.write(record_writes((0..5).flat_map(|n| [history(n, 0), stats(n, 0)])), in_a_minute());
    let two = async {
        sleep(15 * MS).await;
        writer.write(record_writes((5..12).map(|n| history(n, 0))), in_a_minute()).await
    };
    let (one, two) = tokio::join!(one, two);
    // Both wait for the end of the window after 20 ms, and for the call.
    assert_eq!(start.elapsed(), 30 * MS);
    assert_eq!((one.failed.len(), two.failed.len()), (0, 0));
    let calls: Vec<_> = store.calls().iter().map(|call| (call.table, call.records.len())).collect();
    assert_eq!(calls, [(Table::History, 12), (Table::Stats, 5)]);
    let mut sum = one.statistics;
    sum.merge(&two.statistics);
    assert_eq!((sum.items, sum.calls, sum.round_trips_saved()), (17, 2, 15));
}

#[tokio::test(start_paused = true)]
async fn records_of_one_key_from_two_writes_share_a_row() {
    let store = FakeStore::reliable();
    let writer = batch_writer(&store, |settings| settings.linger = 20 * MS);
    let one = writer.write(record_writes([progress(1, 1), progress(2, 1)]), in_a_minute());
    let two = writer.write(record_writes([progress(1, 2)]), in_a_minute());
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.failed.len(), two.failed.len()), (0, 0));
    assert_eq!(store.sizes(), [2]);
    assert_eq!(store.row(&progress(1, 0).key()), Some(progress(1, 2)));
    assert_eq!(one.statistics.items + two.statistics.items, 2);
}

#[tokio::test(start_paused = true)]
async fn replaced_rows_do_not_fill_a_call() {
    let store = FakeStore::reliable();
    let writer = batch_writer(&store, |settings| (settings.linger, settings.max_items) = (20 * MS, 6));
    let start = Instant::now();
    let write = |n| writer.write(record_writes([rejection(1, 5), rejection(n, 5)]), in_a_minute());
    join_all((2..6).map(write)).await;
    assert_eq!(store.sizes(), [5]);
    assert_eq!(start.elapsed(), 30 * MS);
}

/// Two full calls leave rows of the same keys unprocessed.
#[tokio::test(start_paused = true)]
async fn rows_of_one_key_are_retried_as_one_row() {
    let store = FakeStore::new(MS, |nth, _, _| Ok(if nth < 2 { vec![0, 24] } else { Vec::new() }));
    let writer = batch_writer(&store, |settings| settings.linger = 20 * MS);
    let write = |value| writer.write(record_writes((0..25).map(|n| history(n, value))), in_a_minute());
    let (one, two) = tokio::join!(write(1), write(2));
    assert_eq!((one.failed.len(), two.failed.len()), (0, 0));
    assert_eq!(store.sizes(), [25, 25, 2]);
}

#[tokio::test(start_paused = true)]
async fn full_calls_do_not_linger() {
    let store = FakeStore::reliable();
    let writer = batch_writer(&store, |settings| settings.linger = 1_000 * MS);
    let start = Instant::now();
    let one = writer.write(record_writes((0..15).map(|n| history(n, 0))), in_a_minute());
    let two = writer.write(record_writes((15..40).map(|n| history(n, 0))), in_a_minute());
    let three = writer.write(record_writes((40..50).map(|n| history(n, 0))), in_a_minute());
    let done = |write| async {
        let written: WriteResponse<usize> = write.await;
        assert_eq!(written.failed, []);
        start.elapsed()
    };
    // The three writes have 50 records: two full calls.
    let ends = join_all([done(one.boxed()), done(two.boxed()), done(three.boxed())]).await;
    assert_eq!(ends, [10 * MS; 3]);
    assert_eq!(store.sizes(), [25, 25]);
}

#[tokio::test(start_paused = true)]
async fn only_the_last_call_of_a_large_write_lingers() {
    let store = FakeStore::reliable();
    let writer = batch_writer(&store, |settings| settings.linger = 100 * MS);
    let start = Instant::now();
    let written = writer.write(record_writes((0..55).map(|n| history(n, 0))), in_a_minute()).await;
    assert_eq!(written.failed, []);
    let calls: Vec<_> = store.calls().iter().map(|call| (call.at - start, call.records.len())).collect();
    assert_eq!(calls, [(Duration::ZERO, 25), (Duration::ZERO, 25), (100 * MS, 5)]);
}

#[tokio::test(start_paused = true)]
async fn near_deadline_shortens_the_linger_time() {
    let store = FakeStore::reliable();
    let writer = batch_writer(&store, |settings| settings.linger = 1_000 * MS);
    let start = Instant::now();
    let unhurried = writer.write(record_writes([history(1, 0)]), in_a_minute());
    let hurried = writer.write(record_writes([history(2, 0)]), start + 60 * MS);
    let (unhurried, hurried) = tokio::join!(unhurried, hurried);
    assert_eq!((unhurried.failed.len(), hurried.failed.len()), (0, 0));
    assert_eq!(start.elapsed(), 40 * MS);
    assert_eq!(store.sizes(), [2]);
}

#[tokio::test(start_paused = true)]
async fn write_ends_when_its_rows_are_written() {
    let store = FakeStore::new(MS, |nth, table, _| match table {
        Table::History if nth < 4 => Err(throttled(table)),
        _ => Ok(Vec::new()),
    });
    let writer = batch_writer(&store, |settings| (settings.linger, settings.seed) = (10 * MS, 1));
    let start = Instant::now();
    let slow = async {
        assert_eq!(writer.write(record_writes([history(1, 0)]), in_a_minute()).await.failed, []);
        start.elapsed()
    };
    let quick = async {
        assert_eq!(writer.write(record_writes([stats(1, 0)]), in_a_minute()).await.failed, []);
        start.elapsed()
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert!(quick <= 12 * MS && slow > 50 * MS, "{quick:?} {slow:?}");
}

#[tokio::test(start_paused = true)]
async fn each_write_ends_at_its_deadline() {
    for hurried in [0, 1] {
        let store = FakeStore::new(200 * MS, |_, _, _| Ok(Vec::new()));
        let writer = batch_writer(&store, |settings| settings.linger = 10 * MS);
        let write = async |n| {
            let (start, time) = (Instant::now(), if n == hurried { 100 * MS } else { 1_000 * MS });
            let written = writer.write(record_writes([history(n, 0)]), start + time).await;
            (written.failed, start.elapsed())
        };
        let ends = join_all([write(0), write(1)]).await;
        let timed_out = FailedWrite { origin: 0, error: StoreError::TimedOut { millis: 100 } };
        assert_eq!(ends[hurried], (vec![timed_out], 100 * MS));
        assert_eq!(ends[1 - hurried], (vec![], 210 * MS));
    }
}

/// Drops each of three writes at different moments.
#[tokio::test(start_paused = true)]
async fn dropped_write_does_not_block_others() {
    for dropped in 0..3 {
        for at in [0, 5, 9, 10, 11, 15, 19, 20, 25] {
            // The first call fails, so that a write may be dropped during a retry delay too.
            let store = FakeStore::new(10 * MS, |nth, table, _| match nth {
                0 => Err(throttled(table)),
                _ => Ok(Vec::new()),
            });
            let writer = batch_writer(&store, |settings| settings.linger = 10 * MS);
            let write = |n: usize| {
                let (writer, rows) = (&writer, record_writes((0..4).map(|m| history(10 * n + m, 0))));
                async move {
                    let limit = if n == dropped { Duration::from_millis(at) } else { 1_000 * MS };
                    timeout(limit, writer.write(rows, in_a_minute())).await
                }
            };
            let ends = join_all((0..3).map(write)).await;
            for (n, end) in ends.into_iter().enumerate().filter(|(n, _)| *n != dropped) {
                assert_eq!(end.expect("the write is blocked").failed, []);
                assert!((0..4).all(|m| store.row(&history(10 * n + m, 0).key()).is_some()));
            }
            store.calls();
            // The next window works.
            let next = writer.write(record_writes([stats(1, 0)]), in_a_minute()).await;
            assert_eq!(next.failed, []);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_dropped_write_are_not_written() {
    let store = FakeStore::reliable();
    let writer = batch_writer(&store, |settings| settings.linger = 10 * MS);
    assert!(timeout(5 * MS, writer.write(record_writes([history(1, 0)]), in_a_minute())).await.is_err());
    assert_eq!(writer.write(record_writes([history(2, 0)]), in_a_minute()).await.failed, []);
    assert_eq!(store.rows(), 1);

    // The same with a second write in the window.
    let mut kept = pin!(writer.write(record_writes([history(3, 0)]), in_a_minute()));
    assert!(kept.as_mut().now_or_never().is_none());
    assert!(timeout(5 * MS, writer.write(record_writes([history(4, 0)]), in_a_minute())).await.is_err());
    assert_eq!(kept.await.failed, []);
    assert_eq!(store.rows(), 2);
}

#[tokio::test(start_paused = true)]
async fn panic_of_the_store_fails_the_write() {
    let store = FakeStore::new(MS, |nth, _, _| if nth == 0 { panic!("the store panics") } else { Ok(Vec::new()) });
    let writer = batch_writer(&store, |settings| settings.linger = 10 * MS);
    let write = |n| writer.write(record_writes([history(n, 0)]), in_a_minute());
    let (one, two) = tokio::join!(write(1), write(2));
    for written in [one, two] {
        assert!(matches!(written.failed[0].error, StoreError::Unavailable { .. }));
    }
    assert_eq!(write(3).await.failed, []);
}
