//! The batch writer over a store that counts, delays and fails calls. Time is virtual.
//!
//! | module | contents |
//! |---|---|
//! | `faults` | retries, halving and deadlines |
//! | `linger` | writes that share calls |
//! | `property` | random writes and faults |
//! | `fake` | the store |

mod fake;
mod faults;
mod linger;
mod property;

use std::{sync::Arc, time::Duration};

use millrace_domain::{Priority, record::Table};
use millrace_store::{BatchWriter, BatchWriterSettings, Grouping, RecordWrite, batch_writer::Count};
use tokio::time::Instant;

use fake::{FakeStore, history, progress, record_writes, rejection, stats, throttled};

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn batch_writer(store: &Arc<FakeStore>, change: impl FnOnce(&mut BatchWriterSettings)) -> BatchWriter {
    let mut settings = BatchWriterSettings::default();
    change(&mut settings);
    BatchWriter::new(store.clone(), settings)
}

#[tokio::test(start_paused = true)]
async fn each_table_needs_the_minimum_number_of_calls() {
    for (histories, progresses, rejections, statses) in [(60, 25, 26, 1), (25, 0, 50, 24), (1, 1, 1, 1), (0, 0, 0, 75)]
    {
        let store = FakeStore::reliable();
        // Interleaved, so that the order does not group them.
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
        let written = batch_writer(&store, |_| ()).write(record_writes(records), in_a_minute()).await;
        assert_eq!(written.failed, []);
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
            assert_eq!(store.calls().iter().filter(|call| call.table == table).count() as u64, count.calls);
            calls += count.calls;
        }
        assert_eq!((statistics.items, statistics.calls, statistics.retried_items), (total as u64, calls, 0));
        assert_eq!(statistics.round_trips_saved(), total as u64 - calls);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_start_by_priority() {
    let store = FakeStore::reliable();
    let records = (0..30).flat_map(|n| [stats(n, 0), rejection(n, 5), progress(n, 0), history(n, 0)]);
    batch_writer(&store, |settings| settings.concurrency = 3).write(record_writes(records), in_a_minute()).await;
    let tables: Vec<_> = store.calls().iter().map(|call| call.table).collect();
    let expected = [Table::History, Table::Progress, Table::Rejections, Table::Stats].map(|table| [table; 2]);
    assert_eq!(tables, expected.concat());
}

#[tokio::test(start_paused = true)]
async fn last_record_of_a_key_is_written() {
    let store = FakeStore::reliable();
    let records = [progress(1, 1), history(1, 1), progress(2, 1), progress(1, 2), stats(1, 9), progress(1, 3)];
    let written = batch_writer(&store, |_| ()).write(record_writes(records), in_a_minute()).await;
    assert_eq!(written.failed, []);
    assert_eq!(store.row(&progress(1, 0).key()), Some(progress(1, 3)));
    assert_eq!(store.row(&progress(2, 0).key()), Some(progress(2, 1)));
    assert_eq!((written.statistics.items, written.statistics.calls), (4, 3));
    assert_eq!(written.statistics.by_table[&Table::Progress], Count { items: 2, calls: 1 });
}

#[tokio::test(start_paused = true)]
async fn calls_respect_the_limit_of_rows() {
    for (max_items, sizes) in [(4, vec![4, 4, 2]), (0, vec![1; 10]), (1_000, vec![10])] {
        let store = FakeStore::reliable();
        let writer = batch_writer(&store, |settings| settings.max_items = max_items);
        assert_eq!(writer.write(record_writes((0..10).map(|n| stats(n, 0))), in_a_minute()).await.failed, []);
        assert_eq!(store.sizes(), sizes);
    }
    let store = FakeStore::reliable();
    let writer = batch_writer(&store, |settings| settings.max_items = 1_000);
    assert_eq!(writer.write(record_writes((0..50).map(|n| stats(n, 0))), in_a_minute()).await.failed, []);
    assert_eq!(store.sizes(), [25, 25]);
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_limited_over_all_writes() {
    for concurrency in [1, 2, 5] {
        let store = FakeStore::reliable();
        let writer = batch_writer(&store, |settings| settings.concurrency = concurrency);
        let start = Instant::now();
        let write = |from: usize| writer.write(record_writes((from..from + 250).map(|n| history(n, 0))), in_a_minute());
        let (one, two) = tokio::join!(write(0), write(250));
        assert_eq!((one.failed, two.failed), (vec![], vec![]));
        assert_eq!(store.peak(), concurrency);
        // 20 calls of 10 ms.
        assert_eq!(start.elapsed().as_millis() as usize, 200 / concurrency);
    }
}

#[tokio::test(start_paused = true)]
async fn single_records_do_not_share_calls() {
    for linger in [0, 20] {
        let store = FakeStore::reliable();
        let writer = batch_writer(&store, |settings| settings.linger = Duration::from_millis(linger));
        let records = (0..10).map(|n| history(n % 9, n as u64));
        // Records 0 and 9 have one key, and one single record makes the whole row single.
        let mut records = record_writes(records);
        for n in [5, 9] {
            records[n].grouping = Grouping::Single;
        }
        let written = writer.write(records, in_a_minute()).await;
        assert_eq!(written.failed, []);
        let mut sizes = store.sizes();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 7]);
        let singles = store.calls().into_iter().filter(|call| call.records.len() == 1).flat_map(|call| call.records);
        assert_eq!(singles.collect::<Vec<_>>(), [history(0, 9), history(5, 5)]);
        assert_eq!((written.statistics.items, written.statistics.calls), (9, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn single_records_do_not_share_retries() {
    let store =
        FakeStore::new(Duration::ZERO, |nth, table, _| if nth < 3 { Err(throttled(table)) } else { Ok(vec![]) });
    let mut records = record_writes((0..10).map(|n| history(n, 0)));
    records[8..].iter_mut().for_each(|record| record.grouping = Grouping::Single);
    let written = batch_writer(&store, |settings| settings.max_items = 8).write(records, in_a_minute()).await;
    assert_eq!(written.failed, []);
    let mut sizes = store.sizes();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 1, 1, 8, 8]);
}

#[tokio::test(start_paused = true)]
async fn empty_write_makes_no_call() {
    let store = FakeStore::reliable();
    let written = batch_writer(&store, |_| ()).write(Vec::<RecordWrite<usize>>::new(), in_a_minute()).await;
    assert_eq!((written.failed.len(), written.statistics.calls, store.calls().len()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn statistics_of_several_writes_add_up() {
    let store = FakeStore::reliable();
    let writer = batch_writer(&store, |_| ());
    let mut sum = writer.write(record_writes((0..30).map(|n| history(n, 0))), in_a_minute()).await.statistics;
    let other = writer.write(record_writes([history(0, 0), stats(0, 0)]), in_a_minute()).await.statistics;
    sum.merge(&other);
    assert_eq!((sum.items, sum.calls, sum.round_trips_saved()), (32, 4, 28));
    assert_eq!(sum.by_table[&Table::History], Count { items: 31, calls: 3 });
    assert_eq!(sum.by_priority[&Priority::Low], Count { items: 1, calls: 1 });
}

/// Handlers of Lambda functions run on a runtime with several threads.
#[tokio::test(start_paused = true)]
async fn write_future_is_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let store = FakeStore::reliable();
    let writer = Arc::new(batch_writer(&store, |_| ()));
    let write = is_send(async move { writer.write(record_writes([history(0, 0)]), in_a_minute()).await });
    assert_eq!(write.await.failed, []);
}
