//! What fails: sent again where it passes, narrowed down where it does not, handed back in time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use millrace_domain::record::Table;
use millrace_store::{StoreError, batch_writer::Leftover};
use tokio::time::Instant;

use crate::{
    batcher,
    fake::{FakeStore, history, invalid, progress, rows, stats, throttled},
    in_a_minute,
};

const MS: Duration = Duration::from_millis(1);

fn origins(leftovers: &[Leftover<usize>]) -> Vec<usize> {
    leftovers.iter().map(|leftover| leftover.origin).collect()
}

#[tokio::test(start_paused = true)]
async fn unprocessed_rows_are_sent_again_until_all_are_written() {
    // Every call keeps one row and leaves the rest.
    let store = FakeStore::new(MS, |_, _, records| Ok((1..records.len()).collect()));
    let batcher = batcher(&store, |settings| settings.backoff_cap = 200 * MS);
    let written = batcher.write(rows((0..10).map(|n| history(n, 0))), in_a_minute()).await;
    assert_eq!(written.leftovers, []);
    assert_eq!(store.rows(), 10);
    assert_eq!(store.sizes(), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!((written.statistics.items, written.statistics.calls), (10, 10));
    assert_eq!(written.statistics.retried_items, (1..10).sum::<u64>());
}

#[tokio::test(start_paused = true)]
async fn waits_stay_under_a_growing_ceiling_and_differ_by_seed() {
    let mut sums = vec![Duration::ZERO; 6];
    let mut firsts = Vec::new();
    for seed in 0..200 {
        let store = FakeStore::new(
            Duration::ZERO,
            |nth, table, _| if nth < 6 { Err(throttled(table)) } else { Ok(Vec::new()) },
        );
        let batcher = batcher(&store, |settings| settings.seed = seed);
        assert_eq!(batcher.write(rows([history(0, 0)]), in_a_minute()).await.leftovers, []);
        let seen = store.seen();
        assert_eq!(seen.len(), 7);
        for (attempt, pair) in seen.windows(2).enumerate() {
            let wait = pair[1].at - pair[0].at;
            // The timer's grain is a millisecond.
            assert!(wait <= 25 * MS * 2_u32.pow(attempt as u32) + MS, "attempt {attempt}: {wait:?}");
            sums[attempt] += wait;
        }
        firsts.push(seen[1].at - seen[0].at);
    }
    assert!(sums.windows(2).all(|pair| pair[1] > pair[0] * 3 / 2), "{sums:?}");
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 10, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_of_several_calls_are_sent_again_together() {
    // Each of the first four calls leaves five rows.
    let store = FakeStore::new(MS, |nth, _, _| Ok(if nth < 4 { (0..5).collect() } else { Vec::new() }));
    let written = batcher(&store, |_| ()).write(rows((0..100).map(|n| history(n, 0))), in_a_minute()).await;
    assert_eq!((written.leftovers.len(), store.rows()), (0, 100));
    assert_eq!(store.sizes(), [25, 25, 25, 25, 20]);
    assert_eq!(written.statistics.retried_items, 20);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_right_origins_are_left_over() {
    let bad = |n: usize| n % 7 == 3;
    let store = FakeStore::new(MS, move |_, _, records| {
        let is_bad = |record: &_| (0..50).any(|n| bad(n) && *record == progress(n, 0));
        Ok((0..records.len()).filter(|at| is_bad(&records[*at])).collect())
    });
    let deadline = Instant::now() + 500 * MS;
    // Each row twice: both origins come back.
    let records = (0..50).flat_map(|n| [progress(n, 1), progress(n, 0)]);
    let written = batcher(&store, |_| ()).write(rows(records), deadline).await;
    assert!(Instant::now() <= deadline);
    let expected: Vec<_> = (0..50).filter(|n| bad(*n)).flat_map(|n| [2 * n, 2 * n + 1]).collect();
    assert_eq!(origins(&written.leftovers), expected);
    assert!(written.leftovers.iter().all(|leftover| leftover.error == throttled(Table::Progress)));
    assert_eq!(store.rows(), 50 - expected.len() / 2);
    assert_eq!(written.statistics.items, store.rows() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_deadline_is_not_begun() {
    let store = FakeStore::new(MS, |_, table, _| Err(throttled(table)));
    let batcher = batcher(&store, |settings| {
        (settings.backoff_base, settings.backoff_cap) = (3_600_000 * MS, 3_600_000 * MS);
    });
    let start = Instant::now();
    let written = batcher.write(rows([history(0, 0)]), start + 1_000 * MS).await;
    assert_eq!(written.leftovers, [Leftover { origin: 0, error: throttled(Table::History) }]);
    assert_eq!(start.elapsed(), MS);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_left_at_the_deadline() {
    let store = FakeStore::new(3_600_000 * MS, |_, _, _| Ok(Vec::new()));
    for linger in [Duration::ZERO, 5 * MS] {
        let batcher = batcher(&store, |settings| settings.linger = linger);
        let (start, deadline) = (Instant::now(), Instant::now() + 300 * MS);
        let written = batcher.write(rows((0..200).map(|n| history(n, 0))), deadline).await;
        assert_eq!(start.elapsed(), 300 * MS);
        assert_eq!(origins(&written.leftovers), (0..200).collect::<Vec<_>>());
        assert!(written.leftovers.iter().all(|leftover| leftover.error == StoreError::TimedOut { millis: 300 }));
        // Nothing runs after the answer.
        assert_eq!(store.running(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_last_answer_said_is_the_reason_at_the_deadline() {
    // The first call ends after 100 ms, the second one would after 200.
    let store = FakeStore::new(100 * MS, |_, table, _| Err(throttled(table)));
    for linger in [Duration::ZERO, MS] {
        let batcher = batcher(&store, |settings| settings.linger = linger);
        let written = batcher.write(rows([history(0, 0)]), Instant::now() + 190 * MS).await;
        assert_eq!(written.leftovers, [Leftover { origin: 0, error: throttled(Table::History) }]);
        assert_eq!((written.statistics.calls, written.statistics.retried_items), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_makes_no_call() {
    for linger in [Duration::ZERO, 5 * MS] {
        let store = FakeStore::sound();
        let batcher = batcher(&store, |settings| settings.linger = linger);
        let written = batcher.write(rows((0..30).map(|n| history(n, 0))), Instant::now()).await;
        assert_eq!((written.leftovers.len(), store.seen().len()), (30, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_row_fails_alone() {
    for linger in [Duration::ZERO, 5 * MS] {
        let store =
            FakeStore::new(
                MS,
                |_, table, records| {
                    if records.contains(&history(17, 0)) { Err(invalid(table)) } else { Ok(Vec::new()) }
                },
            );
        let batcher = batcher(&store, |settings| settings.linger = linger);
        let start = Instant::now();
        let written = batcher.write(rows((0..50).map(|n| history(n, 0))), in_a_minute()).await;
        assert_eq!(written.leftovers, [Leftover { origin: 17, error: invalid(Table::History) }]);
        assert_eq!((store.rows(), written.statistics.items), (49, 49));
        assert_eq!(written.statistics.retried_items as usize, store.sizes().iter().sum::<usize>() - 50);
        // Two full calls, and two for each halving: no more than 25 rows need.
        assert!(store.seen().len() <= 12, "{:?}", store.sizes());
        // What does not pass is not waited for.
        assert!(start.elapsed() <= 15 * MS, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_concerns_the_whole_table_is_not_narrowed_down() {
    let missing = || StoreError::NoSuchTable { table: "history".to_owned() };
    let store = FakeStore::new(MS, move |_, table, _| match table {
        Table::History => Err(missing()),
        _ => Ok(Vec::new()),
    });
    let records = (0..25).flat_map(|n| [history(n, 0), stats(n, 0)]);
    let written = batcher(&store, |_| ()).write(rows(records), in_a_minute()).await;
    assert_eq!(origins(&written.leftovers), (0..25).map(|n| 2 * n).collect::<Vec<_>>());
    assert!(written.leftovers.iter().all(|leftover| leftover.error == missing()));
    assert_eq!((store.rows(), written.statistics.calls), (25, 2));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_table_harms_no_other() {
    static STATS_DONE: AtomicUsize = AtomicUsize::new(0);
    let store = FakeStore::new(MS, |_, table, records| {
        if table == Table::History {
            return Err(throttled(table));
        }
        STATS_DONE.fetch_add(records.len(), Ordering::SeqCst);
        Ok(Vec::new())
    });
    let batcher = batcher(&store, |settings| settings.concurrency = 1);
    let records = (0..200).flat_map(|n| [history(n, 0), stats(n, 0)]);
    let start = Instant::now();
    let write = batcher.write(rows(records), start + 5_000 * MS);
    let watch = async {
        // The throttled table comes first and has 8 calls; the other gets its turn during the waits.
        tokio::time::sleep(100 * MS).await;
        STATS_DONE.load(Ordering::SeqCst)
    };
    let (written, done) = tokio::join!(write, watch);
    assert_eq!(done, 200);
    assert_eq!(origins(&written.leftovers), (0..200).map(|n| 2 * n).collect::<Vec<_>>());
    assert!(written.leftovers.iter().all(|leftover| leftover.error == throttled(Table::History)));
    assert_eq!(store.rows(), 200);
}

#[tokio::test(start_paused = true)]
async fn passing_errors_of_whole_calls_are_sent_again() {
    let errors = [
        StoreError::TimedOut { millis: 5 },
        StoreError::Unavailable { detail: "gone".to_owned() },
        throttled(Table::Stats),
    ];
    let store = FakeStore::new(MS, move |nth, _, _| errors.get(nth).map_or(Ok(Vec::new()), |error| Err(error.clone())));
    let written = batcher(&store, |_| ()).write(rows((0..5).map(|n| stats(n, 0))), in_a_minute()).await;
    assert_eq!((written.leftovers.len(), store.rows()), (0, 5));
    assert_eq!((written.statistics.calls, written.statistics.retried_items), (4, 15));
}
