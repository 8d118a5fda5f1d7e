//! Reads the rows of a store, with any implementation of the store.

use millrace_domain::{
    PlayerId, Queue, codec,
    record::{HistoryRecord, RejectionRecord},
};
use millrace_store::Store;

/// A player id.
///
/// # Panics
/// If the id is not allowed.
pub fn player(id: &str) -> PlayerId {
    PlayerId::new(id).expect("an allowed player id")
}

/// A player's queue with its progress between milestones. None if there is no row.
pub async fn queue(store: &dyn Store, id: &str) -> Option<Queue> {
    queues(store, &[player(id)]).await.remove(0)
}

/// The queues of several players, in the order of `players`. See [`queue`].
pub async fn queues(store: &dyn Store, players: &[PlayerId]) -> Vec<Option<Queue>> {
    let mut loaded = store.load(players, players, &[]).await;
    let queue = |player| {
        let row = loaded.take_queue(player).expect("the row is loaded")?;
        let mut queue: Queue = codec::decode(&row.queue).expect("the row is decoded");
        if let Some(progress) = loaded.take_progress(player).expect("the progress is loaded") {
            queue.merge_progress(&progress);
        }
        Some(queue)
    };
    players.iter().map(queue).collect()
}

/// A player's finished tasks, oldest first.
pub async fn history(store: &dyn Store, id: &str) -> Vec<HistoryRecord> {
    let (player, mut rows, mut after) = (player(id), Vec::new(), None);
    loop {
        let page = store.history(&player, 100, after.as_deref()).await.expect("a page of the history");
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            rows.reverse();
            return rows;
        }
    }
}

/// The rejections of one partition, oldest first.
pub async fn rejections(store: &dyn Store, partition: &str) -> Vec<RejectionRecord> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = store.rejections(partition, 100, after.as_deref()).await.expect("a page of rejections");
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            rows.reverse();
            return rows;
        }
    }
}
