//! A store that keeps rows in memory, records every call, and fails as a script says.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use millrace_domain::{
    EventsRecord, PlayerId, Record, Timestamp,
    record::{HistoryRecord, ProgressRecord, RecordKey, RejectionRecord, StatsRecord, Table},
};
use millrace_store::{
    Grouping, MAX_BATCH_ITEMS, Page, PageOrder, RecordStore, RecordWrite, StoreError, conformance::sample,
};
use tokio::time::{Instant, sleep};

pub type Answer = Result<Vec<usize>, StoreError>;

/// Decides on the answer to the nth call, from 0. Rows at the returned positions are not stored;
/// with an error no row is.
pub type Script = Box<dyn Fn(usize, Table, &[&Record]) -> Answer + Send + Sync>;

/// A call as the store received it.
#[derive(Debug, Clone)]
pub struct RecordedCall {
    pub at: Instant,
    pub table: Table,
    pub records: Vec<Record>,
}

pub struct FakeStore {
    script: Script,
    latency: Duration,
    calls: Mutex<Vec<RecordedCall>>,
    rows: Mutex<HashMap<RecordKey, Record>>,
    violations: Mutex<Vec<String>>,
    running: AtomicUsize,
    peak: AtomicUsize,
}

/// Counts a call as running until it ends or is dropped.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FakeStore {
    pub fn new(
        latency: Duration,
        script: impl Fn(usize, Table, &[&Record]) -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            latency,
            calls: Mutex::default(),
            rows: Mutex::default(),
            violations: Mutex::default(),
            running: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        })
    }

    /// A store that writes everything within 10 ms.
    pub fn reliable() -> Arc<Self> {
        Self::new(Duration::from_millis(10), |_, _, _| Ok(Vec::new()))
    }

    /// All calls so far, in the order of their start. Panics if a call broke the rules for batches.
    pub fn calls(&self) -> Vec<RecordedCall> {
        assert_eq!(*self.violations.lock().unwrap(), Vec::<String>::new());
        self.calls.lock().unwrap().clone()
    }

    /// The number of rows of each call.
    pub fn sizes(&self) -> Vec<usize> {
        self.calls().iter().map(|call| call.records.len()).collect()
    }

    pub fn row(&self, key: &RecordKey) -> Option<Record> {
        self.rows.lock().unwrap().get(key).cloned()
    }

    pub fn rows(&self) -> usize {
        self.rows.lock().unwrap().len()
    }

    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }

    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    fn check(&self, table: Table, records: &[&Record]) {
        let mut keys: Vec<_> = records.iter().map(|record| record.key()).collect();
        keys.sort();
        keys.dedup();
        let is_valid = !records.is_empty()
            && records.len() <= MAX_BATCH_ITEMS
            && keys.len() == records.len()
            && records.iter().all(|record| record.table() == table);
        if !is_valid {
            self.violations.lock().unwrap().push(format!("{table:?}: {records:?}"));
        }
    }
}

#[async_trait]
impl RecordStore for FakeStore {
    async fn write(&self, table: Table, records: &[&Record]) -> Answer {
        self.check(table, records);
        let running = Running(&self.running);
        self.peak.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let nth = {
            let mut calls = self.calls.lock().unwrap();
            let records = records.iter().map(|record| (*record).clone()).collect();
            calls.push(RecordedCall { at: Instant::now(), table, records });
            calls.len() - 1
        };
        if !self.latency.is_zero() {
            sleep(self.latency).await;
        }
        drop(running);
        let answer = (self.script)(nth, table, records);
        if let Ok(unprocessed) = &answer {
            let stored = records.iter().enumerate().filter(|(at, _)| !unprocessed.contains(at));
            self.rows.lock().unwrap().extend(stored.map(|(_, record)| (record.key(), (*record).clone())));
        }
        answer
    }

    async fn history(&self, _: &PlayerId, _: usize, _: Option<&str>) -> Result<Page<HistoryRecord>, StoreError> {
        unreachable!("the batch writer only writes")
    }

    async fn rejections(&self, _: &str, _: usize, _: Option<&str>) -> Result<Page<RejectionRecord>, StoreError> {
        unreachable!("the batch writer only writes")
    }

    async fn events(
        &self,
        _: &PlayerId,
        _: PageOrder,
        _: usize,
        _: Option<&str>,
    ) -> Result<Page<EventsRecord>, StoreError> {
        unreachable!("the batch writer only writes")
    }
}

fn player(n: usize) -> PlayerId {
    PlayerId::new(&format!("p-{n}")).unwrap()
}

fn time(n: usize) -> Timestamp {
    Timestamp::from_millis(n as u64)
}

/// The nth row of the history table.
pub fn history(n: usize, value: u64) -> Record {
    let row = sample::history(&player(n), &format!("t-{n}"), time(n));
    Record::History(Box::new(HistoryRecord { units_done: value, ..row }))
}

/// The nth row of the progress table.
pub fn progress(n: usize, value: u64) -> Record {
    Record::Progress(ProgressRecord { player_id: player(n), version: value, tasks: Vec::new() })
}

/// The nth row of the rejections table, with a body of the given size in bytes.
pub fn rejection(n: usize, bytes: usize) -> Record {
    let row = sample::rejection(&format!("unknown#{:x}", n % 16), &format!("c-{n}"), time(n));
    Record::Rejection(RejectionRecord { body: Some("x".repeat(bytes)), ..row })
}

/// The nth row of the stats table.
pub fn stats(n: usize, value: u64) -> Record {
    Record::Stats(StatsRecord { as_of: time(0), ..sample::stats(&player(n), value) })
}

/// Records whose origins are their positions.
pub fn record_writes(records: impl IntoIterator<Item = Record>) -> Vec<RecordWrite<usize>> {
    let write = |(origin, record)| RecordWrite { record, origin, grouping: Grouping::Shared };
    records.into_iter().enumerate().map(write).collect()
}

pub fn throttled(table: Table) -> StoreError {
    StoreError::Throttled { table: table.as_str().to_owned() }
}

pub fn invalid(table: Table) -> StoreError {
    StoreError::InvalidBatch { table: table.as_str().to_owned(), detail: "a bad row".to_owned() }
}
