//! Faults of the store: retries of passing ones, halving for others, and reports at the deadline.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use millrace_domain::record::Table;
use millrace_store::{StoreError, batch_writer::FailedWrite};
use tokio::time::Instant;

use crate::{
    batch_writer,
    fake::{FakeStore, history, invalid, progress, record_writes, stats, throttled},
    in_a_minute,
};

const MS: Duration = Duration::from_millis(1);

fn origins(failed: &[FailedWrite<usize>]) -> Vec<usize> {
    failed.iter().map(|failed| failed.origin).collect()
}

#[tokio::test(start_paused = true)]
async fn unprocessed_rows_are_retried_until_written() {
    // Every call writes one row.
    let store = FakeStore::new(MS, |_, _, records| Ok((1..records.len()).collect()));
    let written =
        batch_writer(&store, |_| ()).write(record_writes((0..10).map(|n| history(n, 0))), in_a_minute()).await;
    assert_eq!(written.failed, []);
    assert_eq!(store.rows(), 10);
    assert_eq!(store.sizes(), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!((written.statistics.items, written.statistics.calls), (10, 10));
    assert_eq!(written.statistics.retried_items, (1..10).sum::<u64>());
}

#[tokio::test(start_paused = true)]
async fn retry_delays_grow_and_differ_by_seed() {
    let mut sums = vec![Duration::ZERO; 6];
    let mut firsts = Vec::new();
    for seed in 0..200 {
        let store = FakeStore::new(
            Duration::ZERO,
            |nth, table, _| if nth < 6 { Err(throttled(table)) } else { Ok(Vec::new()) },
        );
        let writer = batch_writer(&store, |settings| settings.seed = seed);
        assert_eq!(writer.write(record_writes([history(0, 0)]), in_a_minute()).await.failed, []);
        let calls = store.calls();
        assert_eq!(calls.len(), 7);
        for (attempt, pair) in calls.windows(2).enumerate() {
            let wait = pair[1].at - pair[0].at;
            // The timer has a resolution of a millisecond.
            assert!(wait <= 25 * MS * 2_u32.pow(attempt as u32) + MS, "attempt {attempt}: {wait:?}");
            sums[attempt] += wait;
        }
        firsts.push(calls[1].at - calls[0].at);
    }
    assert!(sums.windows(2).all(|pair| pair[1] > pair[0] * 3 / 2), "{sums:?}");
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 10, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_of_several_calls_are_retried_together() {
    // Each of the first four calls leaves five rows unprocessed.
    let store = FakeStore::new(MS, |nth, _, _| Ok(if nth < 4 { (0..5).collect() } else { Vec::new() }));
    let written =
        batch_writer(&store, |_| ()).write(record_writes((0..100).map(|n| history(n, 0))), in_a_minute()).await;
    assert_eq!((written.failed.len(), store.rows()), (0, 100));
    assert_eq!(store.sizes(), [25, 25, 25, 25, 20]);
    assert_eq!(written.statistics.retried_items, 20);
}

#[tokio::test(start_paused = true)]
async fn origins_of_unwritten_records_are_reported_at_the_deadline() {
    let bad = |n: usize| n % 7 == 3;
    let store = FakeStore::new(MS, move |_, _, records| {
        let is_bad = |record: &_| (0..50).any(|n| bad(n) && *record == progress(n, 0));
        Ok((0..records.len()).filter(|at| is_bad(records[*at])).collect())
    });
    let deadline = Instant::now() + 500 * MS;
    // Each row has two records, and both origins are reported.
    let records = (0..50).flat_map(|n| [progress(n, 1), progress(n, 0)]);
    let written = batch_writer(&store, |_| ()).write(record_writes(records), deadline).await;
    assert!(Instant::now() <= deadline);
    let expected: Vec<_> = (0..50).filter(|n| bad(*n)).flat_map(|n| [2 * n, 2 * n + 1]).collect();
    assert_eq!(origins(&written.failed), expected);
    assert!(written.failed.iter().all(|failed| failed.error == throttled(Table::Progress)));
    assert_eq!(store.rows(), 50 - expected.len() / 2);
    assert_eq!(written.statistics.items, store.rows() as u64);
}

#[tokio::test(start_paused = true)]
async fn retry_delay_beyond_the_deadline_fails_at_once() {
    let store = FakeStore::new(MS, |_, table, _| Err(throttled(table)));
    let start = Instant::now();
    // With this seed, the first delay is longer than the 2 ms that are left after the call.
    let writer = batch_writer(&store, |settings| settings.seed = 1);
    let written = writer.write(record_writes([history(0, 0)]), start + 3 * MS).await;
    assert_eq!(written.failed, [FailedWrite { origin: 0, error: throttled(Table::History) }]);
    assert_eq!(start.elapsed(), MS);
}

#[tokio::test(start_paused = true)]
async fn write_ends_at_the_deadline_without_an_answer() {
    let store = FakeStore::new(3_600_000 * MS, |_, _, _| Ok(Vec::new()));
    for linger in [Duration::ZERO, 5 * MS] {
        let writer = batch_writer(&store, |settings| settings.linger = linger);
        let (start, deadline) = (Instant::now(), Instant::now() + 300 * MS);
        let written = writer.write(record_writes((0..200).map(|n| history(n, 0))), deadline).await;
        assert_eq!(start.elapsed(), 300 * MS);
        assert_eq!(origins(&written.failed), (0..200).collect::<Vec<_>>());
        assert!(written.failed.iter().all(|failed| failed.error == StoreError::TimedOut { millis: 300 }));
        // No call continues after the write has ended.
        assert_eq!(store.running(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn last_error_is_reported_at_the_deadline() {
    // The first call ends after 100 ms, the second one would after 200.
    let store = FakeStore::new(100 * MS, |_, table, _| Err(throttled(table)));
    for linger in [Duration::ZERO, MS] {
        let writer = batch_writer(&store, |settings| settings.linger = linger);
        let written = writer.write(record_writes([history(0, 0)]), Instant::now() + 190 * MS).await;
        assert_eq!(written.failed, [FailedWrite { origin: 0, error: throttled(Table::History) }]);
        assert_eq!((written.statistics.calls, written.statistics.retried_items), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn past_deadline_makes_no_call() {
    for linger in [Duration::ZERO, 5 * MS] {
        let store = FakeStore::reliable();
        let writer = batch_writer(&store, |settings| settings.linger = linger);
        let written = writer.write(record_writes((0..30).map(|n| history(n, 0))), Instant::now()).await;
        assert_eq!((written.failed.len(), store.calls().len()), (30, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn bad_row_does_not_affect_other_rows() {
    for linger in [Duration::ZERO, 5 * MS] {
        let store =
            FakeStore::new(
                MS,
                |_, table, records| {
                    if records.contains(&&history(17, 0)) { Err(invalid(table)) } else { Ok(Vec::new()) }
                },
            );
        let writer = batch_writer(&store, |settings| settings.linger = linger);
        let start = Instant::now();
        let written = writer.write(record_writes((0..50).map(|n| history(n, 0))), in_a_minute()).await;
        assert_eq!(written.failed, [FailedWrite { origin: 17, error: invalid(Table::History) }]);
        assert_eq!((store.rows(), written.statistics.items), (49, 49));
        assert_eq!(written.statistics.retried_items as usize, store.sizes().iter().sum::<usize>() - 50);
        // Two full calls, and two calls for each of at most five halvings.
        assert!(store.calls().len() <= 12, "{:?}", store.sizes());
        // Permanent errors are not delayed.
        assert!(start.elapsed() <= 15 * MS, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn error_of_the_whole_table_is_not_halved() {
    let missing = || StoreError::NoSuchTable { table: "history".to_owned() };
    let store = FakeStore::new(MS, move |_, table, _| match table {
        Table::History => Err(missing()),
        _ => Ok(Vec::new()),
    });
    let records = (0..25).flat_map(|n| [history(n, 0), stats(n, 0)]);
    let written = batch_writer(&store, |_| ()).write(record_writes(records), in_a_minute()).await;
    assert_eq!(origins(&written.failed), (0..25).map(|n| 2 * n).collect::<Vec<_>>());
    assert!(written.failed.iter().all(|failed| failed.error == missing()));
    assert_eq!((store.rows(), written.statistics.calls), (25, 2));
}

#[tokio::test(start_paused = true)]
async fn throttled_table_does_not_delay_other_tables() {
    static STATS_DONE: AtomicUsize = AtomicUsize::new(0);
    let store = FakeStore::new(MS, |_, table, records| {
        if table == Table::History {
            return Err(throttled(table));
        }
        STATS_DONE.fetch_add(records.len(), Ordering::SeqCst);
        Ok(Vec::new())
    });
    let writer = batch_writer(&store, |settings| settings.concurrency = 1);
    let records = (0..200).flat_map(|n| [history(n, 0), stats(n, 0)]);
    let start = Instant::now();
    let write = writer.write(record_writes(records), start + 5_000 * MS);
    let stats_done = async {
        // The throttled table has priority. The other table is written during its delays.
        tokio::time::sleep(100 * MS).await;
        STATS_DONE.load(Ordering::SeqCst)
    };
    let (written, done) = tokio::join!(write, stats_done);
    assert_eq!(done, 200);
    assert_eq!(origins(&written.failed), (0..200).map(|n| 2 * n).collect::<Vec<_>>());
    assert!(written.failed.iter().all(|failed| failed.error == throttled(Table::History)));
    assert_eq!(store.rows(), 200);
}

#[tokio::test(start_paused = true)]
async fn passing_errors_of_calls_are_retried() {
    let errors = [
        StoreError::TimedOut { millis: 5 },
        StoreError::Unavailable { detail: "gone".to_owned() },
        throttled(Table::Stats),
    ];
    let store = FakeStore::new(MS, move |nth, _, _| errors.get(nth).map_or(Ok(Vec::new()), |error| Err(error.clone())));
    let written = batch_writer(&store, |_| ()).write(record_writes((0..5).map(|n| stats(n, 0))), in_a_minute()).await;
    assert_eq!((written.failed.len(), store.rows()), (0, 5));
    assert_eq!((written.statistics.calls, written.statistics.retried_items), (4, 15));
}
