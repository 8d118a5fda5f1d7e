//! What the cases share.

use std::{sync::Arc, time::Duration};

use millrace_domain::{PlayerId, Record, record::Table};

use crate::{
    error::StoreError,
    port::{QueueRow, QueueStore, RecordStore, Store},
};

/// A store as a case takes it. Cases share it between tokio tasks.
pub type SharedStore = Arc<dyn Store>;

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
    store.load(std::slice::from_ref(player), &[]).await.take_queue(player)
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
