//! Scans of the queues table. A remote store contains rows of other tests.

use std::collections::BTreeMap;

use millrace_domain::{PlayerId, Timestamp};

use super::{sample, support::SharedStore};
use crate::port::{QueueRow, QueueWrite, ScannedQueue};

const READABLE: &str = "the table is readable";

async fn create_queues(store: &SharedStore, count: usize) -> BTreeMap<PlayerId, QueueRow> {
    let mut rows = BTreeMap::new();
    for _ in 0..count {
        let player = sample::player();
        let outbox = Some(b"outbox".to_vec());
        let write = QueueWrite { outbox, due_at: Some(Timestamp::from_millis(7)), ..sample::write(&player, 0) };
        assert_eq!(store.commit(std::slice::from_ref(&write)).await.outcomes, vec![Ok(())]);
        rows.insert(player, QueueRow { outbox: None, ..write.row() });
    }
    rows
}

async fn remove_from_due_index(store: &SharedStore, rows: &BTreeMap<PlayerId, QueueRow>) {
    for player in rows.keys() {
        assert_eq!(store.commit(&[sample::write(player, 1)]).await.outcomes, vec![Ok(())]);
    }
}

/// Reads all pages that follow a position.
async fn scan_all(store: &SharedStore, mut after: Option<String>, limit: usize) -> Vec<ScannedQueue> {
    let mut found = Vec::new();
    loop {
        let page = store.scan(after.as_deref(), limit).await.expect(READABLE);
        assert!(page.queues.len() <= limit && page.calls == 1, "{} rows, {} calls", page.queues.len(), page.calls);
        found.extend(page.queues);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// The pages of a scan contain each row once, without its outbox.
pub async fn scan_contains_each_queue_once(store: SharedStore) {
    let rows = create_queues(&store, 7).await;
    for limit in [3, 100] {
        let found = scan_all(&store, None, limit).await;
        let mine = found.into_iter().filter(|found| rows.contains_key(&found.player_id));
        let mine: Vec<_> = mine.map(|found| (found.player_id, found.row.expect(READABLE))).collect();
        assert_eq!(mine.len(), rows.len(), "pages of {limit}");
        assert_eq!(mine.into_iter().collect::<BTreeMap<_, _>>(), rows, "pages of {limit}");
    }
    remove_from_due_index(&store, &rows).await;
}

/// A scan continues after any row of a page.
pub async fn scan_continues_after_any_row(store: SharedStore) {
    let rows = create_queues(&store, 5).await;
    let of_rows = |found: Vec<ScannedQueue>| {
        let players = found.into_iter().map(|found| found.player_id);
        players.filter(|player| rows.contains_key(player)).collect::<Vec<_>>()
    };
    let all = of_rows(scan_all(&store, None, 100).await);
    for (at, player) in all.iter().enumerate() {
        let rest = of_rows(scan_all(&store, Some(player.as_str().to_owned()), 100).await);
        assert_eq!(rest, all[at + 1..]);
    }
    remove_from_due_index(&store, &rows).await;
}
