//! Loading queues and progress, conditional commits.

use std::collections::HashMap;

use millrace_domain::{
    PlayerId, Record,
    record::{ProgressRecord, Table},
};

use super::{
    sample,
    support::{SharedStore, load_queue, write_records},
};
use crate::{
    error::{CommitError, StoreError},
    port::{CommitResponse, MAX_BATCH_ITEMS, MAX_ROW_BYTES, QueueRow, QueueWrite},
};

async fn load(store: &SharedStore, player: &PlayerId) -> Option<QueueRow> {
    load_queue(&**store, player).await.expect("the row is readable")
}

async fn commit(store: &SharedStore, write: &QueueWrite) -> Result<(), CommitError> {
    let CommitResponse { mut outcomes, calls } = store.commit(std::slice::from_ref(write)).await;
    assert_eq!((outcomes.len(), calls), (1, 1));
    outcomes.remove(0)
}

/// What a load of all committed writes returns.
fn rows(writes: &[QueueWrite]) -> HashMap<PlayerId, Result<Option<QueueRow>, StoreError>> {
    writes.iter().map(|write| (write.player_id.clone(), Ok(Some(write.row())))).collect()
}

async fn put_progress(store: &SharedStore, row: &ProgressRecord) -> Result<Vec<usize>, StoreError> {
    write_records(&**store, Table::Progress, &[Record::Progress(row.clone())]).await
}

/// A row does not exist before the first commit.
pub async fn missing_row_is_loaded_as_none(store: SharedStore) {
    let player = sample::player();
    let loaded = store.load(std::slice::from_ref(&player), std::slice::from_ref(&player), &[]).await;
    assert_eq!(loaded.queues, HashMap::from([(player.clone(), Ok(None))]));
    assert_eq!(loaded.progress, HashMap::from([(player, Ok(None))]));
    assert_eq!(loaded.calls, 1);
    let nothing = store.load(&[], &[], &[]).await;
    assert!(nothing.queues.is_empty() && nothing.progress.is_empty());
    assert_eq!(nothing.calls, 0);
}

/// More players than one call takes, some of them without a row.
pub async fn each_row_is_loaded_for_its_player(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(110).collect();
    let writes: Vec<_> = players.iter().step_by(2).map(|player| sample::write(player, 0)).collect();
    let committed = store.commit(&writes).await;
    assert!(committed.outcomes.iter().all(Result::is_ok), "{:?}", committed.outcomes);
    let progress = sample::progress(&players[1], 7);
    assert_eq!(put_progress(&store, &progress).await, Ok(vec![]));

    let mut loaded = store.load(&players, &players[..3], &[]).await;
    assert_eq!((loaded.queues.len(), loaded.progress.len()), (players.len(), 3));
    for (at, player) in players.iter().enumerate() {
        let expected = (at % 2 == 0).then(|| writes[at / 2].row());
        assert_eq!(loaded.take_queue(player), Ok(expected), "player {at}");
    }
    assert_eq!(loaded.take_progress(&players[0]), Ok(None));
    assert_eq!(loaded.take_progress(&players[1]), Ok(Some(progress)));
    assert_eq!(loaded.take_progress(&players[2]), Ok(None));
    assert_eq!(loaded.calls, 2);
}

/// One call takes 100 keys, of queues and progress together.
pub async fn load_makes_one_call_for_every_100_keys(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(201).collect();
    for (queues, progress, calls) in
        [(1, 0, 1), (100, 0, 1), (101, 0, 2), (60, 40, 1), (60, 41, 2), (0, 100, 1), (201, 0, 3)]
    {
        let loaded = store.load(&players[..queues], &players[..progress], &[]).await;
        assert!(loaded.queues.values().all(|row| *row == Ok(None)), "{:?}", loaded.queues);
        assert_eq!((loaded.queues.len(), loaded.progress.len()), (queues, progress));
        assert_eq!(loaded.calls, calls, "for {queues} queues and {progress} progress rows");
    }
}

