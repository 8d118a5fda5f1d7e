//! The write batcher over a store that counts, delays and fails as it is told. Time is virtual.

mod fake;
mod faults;
mod linger;
mod property;

use std::{sync::Arc, time::Duration};

use millrace_domain::{Priority, Record, record::Table};
use millrace_store::{BatchWriter, BatchWriterSettings, Row, batch_writer::Count};
use tokio::time::Instant;

use fake::{FakeStore, history, progress, rejection, rows, stats, throttled};

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn batcher(store: &Arc<FakeStore>, change: impl FnOnce(&mut BatchWriterSettings)) -> BatchWriter {
    let mut settings = BatchWriterSettings::default();
    change(&mut settings);
    BatchWriter::new(store.clone(), settings)
}

#[tokio::test(start_paused = true)]
async fn calls_are_as_few_as_possible_for_each_table() {
    for (histories, progresses, rejections, statses) in [(60, 25, 26, 1), (25, 0, 50, 24), (1, 1, 1, 1), (0, 0, 0, 75)]
    {
        let store = FakeStore::sound();
        // Interleaved, so that order alone does not group them.
        let mut records: Vec<_> = (0..75)
            .flat_map(|n| {
                let history = (n < histories).then(|| history(n, 0));
                let progress = (n < progresses).then(|| progress(n, 0));
                let rejection = (n < rejections).then(|| rejection(n, 5));
                let stats = (n < statses).then(|| stats(n, 0));
                [history, progress, rejection, stats].into_iter().flatten()
            })
            .collect();
        records.reverse();
        let total = records.len();
        let written = batcher(&store, |_| ()).write(rows(records), in_a_minute()).await;
        assert_eq!(written.leftovers, []);
        assert_eq!(store.rows(), total);

        let statistics = written.statistics;
        let mut calls = 0;
        for (table, priority, items) in [
            (Table::History, Priority::Critical, histories),
            (Table::Progress, Priority::High, progresses),
            (Table::Rejections, Priority::Normal, rejections),
            (Table::Stats, Priority::Low, statses),
        ] {
            let count = Count { items: items as u64, calls: items.div_ceil(25) as u64 };
            assert_eq!(statistics.by_table.get(&table).copied().unwrap_or_default(), count);
            assert_eq!(statistics.by_priority.get(&priority).copied().unwrap_or_default(), count);
            assert_eq!(store.seen().iter().filter(|call| call.table == table).count() as u64, count.calls);
            calls += count.calls;
        }
        assert_eq!((statistics.items, statistics.calls, statistics.retried_items), (total as u64, calls, 0));
        assert_eq!(statistics.round_trips_saved(), total as u64 - calls);
    }
}

#[tokio::test(start_paused = true)]
async fn high_priority_starts_first() {
    let store = FakeStore::sound();
    let records = (0..30).flat_map(|n| [stats(n, 0), rejection(n, 5), progress(n, 0), history(n, 0)]);
    batcher(&store, |settings| settings.concurrency = 3).write(rows(records), in_a_minute()).await;
    let tables: Vec<_> = store.seen().iter().map(|call| call.table).collect();
    let expected = [Table::History, Table::Progress, Table::Rejections, Table::Stats].map(|table| [table; 2]);
    assert_eq!(tables, expected.concat());
}

