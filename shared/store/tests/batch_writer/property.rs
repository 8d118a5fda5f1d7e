//! Random writes and faults: each record is written or reported once, as the answer says.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use fastrand::Rng;
use futures::future::join_all;
use millrace_domain::{PlayerId, Record, record::RecordKey};
use millrace_store::{
    BatchWriterSettings, FailedWrite, Grouping, RecordWrite, StoreError, WriteResponse, WriteStatistics,
};
use proptest::{collection::vec, prelude::*};
use tokio::time::Instant;

use crate::{
    batch_writer,
    fake::{FakeStore, history, invalid, progress, rejection, stats, throttled},
};

/// A record of one of a few keys, so that keys repeat. The value distinguishes records of one key.
fn record() -> impl Strategy<Value = Record> {
    (0..4, 0..60_usize, 0..1_000_u64).prop_map(|(table, n, value)| match table {
        0 => history(n, value),
        1 => progress(n, value),
        2 => rejection(n, value as usize),
        _ => stats(n, value),
    })
}

fn settings() -> impl Strategy<Value = BatchWriterSettings> {
    (1..30_usize, prop_oneof![Just(0_u64), 1..30_u64], 1..6_usize, any::<u64>()).prop_map(
        |(max_items, linger, concurrency, seed)| BatchWriterSettings {
            max_items,
            linger: Duration::from_millis(linger),
            concurrency,
            seed,
        },
    )
}

/// The percentages of calls that fail, of rows that are unprocessed, and of keys that are bad. A
/// call with a bad key always fails.
#[derive(Debug, Clone)]
struct Faults {
    calls: u8,
    unprocessed: u8,
    bad_keys: u8,
    seed: u64,
}

fn faults() -> impl Strategy<Value = Faults> {
    (0..60_u8, 0..80_u8, 0..10_u8, any::<u64>()).prop_map(|(calls, unprocessed, bad_keys, seed)| Faults {
        calls,
        unprocessed,
        bad_keys,
        seed,
    })
}

fn is_bad(faults: &Faults, record: &Record) -> bool {
    let key = format!("{:?}", record.key());
    let hash = key.bytes().fold(faults.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash % 100 < u64::from(faults.bad_keys)
}

fn failing(faults: Faults) -> impl Fn(usize, millrace_domain::record::Table, &[&Record]) -> crate::fake::Answer {
    let rng = Mutex::new(Rng::with_seed(faults.seed));
    move |_, table, records| {
        let mut rng = rng.lock().unwrap();
        if rng.u8(0..100) < faults.calls {
            return Err(throttled(table));
        }
        if records.iter().any(|record| is_bad(&faults, record)) {
            return Err(invalid(table));
        }
        Ok((0..records.len()).filter(|_| rng.u8(0..100) < faults.unprocessed).collect())
    }
}

/// A write that starts after a delay and has a deadline.
#[derive(Debug, Clone)]
struct TimedWrite {
    records: Vec<RecordWrite<usize>>,
    delay: Duration,
    time_limit: Duration,
}

fn timed_write() -> impl Strategy<Value = TimedWrite> {
    let records = vec((record(), prop::bool::weighted(0.05)), 0..120);
    (records, 0..40_u64, 1..3_000_u64).prop_map(|(records, delay, time_limit)| {
        let write = |(origin, (record, is_single))| RecordWrite {
            record,
            origin,
            grouping: if is_single { Grouping::Single } else { Grouping::Shared },
        };
        TimedWrite {
            records: records.into_iter().enumerate().map(write).collect(),
            delay: Duration::from_millis(delay),
            time_limit: Duration::from_millis(time_limit),
        }
    })
}

/// Between one and three writes. Their keys are different, because concurrent writes have no order.
fn timed_writes() -> impl Strategy<Value = Vec<TimedWrite>> {
    vec(timed_write(), 1..4).prop_map(|mut writes| {
        for (nth, write) in writes.iter_mut().enumerate() {
            write.records.iter_mut().for_each(|write| append_to_partition(&mut write.record, nth));
        }
        writes
    })
}

fn append_to_partition(record: &mut Record, suffix: usize) {
    let append = |player: &PlayerId| PlayerId::new(&format!("{player}-{suffix}")).unwrap();
    match record {
        Record::History(row) => row.player_id = append(&row.player_id),
        Record::Rejection(row) => row.partition = format!("{}-{suffix}", row.partition),
        Record::Stats(row) => row.player_id = append(&row.player_id),
        Record::Progress(row) => row.player_id = append(&row.player_id),
        Record::Events(row) => row.player_id = append(&row.player_id),
    }
}

/// Checks the answer to one write against the store.
fn check_response(
    write: &TimedWrite,
    response: WriteResponse<usize>,
    store: &FakeStore,
    faults: &Faults,
) -> Result<WriteStatistics, TestCaseError> {
    let mut errors: HashMap<usize, StoreError> = HashMap::new();
    for FailedWrite { origin, error } in response.failed {
        prop_assert!(errors.insert(origin, error).is_none(), "an origin is reported twice");
    }
    let last: HashMap<RecordKey, &Record> =
        write.records.iter().map(|write| (write.record.key(), &write.record)).collect();
    let mut items = 0;
    for (key, record) in &last {
        let origins = write.records.iter().filter(|write| write.record.key() == *key).map(|write| write.origin);
        let mut outcomes: Vec<Option<StoreError>> = origins.map(|origin| errors.remove(&origin)).collect();
        outcomes.dedup();
        prop_assert_eq!(outcomes.len(), 1, "the records of one row have different outcomes");
        match outcomes.remove(0) {
            None => {
                prop_assert!(!is_bad(faults, record));
                let stored = store.row(key);
                prop_assert_eq!(stored.as_ref(), Some(*record));
                items += 1;
            }
            Some(error) if !error.reason().is_passing() => prop_assert!(is_bad(faults, record)),
            Some(_) => {}
        }
    }
    prop_assert!(errors.is_empty(), "an unknown origin is reported");
    prop_assert_eq!(response.statistics.items, items);
    let by_table = response.statistics.by_table.values().map(|count| count.items).sum::<u64>();
    prop_assert_eq!(by_table, items);
    Ok(response.statistics)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_record_is_written_or_reported_once(
        writes in timed_writes(),
        settings in settings(),
        faults in faults(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store = FakeStore::new(Duration::from_millis(3), failing(faults.clone()));
            let concurrency = settings.concurrency;
            let writer = batch_writer(&store, |slot| *slot = settings);
            let responses = join_all(writes.iter().map(async |write| {
                tokio::time::sleep(write.delay).await;
                let deadline = Instant::now() + write.time_limit;
                let response = writer.write(write.records.clone(), deadline).await;
                (write, response, Instant::now() <= deadline + Duration::from_millis(1))
            }))
            .await;

            let calls = store.calls();
            prop_assert!(store.peak() <= concurrency);
            prop_assert_eq!(store.running(), 0);
            let mut sum = WriteStatistics::default();
            for (write, response, is_in_time) in responses {
                prop_assert!(is_in_time);
                sum.merge(&check_response(write, response, &store, &faults)?);
            }
            prop_assert_eq!(sum.calls, calls.len() as u64);
            let sent: usize = calls.iter().map(|call| call.records.len()).sum();
            prop_assert!(sum.retried_items <= sent as u64 && sum.items <= sent as u64);
            Ok(())
        })?;
    }
}