/// A player that the request names several times has one entry in the response.
pub async fn repeated_player_is_loaded_once(store: SharedStore) {
    let [player, other] = [sample::player(), sample::player()];
    let write = sample::write(&player, 0);
    assert_eq!(commit(&store, &write).await, Ok(()));
    let progress = sample::progress(&player, 5);
    assert_eq!(put_progress(&store, &progress).await, Ok(vec![]));
    let ids = [player.clone(), other.clone(), player.clone(), player.clone(), other.clone()];
    let loaded = store.load(&ids, &ids, &[]).await;
    let queues = HashMap::from([(player.clone(), Ok(Some(write.row()))), (other.clone(), Ok(None))]);
    assert_eq!(loaded.queues, queues);
    assert_eq!(loaded.progress, HashMap::from([(player, Ok(Some(progress))), (other, Ok(None))]));
}

/// A row of the maximum size is inserted and updated.
pub async fn largest_allowed_row_is_committed(store: SharedStore) {
    let player = sample::player();
    for expected in 0..2 {
        let mut write = sample::write(&player, expected);
        write.outbox = Some(vec![expected as u8; 150 * 1024]);
        write.due_at = Some(sample::now());
        write.queue.resize(write.queue.len() + MAX_ROW_BYTES - write.size(), 7);
        assert_eq!(write.size(), MAX_ROW_BYTES);
        assert_eq!(commit(&store, &write).await, Ok(()));
        assert_eq!(load(&store, &player).await, Some(write.row()));
    }
    let last = QueueWrite { outbox: None, due_at: None, ..sample::write(&player, 2) };
    assert_eq!(commit(&store, &last).await, Ok(()));
}

/// Rows of more bytes than one call or one answer of DynamoDB may have (16 MB).
pub async fn many_large_rows_are_committed_and_loaded(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(48).collect();
    let large = |player| QueueWrite { queue: vec![1; 380 * 1024], ..sample::write(player, 0) };
    let writes: Vec<_> = players.iter().map(large).collect();
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); writes.len()]);
    let mut loaded = store.load(&players, &[], &[]).await;
    for (at, write) in writes.iter().enumerate() {
        // A message with the rows would have megabytes.
        assert!(loaded.take_queue(&write.player_id) == Ok(Some(write.row())), "player {at}");
    }
}

/// A commit that expects no row conflicts with an existing row.
pub async fn insert_conflicts_with_an_existing_row(store: SharedStore) {
    let player = sample::player();
    let first = sample::write(&player, 0);
    assert_eq!(commit(&store, &first).await, Ok(()));
    let second = QueueWrite { queue: b"another".to_vec(), version: 5, ..first.clone() };
    assert_eq!(commit(&store, &second).await, Err(CommitError::Conflict));
    assert_eq!(load(&store, &player).await, Some(first.row()));
}

/// A commit that expects the version of the row replaces it.
pub async fn update_replaces_the_expected_version(store: SharedStore) {
    let player = sample::player();
    for version in 0..5 {
        let write = sample::write(&player, version);
        assert_eq!(commit(&store, &write).await, Ok(()), "version {version}");
        assert_eq!(load(&store, &player).await, Some(write.row()));
    }
}

/// A commit that expects an earlier or a later version changes nothing.
pub async fn unexpected_version_is_not_overwritten(store: SharedStore) {
    let player = sample::player();
    let writes = [0, 1, 2].map(|version| sample::write(&player, version));
    for write in &writes {
        assert_eq!(commit(&store, write).await, Ok(()));
    }
    for expected in [0, 1, 2, 4, 1 << 40] {
        let stale = QueueWrite { queue: b"stale".to_vec(), ..sample::write(&player, expected) };
        assert_eq!(commit(&store, &stale).await, Err(CommitError::Conflict), "expecting {expected}");
    }
    // A repeated commit conflicts too: the store does not recognize it.
    assert_eq!(commit(&store, &writes[2]).await, Err(CommitError::Conflict));
    assert_eq!(load(&store, &player).await, Some(writes[2].row()));
}

/// A commit that expects a version does not create a missing row.
pub async fn update_of_a_missing_row_conflicts(store: SharedStore) {
    let player = sample::player();
    assert_eq!(commit(&store, &sample::write(&player, 3)).await, Err(CommitError::Conflict));
    assert_eq!(load(&store, &player).await, None);
}

