//! Whatever is written and whatever fails: each origin ends once, and what is said to be written is.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use fastrand::Rng;
use futures::future::join_all;
use millrace_domain::{Record, record::RecordKey};
use millrace_store::{BatchWriterSettings, Row, StoreError, WriteStatistics};
use proptest::{collection::vec, prelude::*};
use tokio::time::Instant;

use crate::{
    batcher,
    fake::{FakeStore, history, invalid, progress, rejection, stats, throttled},
};

/// A row of a few keys, so that keys repeat; the value tells rows of one key apart.
fn record() -> impl Strategy<Value = Record> {
    (0..4, 0..60_usize, 0..1_000_u64).prop_map(|(table, n, value)| match table {
        0 => history(n, value),
        1 => progress(n, value),
        2 => rejection(n, value as usize),
        _ => stats(n, value),
    })
}

fn settings() -> impl Strategy<Value = BatchWriterSettings> {
    (1..30_usize, 500..20_000_usize, prop_oneof![Just(0_u64), 1..30_u64], 1..6_usize, any::<u64>()).prop_map(
        |(max_items, max_bytes, linger, concurrency, seed)| BatchWriterSettings {
            max_items,
            max_bytes,
            linger: Duration::from_millis(linger),
            concurrency,
            seed,
            ..BatchWriterSettings::default()
        },
    )
}

/// How often calls fail, of 100: wholly, in part, and for good where a key is bad.
#[derive(Debug, Clone)]
struct Faults {
    whole: u8,
    part: u8,
    bad: u8,
    seed: u64,
}

fn faults() -> impl Strategy<Value = Faults> {
    (0..60_u8, 0..80_u8, 0..10_u8, any::<u64>()).prop_map(|(whole, part, bad, seed)| Faults { whole, part, bad, seed })
}

fn is_bad(faults: &Faults, record: &Record) -> bool {
    let key = format!("{:?}", record.key());
    let hash = key.bytes().fold(faults.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash % 100 < u64::from(faults.bad)
}

fn failing(faults: Faults) -> impl Fn(usize, millrace_domain::record::Table, &[Record]) -> crate::fake::Answer {
    let rng = Mutex::new(Rng::with_seed(faults.seed));
    move |_, table, records| {
        let mut rng = rng.lock().unwrap();
        if rng.u8(0..100) < faults.whole {
            return Err(throttled(table));
        }
        if records.iter().any(|record| is_bad(&faults, record)) {
            return Err(invalid(table));
        }
        Ok((0..records.len()).filter(|_| rng.u8(0..100) < faults.part).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_origin_ends_once_and_what_is_written_is_there(
        writes in vec((vec((record(), prop::bool::weighted(0.05)), 0..120), 0..40_u64, 1..3_000_u64), 1..4),
        settings in settings(),
        faults in faults(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store = FakeStore::new(Duration::from_millis(3), failing(faults.clone()));
            let concurrency = settings.concurrency;
            let batcher = batcher(&store, |slot| *slot = settings);
            let begun = Instant::now();
            let ends = join_all(writes.iter().enumerate().map(|(nth, (records, after, time))| {
                let batcher = &batcher;
                async move {
                    tokio::time::sleep_until(begun + Duration::from_millis(*after)).await;
                    // Each write has keys of its own: between concurrent writes the last is not defined.
                    let row = |(origin, (record, alone)): (usize, &(Record, bool))| Row {
                        record: of_write(record.clone(), nth),
                        origin,
                        alone: *alone,
                    };
                    let rows: Vec<_> = records.iter().enumerate().map(row).collect();
                    let deadline = Instant::now() + Duration::from_millis(*time);
                    let written = batcher.write(rows.clone(), deadline).await;
                    (rows, deadline, Instant::now(), written)
                }
            }))
            .await;

            let calls = store.seen();
            prop_assert!(store.peak() <= concurrency);
            prop_assert_eq!(store.running(), 0);
            let mut sum = WriteStatistics::default();
            for (rows, deadline, end, written) in ends {
                prop_assert!(end <= deadline + Duration::from_millis(1));
                let mut reasons: HashMap<usize, StoreError> = HashMap::new();
                for leftover in written.leftovers {
                    prop_assert!(reasons.insert(leftover.origin, leftover.error).is_none(), "an origin came back twice");
                }
                let mut last: HashMap<RecordKey, &Record> = HashMap::new();
                for row in &rows {
                    last.insert(row.record.key(), &row.record);
                }
                let mut items = 0;
                for (key, record) in &last {
                    let origins = rows.iter().filter(|row| row.record.key() == *key).map(|row| row.origin);
                    let mut reasons = origins.map(|origin| reasons.remove(&origin)).collect::<Vec<_>>();
                    reasons.dedup();
                    prop_assert_eq!(reasons.len(), 1, "origins of one row ended differently");
                    match reasons.remove(0) {
                        None => {
                            prop_assert!(!is_bad(&faults, record));
                            let stored = store.row(key);
                            prop_assert_eq!(stored.as_ref(), Some(*record));
                            items += 1;
                        }
                        Some(error) if !error.reason().is_passing() => prop_assert!(is_bad(&faults, record)),
                        Some(_) => {}
                    }
                }
                prop_assert!(reasons.is_empty(), "an origin that was never given came back");
                prop_assert_eq!(written.statistics.items, items);
                let by_table = written.statistics.by_table.values().map(|count| count.items).sum::<u64>();
                prop_assert_eq!(by_table, items);
                sum.merge(&written.statistics);
            }
            prop_assert_eq!(sum.calls, calls.len() as u64);
            let sent: usize = calls.iter().map(|call| call.records.len()).sum();
            prop_assert!(sum.retried_items <= sent as u64 && sum.items <= sent as u64);
            Ok(())
        })?;
    }
}

/// The record under a key that only this write has.
fn of_write(mut record: Record, nth: usize) -> Record {
    let own = |id: &str| format!("{id}-w{nth}");
    match &mut record {
        Record::History(row) => row.player_id = millrace_domain::PlayerId::new(&own(row.player_id.as_str())).unwrap(),
        Record::Rejection(row) => row.partition = own(&row.partition),
        Record::Stats(row) => row.player_id = millrace_domain::PlayerId::new(&own(row.player_id.as_str())).unwrap(),
        Record::Progress(row) => row.player_id = millrace_domain::PlayerId::new(&own(row.player_id.as_str())).unwrap(),
    }
    record
}
