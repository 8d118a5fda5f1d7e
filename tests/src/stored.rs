//! Reads what a store holds, whichever it is.

use millrace_domain::{
    PlayerId, Queue, codec,
    record::{HistoryRecord, RejectionRecord},
};
use millrace_store::Store;

/// The id of a player, which has to be allowed.
pub fn player(id: &str) -> PlayerId {
    PlayerId::new(id).expect("an allowed id")
}

/// A player's queue with its progress between milestones; none where there is no row.
pub async fn queue(store: &dyn Store, id: &str) -> Option<Queue> {
    queues(store, &[player(id)]).await.remove(0)
}

/// The queues of players, likewise.
pub async fn queues(store: &dyn Store, players: &[PlayerId]) -> Vec<Option<Queue>> {
    let mut loaded = store.load(players, players).await;
    let queue = |player| {
        let row = loaded.take_queue(player).expect("the row can be loaded")?;
        let mut queue: Queue = codec::decode(&row.queue).expect("the row can be read");
        if let Some(progress) = loaded.take_progress(player).expect("the progress can be loaded") {
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
        let page = store.history(&player, 100, after.as_deref()).await.expect("history can be read");
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            rows.reverse();
            return rows;
        }
    }
}

/// The refused commands of one partition, oldest first.
pub async fn rejections(store: &dyn Store, partition: &str) -> Vec<RejectionRecord> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = store.rejections(partition, 100, after.as_deref()).await.expect("rejections can be read");
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            rows.reverse();
            return rows;
        }
    }
}
