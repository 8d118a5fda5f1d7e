//! Writes that share calls: together, in time, and without harm to each other.

use std::{pin::pin, time::Duration};

use futures::{FutureExt, future::join_all};
use millrace_domain::record::Table;
use millrace_store::{StoreError, WriteResponse, batch_writer::Leftover};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    batcher,
    fake::{FakeStore, history, progress, rejection, rows, stats, throttled},
    in_a_minute,
};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn writes_of_one_moment_share_calls() {
    let store = FakeStore::sound();
    let batcher = batcher(&store, |settings| settings.linger = 20 * MS);
    let start = Instant::now();
    let one = batcher.write(rows((0..5).flat_map(|n| [history(n, 0), stats(n, 0)])), in_a_minute());
    let two = async {
        sleep(15 * MS).await;
        batcher.write(rows((5..12).map(|n| history(n, 0))), in_a_minute()).await
    };
    let (one, two) = tokio::join!(one, two);
    // Both waited for the first one's 20 ms, then for the call.
    assert_eq!(start.elapsed(), 30 * MS);
    assert_eq!((one.leftovers.len(), two.leftovers.len()), (0, 0));
    let calls: Vec<_> = store.seen().iter().map(|call| (call.table, call.records.len())).collect();
    assert_eq!(calls, [(Table::History, 12), (Table::Stats, 5)]);
    let mut sum = one.statistics;
    sum.merge(&two.statistics);
    assert_eq!((sum.items, sum.calls, sum.round_trips_saved()), (17, 2, 15));
}

#[tokio::test(start_paused = true)]
async fn rows_of_one_key_from_two_writes_share_a_row() {
    let store = FakeStore::sound();
    let batcher = batcher(&store, |settings| settings.linger = 20 * MS);
    let one = batcher.write(rows([progress(1, 1), progress(2, 1)]), in_a_minute());
    let two = batcher.write(rows([progress(1, 2)]), in_a_minute());
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.leftovers.len(), two.leftovers.len()), (0, 0));
    assert_eq!(store.sizes(), [2]);
    assert_eq!(store.row(&progress(1, 0).key()), Some(progress(1, 2)));
    assert_eq!(one.statistics.items + two.statistics.items, 2);
}

#[tokio::test(start_paused = true)]
async fn rows_that_replace_each_other_do_not_fill_a_call() {
    let store = FakeStore::sound();
    let batcher = batcher(&store, |settings| (settings.linger, settings.max_bytes) = (20 * MS, 4_000));
    let write = |n| batcher.write(rows([rejection(1, 1_900), rejection(n, 5)]), in_a_minute());
    join_all((2..6).map(write)).await;
    assert_eq!(store.sizes(), [5]);
}