#[tokio::test(start_paused = true)]
async fn rows_of_one_key_become_the_last_of_them() {
    let store = FakeStore::sound();
    let records = [progress(1, 1), history(1, 1), progress(2, 1), progress(1, 2), stats(1, 9), progress(1, 3)];
    let written = batcher(&store, |_| ()).write(rows(records), in_a_minute()).await;
    assert_eq!(written.leftovers, []);
    assert_eq!(store.row(&progress(1, 0).key()), Some(progress(1, 3)));
    assert_eq!(store.row(&progress(2, 0).key()), Some(progress(2, 1)));
    assert_eq!((written.statistics.items, written.statistics.calls), (4, 3));
    assert_eq!(written.statistics.by_table[&Table::Progress], Count { items: 2, calls: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_call_has_at_most_so_many_rows_and_bytes() {
    let store = FakeStore::sound();
    // 20 rows of 1 MB: over 16 MiB together, though under 25.
    let written = batcher(&store, |_| ()).write(rows((0..20).map(|n| rejection(n, 1 << 20))), in_a_minute()).await;
    assert_eq!((written.leftovers.len(), written.statistics.calls), (0, 2));
    assert_eq!(store.sizes(), [15, 5]);
    for call in store.seen() {
        assert!(call.records.iter().map(Record::size).sum::<usize>() <= 16 << 20);
    }

    let store = FakeStore::sound();
    let small = batcher(&store, |settings| (settings.max_items, settings.max_bytes) = (4, 1_000));
    // A row over the limit goes by itself; the others share calls of four.
    let records = [rejection(0, 5_000)].into_iter().chain((1..9).map(|n| rejection(n, 1)));
    assert_eq!(small.write(rows(records), in_a_minute()).await.leftovers, []);
    assert_eq!(store.sizes(), [1, 4, 4]);

    let store = FakeStore::sound();
    let greedy = batcher(&store, |settings| settings.max_items = 1_000);
    assert_eq!(greedy.write(rows((0..50).map(|n| stats(n, 0))), in_a_minute()).await.leftovers, []);
    assert_eq!(store.sizes(), [25, 25]);
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_run_at_once_over_all_writes() {
    for concurrency in [1, 2, 5] {
        let store = FakeStore::sound();
        let batcher = batcher(&store, |settings| settings.concurrency = concurrency);
        let start = Instant::now();
        let write = |from: usize| batcher.write(rows((from..from + 250).map(|n| history(n, 0))), in_a_minute());
        let (one, two) = tokio::join!(write(0), write(250));
        assert_eq!((one.leftovers, two.leftovers), (vec![], vec![]));
        assert_eq!(store.peak(), concurrency);
        // 20 calls of 10 ms.
        assert_eq!(start.elapsed().as_millis() as usize, 200 / concurrency);
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_to_be_alone_are() {
    for linger in [0, 20] {
        let store = FakeStore::sound();
        let batcher = batcher(&store, |settings| settings.linger = Duration::from_millis(linger));
        let records = (0..10).map(|n| history(n % 9, n as u64));
        // Rows 0 and 9 are of one key; it is enough that one of them is to be alone.
        let alone = |n| [5, 9].contains(&n);
        let rows = rows(records).into_iter().map(|row| Row { alone: alone(row.origin), ..row }).collect();
        let written = batcher.write(rows, in_a_minute()).await;
        assert_eq!(written.leftovers, []);
        let mut sizes = store.sizes();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 7]);
        let singles = store.seen().into_iter().filter(|call| call.records.len() == 1).flat_map(|call| call.records);
        assert_eq!(singles.collect::<Vec<_>>(), [history(5, 5), history(0, 9)]);
        assert_eq!((written.statistics.items, written.statistics.calls), (9, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_to_be_alone_stay_so_when_they_are_sent_again() {
    let store =
        FakeStore::new(Duration::ZERO, |nth, table, _| if nth < 3 { Err(throttled(table)) } else { Ok(vec![]) });
    let rows = rows((0..10).map(|n| history(n, 0))).into_iter().map(|row| Row { alone: row.origin >= 8, ..row });
    let written = batcher(&store, |settings| settings.max_items = 8).write(rows.collect(), in_a_minute()).await;
    assert_eq!(written.leftovers, []);
    let mut sizes = store.sizes();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 1, 1, 8, 8]);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_write_makes_no_call() {
    let store = FakeStore::sound();
    let written = batcher(&store, |_| ()).write(Vec::<Row<usize>>::new(), in_a_minute()).await;
    assert_eq!((written.leftovers.len(), written.statistics.calls, store.seen().len()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn statistics_add_up() {
    let store = FakeStore::sound();
    let batcher = batcher(&store, |_| ());
    let mut sum = batcher.write(rows((0..30).map(|n| history(n, 0))), in_a_minute()).await.statistics;
    let other = batcher.write(rows([history(0, 0), stats(0, 0)]), in_a_minute()).await.statistics;
    sum.merge(&other);
    assert_eq!((sum.items, sum.calls, sum.round_trips_saved()), (32, 4, 28));
    assert_eq!(sum.by_table[&Table::History], Count { items: 31, calls: 3 });
    assert_eq!(sum.by_priority[&Priority::Low], Count { items: 1, calls: 1 });
}

/// A function runs its handler on a runtime with several threads.
#[tokio::test(start_paused = true)]
async fn a_write_can_move_between_threads() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let store = FakeStore::sound();
    let batcher = Arc::new(batcher(&store, |_| ()));
    let write = is_send(async move { batcher.write(rows([history(0, 0)]), in_a_minute()).await });
    assert_eq!(write.await.leftovers, []);
}
