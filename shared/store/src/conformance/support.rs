//! What the cases share.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use millrace_domain::{PlayerId, Record, record::Table};

use crate::{
    error::StoreError,
    port::{CommitResponse, QueueRow, QueueStore, QueueWrite, RecordStore, Store},
};

/// A store as a case takes it. Clones share it between tokio tasks.
///
/// It dereferences to its handles in turn: a case reads through one what it wrote through another.
#[derive(Clone)]
pub struct SharedStore {
    handles: Arc<Vec<Box<dyn Store>>>,
    uses: Arc<AtomicUsize>,
    max_writes: usize,
}

impl SharedStore {
    /// A store with one handle.
    pub fn new(store: impl Store + 'static) -> Self {
        Self { handles: Arc::new(vec![Box::new(store)]), uses: Arc::default(), max_writes: usize::MAX }
    }

    /// A store with two handles, which are like two processes.
    pub fn alternating(one: impl Store + 'static, other: impl Store + 'static) -> Self {
        let handles: Vec<Box<dyn Store>> = vec![Box::new(one), Box::new(other)];
        Self { handles: Arc::new(handles), uses: Arc::default(), max_writes: usize::MAX }
    }

    /// Commits each queue in a call without others, which is a `PutItem` in DynamoDB. DynamoDB
    /// Local needs this: its version has no PartiQL, which commits of several queues use.
    pub fn one_by_one(store: impl Store + 'static) -> Self {
        Self { max_writes: 1, ..Self::new(store) }
    }

    /// Commits queues. See [`QueueStore::commit`].
    pub async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        let store = &**self;
        if writes.len() <= self.max_writes {
            return store.commit(writes).await;
        }
        let responses = join_all(writes.chunks(self.max_writes).map(|writes| store.commit(writes))).await;
        let calls = responses.iter().map(|response| response.calls).sum();
        CommitResponse { outcomes: responses.into_iter().flat_map(|response| response.outcomes).collect(), calls }
    }
}

impl Deref for SharedStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        let use_number = self.uses.fetch_add(1, Ordering::Relaxed);
        &*self.handles[use_number % self.handles.len()]
    }
}

/// The maximum time that an index may lag behind its table.
const INDEX_LAG: Duration = Duration::from_secs(5);

/// Repeats a read of an index until the answer is as expected, or the index had time to catch up.
/// Returns the last answer.
pub(super) async fn eventually<T, F: Future<Output = T>>(read: impl Fn() -> F, is_expected: impl Fn(&T) -> bool) -> T {
    let started = std::time::Instant::now();
    loop {
        let answer = read().await;
        if is_expected(&answer) || started.elapsed() > INDEX_LAG {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Loads the queue row of one player.
///
/// # Errors
/// That of the row in the answer to [`QueueStore::load`].
pub async fn load_queue(store: &(impl QueueStore + ?Sized), player: &PlayerId) -> Result<Option<QueueRow>, StoreError> {
    store.load(std::slice::from_ref(player), &[], &[]).await.take_queue(player)
}

/// Writes one batch of records.
///
/// # Errors
/// Those of [`RecordStore::write`].
pub async fn write_records(
    store: &(impl RecordStore + ?Sized),
    table: Table,
    records: &[Record],
) -> Result<Vec<usize>, StoreError> {
    store.write(table, &records.iter().collect::<Vec<_>>()).await
}