/// Two full calls left the same key unprocessed: the rows wait together, and go in separate calls.
#[tokio::test(start_paused = true)]
async fn rows_of_one_key_from_two_full_calls_do_not_meet_in_one() {
    let store = FakeStore::new(MS, |nth, _, _| Ok(if nth < 2 { vec![0, 24] } else { Vec::new() }));
    let batcher = batcher(&store, |settings| settings.linger = 20 * MS);
    let write = |value| batcher.write(rows((0..25).map(|n| history(n, value))), in_a_minute());
    let (one, two) = tokio::join!(write(1), write(2));
    assert_eq!((one.leftovers.len(), two.leftovers.len()), (0, 0));
    assert_eq!(store.sizes(), [25, 25, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn full_calls_do_not_linger() {
    let store = FakeStore::sound();
    let batcher = batcher(&store, |settings| settings.linger = 1_000 * MS);
    let start = Instant::now();
    let one = batcher.write(rows((0..15).map(|n| history(n, 0))), in_a_minute());
    let two = batcher.write(rows((15..40).map(|n| history(n, 0))), in_a_minute());
    let three = batcher.write(rows((40..50).map(|n| history(n, 0))), in_a_minute());
    let done = |write| async {
        let written: WriteResponse<usize> = write.await;
        assert_eq!(written.leftovers, []);
        start.elapsed()
    };
    // The second fills a call by itself, the first and the third one together.
    let ends = join_all([done(one.boxed()), done(two.boxed()), done(three.boxed())]).await;
    assert_eq!(ends, [10 * MS; 3]);
    assert_eq!(store.sizes(), [25, 25]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_no_room_for_the_next_row_does_not_linger() {
    let store = FakeStore::sound();
    let batcher = batcher(&store, |settings| (settings.linger, settings.max_bytes) = (1_000 * MS, 4_000));
    let start = Instant::now();
    let write = |n| {
        let write = batcher.write(rows([rejection(n, 1_900)]), in_a_minute());
        async move {
            assert_eq!(write.await.leftovers, []);
            start.elapsed()
        }
    };
    let ends = tokio::join!(write(1), write(2));
    assert_eq!(ends, (10 * MS, 1_010 * MS));
}

#[tokio::test(start_paused = true)]
async fn only_the_rest_of_a_large_write_lingers() {
    let store = FakeStore::sound();
    let batcher = batcher(&store, |settings| settings.linger = 100 * MS);
    let start = Instant::now();
    let written = batcher.write(rows((0..55).map(|n| history(n, 0))), in_a_minute()).await;
    assert_eq!(written.leftovers, []);
    let calls: Vec<_> = store.seen().iter().map(|call| (call.at - start, call.records.len())).collect();
    assert_eq!(calls, [(Duration::ZERO, 25), (Duration::ZERO, 25), (100 * MS, 5)]);
}

#[tokio::test(start_paused = true)]
async fn little_time_left_shortens_the_wait() {
    let store = FakeStore::sound();
    let batcher = batcher(&store, |settings| settings.linger = 1_000 * MS);
    let start = Instant::now();
    let patient = batcher.write(rows([history(1, 0)]), in_a_minute());
    let pressed = batcher.write(rows([history(2, 0)]), start + 60 * MS);
    let (patient, pressed) = tokio::join!(patient, pressed);
    assert_eq!((patient.leftovers.len(), pressed.leftovers.len()), (0, 0));
    assert_eq!(start.elapsed(), 40 * MS);
    assert_eq!(store.sizes(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_write_is_answered_when_its_own_rows_are_done() {
    let store = FakeStore::new(MS, |nth, table, _| match table {
        Table::History if nth < 4 => Err(throttled(table)),
        _ => Ok(Vec::new()),
    });
    let batcher = batcher(&store, |settings| {
        (settings.linger, settings.backoff_base, settings.seed) = (10 * MS, 400 * MS, 1);
    });
    let start = Instant::now();
    let slow = async {
        assert_eq!(batcher.write(rows([history(1, 0)]), in_a_minute()).await.leftovers, []);
        start.elapsed()
    };
    let quick = async {
        assert_eq!(batcher.write(rows([stats(1, 0)]), in_a_minute()).await.leftovers, []);
        start.elapsed()
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert!(quick <= 12 * MS && slow > 50 * MS, "{quick:?} {slow:?}");
}

#[tokio::test(start_paused = true)]
async fn each_write_keeps_its_own_deadline() {
    for pressed in [0, 1] {
        let store = FakeStore::new(200 * MS, |_, _, _| Ok(Vec::new()));
        let batcher = batcher(&store, |settings| settings.linger = 10 * MS);
        let write = async |n| {
            let (start, time) = (Instant::now(), if n == pressed { 100 * MS } else { 1_000 * MS });
            let written = batcher.write(rows([history(n, 0)]), start + time).await;
            (written.leftovers, start.elapsed())
        };
        let ends = join_all([write(0), write(1)]).await;
        let timed_out = Leftover { origin: 0, error: StoreError::TimedOut { millis: 100 } };
        assert_eq!(ends[pressed], (vec![timed_out], 100 * MS));
        assert_eq!(ends[1 - pressed], (vec![], 210 * MS));
    }
}

/// Whichever of the writes is dropped, at whatever moment: the others end as if it had not been.
#[tokio::test(start_paused = true)]
async fn a_dropped_write_hangs_nobody() {
    for dropped in 0..3 {
        for at in [0, 5, 9, 10, 11, 15, 19, 20, 25] {
            // The first call of each table fails, so that a drop may hit a wait too.
            let store = FakeStore::new(10 * MS, |nth, table, _| match nth {
                0 => Err(throttled(table)),
                _ => Ok(Vec::new()),
            });
            let batcher = batcher(&store, |settings| settings.linger = 10 * MS);
            let write = |n: usize| {
                let (batcher, rows) = (&batcher, rows((0..4).map(|m| history(10 * n + m, 0))));
                async move {
                    let limit = if n == dropped { Duration::from_millis(at) } else { 1_000 * MS };
                    timeout(limit, batcher.write(rows, in_a_minute())).await
                }
            };
            let ends = join_all((0..3).map(write)).await;
            for (n, end) in ends.into_iter().enumerate().filter(|(n, _)| *n != dropped) {
                assert_eq!(end.expect("hangs").leftovers, []);
                assert!((0..4).all(|m| store.row(&history(10 * n + m, 0).key()).is_some()));
            }
            store.seen();
            // And the next round is as good as the first.
            let next = batcher.write(rows([stats(1, 0)]), in_a_minute()).await;
            assert_eq!(next.leftovers, []);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_dropped_write_are_not_written_later() {
    let store = FakeStore::sound();
    let batcher = batcher(&store, |settings| settings.linger = 10 * MS);
    assert!(timeout(5 * MS, batcher.write(rows([history(1, 0)]), in_a_minute())).await.is_err());
    assert_eq!(batcher.write(rows([history(2, 0)]), in_a_minute()).await.leftovers, []);
    assert_eq!(store.rows(), 1);

    // With a second write in the round, too.
    let mut kept = pin!(batcher.write(rows([history(3, 0)]), in_a_minute()));
    assert!(kept.as_mut().now_or_never().is_none());
    assert!(timeout(5 * MS, batcher.write(rows([history(4, 0)]), in_a_minute())).await.is_err());
    assert_eq!(kept.await.leftovers, []);
    assert_eq!(store.rows(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_store_is_a_leftover() {
    let store = FakeStore::new(MS, |nth, _, _| if nth == 0 { panic!("the store's own fault") } else { Ok(Vec::new()) });
    let batcher = batcher(&store, |settings| settings.linger = 10 * MS);
    let write = |n| batcher.write(rows([history(n, 0)]), in_a_minute());
    let (one, two) = tokio::join!(write(1), write(2));
    for written in [one, two] {
        assert!(matches!(written.leftovers[0].error, StoreError::Unavailable { .. }));
    }
    assert_eq!(write(3).await.leftovers, []);
}