/// The writes of one call are independent.
pub async fn conflict_does_not_affect_other_writes(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(10).collect();
    assert_eq!(commit(&store, &sample::write(&players[4], 0)).await, Ok(()));
    let writes: Vec<_> = players.iter().map(|player| sample::write(player, 0)).collect();
    let committed = store.commit(&writes).await;
    for (at, outcome) in committed.outcomes.iter().enumerate() {
        let expected = if at == 4 { Err(CommitError::Conflict) } else { Ok(()) };
        assert_eq!(outcome, &expected, "write {at}");
    }
    let loaded = store.load(&players, &[], &[]).await;
    assert_eq!(loaded.queues, rows(&writes));
}

/// The number of writes is not limited.
pub async fn commit_accepts_more_writes_than_one_call(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(2 * MAX_BATCH_ITEMS + 3).collect();
    let writes: Vec<_> = players.iter().map(|player| sample::write(player, 0)).collect();
    let committed = store.commit(&writes).await;
    assert_eq!(committed.outcomes, vec![Ok(()); writes.len()]);
    assert!(committed.calls >= 3, "{} calls", committed.calls);
    let loaded = store.load(&players, &[], &[]).await;
    assert_eq!(loaded.queues, rows(&writes));
    assert_eq!(store.commit(&[]).await.outcomes, vec![]);
}

/// The outbox of a commit is kept until the next commit, which may have none.
pub async fn outbox_is_stored_until_the_next_commit(store: SharedStore) {
    let player = sample::player();
    for (version, outbox) in
        [Some(b"one\0".to_vec()), Some(b"two".to_vec()), None, Some(b"four".to_vec())].into_iter().enumerate()
    {
        let write = QueueWrite { outbox: outbox.clone(), ..sample::write(&player, version as u64) };
        assert_eq!(commit(&store, &write).await, Ok(()));
        assert_eq!(load(&store, &player).await.expect("the row was committed").outbox, outbox);
    }
}

/// A queue larger than the limit is refused with its size. The other writes are committed.
pub async fn too_large_queue_does_not_affect_other_writes(store: SharedStore) {
    let players = [sample::player(), sample::player(), sample::player()];
    let mut writes = players.each_ref().map(|player| sample::write(player, 0));
    writes[1].queue = vec![7; MAX_ROW_BYTES + 1];
    writes[2].queue = vec![7; MAX_ROW_BYTES - 1024];
    let bytes = writes[1].size();
    let outcomes = store.commit(&writes).await.outcomes;
    assert_eq!((&outcomes[0], &outcomes[2]), (&Ok(()), &Ok(())));
    match &outcomes[1] {
        Err(CommitError::Store(StoreError::TooLarge { table, bytes: named, max })) => {
            assert!(table.ends_with("queues"), "{table}");
            assert_eq!((*named, *max), (bytes, MAX_ROW_BYTES));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(load(&store, &players[1]).await, None);
    assert_eq!(load(&store, &players[2]).await, Some(writes[2].row()));
}

/// Of 16 tokio tasks that commit one version concurrently, exactly one succeeds.
pub async fn one_concurrent_commit_wins_each_version(store: SharedStore) {
    let player = sample::player();
    for expected in 0..4 {
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let store = SharedStore::clone(&store);
                let write =
                    QueueWrite { queue: format!("task {task}").into_bytes(), ..sample::write(&player, expected) };
                tokio::spawn(async move {
                    // A throttled commit is not decided yet.
                    loop {
                        match commit(&store, &write).await {
                            Err(CommitError::Store(StoreError::Throttled { .. })) => tokio::task::yield_now().await,
                            outcome => return outcome.map(|()| write.queue.clone()),
                        }
                    }
                })
            })
            .collect();
        let mut winners = Vec::new();
        for task in tasks {
            match task.await.expect("no task panics") {
                Ok(queue) => winners.push(queue),
                Err(error) => assert_eq!(error, CommitError::Conflict),
            }
        }
        assert_eq!(winners.len(), 1, "version {}", expected + 1);
        let found = load(&store, &player).await.expect("the row was committed");
        assert_eq!((found.version, &found.queue), (expected + 1, &winners[0]));
    }
}

/// A player has one progress row: the last one written.
pub async fn last_progress_row_is_kept(store: SharedStore) {
    let player = sample::player();
    for units in [10, 30, 20] {
        let row = sample::progress(&player, units);
        assert_eq!(put_progress(&store, &row).await, Ok(vec![]));
        let mut loaded = store.load(&[], std::slice::from_ref(&player), &[]).await;
        assert_eq!(loaded.take_progress(&player), Ok(Some(row)));
    }
}
