//! Loading queues and progress, committing conditionally.

use millrace_domain::{PlayerId, Record, record::Table};

use super::{SharedStore, sample};
use crate::{
    error::{CommitError, StoreError},
    port::{CommitResponse, MAX_BATCH_ITEMS, MAX_ROW_BYTES, QueueRow, QueueWrite},
};

async fn load(store: &SharedStore, player: &PlayerId) -> Option<QueueRow> {
    let mut loaded = store.load(std::slice::from_ref(player), &[]).await;
    assert_eq!(loaded.queues.len(), 1);
    loaded.queues.remove(0).expect("the row is readable")
}

async fn commit(store: &SharedStore, write: &QueueWrite) -> Result<(), CommitError> {
    let CommitResponse { mut outcomes, calls } = store.commit(std::slice::from_ref(write)).await;
    assert_eq!((outcomes.len(), calls), (1, 1));
    outcomes.remove(0)
}

fn row(write: &QueueWrite) -> QueueRow {
    QueueRow { version: write.version, queue: write.queue.clone(), outbox: write.outbox.clone(), due_at: write.due_at }
}

/// There is no row until the first commit.
pub async fn a_missing_row_is_loaded_as_none(store: SharedStore) {
    let player = sample::player();
    let loaded = store.load(std::slice::from_ref(&player), std::slice::from_ref(&player)).await;
    assert_eq!((loaded.queues, loaded.progress), (vec![Ok(None)], vec![Ok(None)]));
    assert_eq!(loaded.calls, 1);
    let nothing = store.load(&[], &[]).await;
    assert!(nothing.queues.is_empty() && nothing.progress.is_empty());
    assert_eq!(nothing.calls, 0);
}

/// More ids than a call takes, some of them unknown: each answer stands at its place.
pub async fn rows_are_loaded_in_the_order_of_asking(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(110).collect();
    let writes: Vec<_> = players.iter().step_by(2).map(|player| sample::write(player, 0)).collect();
    let committed = store.commit(&writes).await;
    assert!(committed.outcomes.iter().all(Result::is_ok), "{:?}", committed.outcomes);
    let progress = sample::progress(&players[1], 7);
    assert_eq!(store.write(Table::Progress, &[Record::Progress(progress.clone())]).await, Ok(vec![]));

    let loaded = store.load(&players, &players[..3]).await;
    assert_eq!(loaded.queues.len(), players.len());
    for (at, found) in loaded.queues.iter().enumerate() {
        let wanted = (at % 2 == 0).then(|| row(&writes[at / 2]));
        assert_eq!(found, &Ok(wanted), "at {at}");
    }
    assert_eq!(loaded.progress, vec![Ok(None), Ok(Some(progress)), Ok(None)]);
    assert_eq!(loaded.calls, 2);
}

/// A call takes 100 keys, those of queues and progress together.
pub async fn every_100_keys_take_a_call(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(201).collect();
    for (queues, progress, calls) in
        [(1, 0, 1), (100, 0, 1), (101, 0, 2), (60, 40, 1), (60, 41, 2), (0, 100, 1), (201, 0, 3)]
    {
        let loaded = store.load(&players[..queues], &players[..progress]).await;
        assert!(loaded.queues.iter().all(|row| *row == Ok(None)), "{:?}", loaded.queues);
        assert_eq!((loaded.queues.len(), loaded.progress.len()), (queues, progress));
        assert_eq!(loaded.calls, calls, "for {queues} queues and {progress} progress rows");
    }
}

/// Who is asked for twice is answered twice.
pub async fn a_repeated_id_is_answered_each_time(store: SharedStore) {
    let [player, other] = [sample::player(), sample::player()];
    let write = sample::write(&player, 0);
    assert_eq!(commit(&store, &write).await, Ok(()));
    let progress = sample::progress(&player, 5);
    assert_eq!(store.write(Table::Progress, &[Record::Progress(progress.clone())]).await, Ok(vec![]));
    let ids = [player.clone(), other.clone(), player.clone(), player, other];
    let loaded = store.load(&ids, &ids).await;
    let found = Some(row(&write));
    assert_eq!(loaded.queues, vec![Ok(found.clone()), Ok(None), Ok(found.clone()), Ok(found), Ok(None)]);
    let found = Some(progress);
    assert_eq!(loaded.progress, vec![Ok(found.clone()), Ok(None), Ok(found.clone()), Ok(found), Ok(None)]);
}

/// The largest row that the rules allow is one that the store takes, new and changed.
pub async fn the_largest_row_is_committed(store: SharedStore) {
    let player = sample::player();
    for expected in 0..2 {
        let mut write = sample::write(&player, expected);
        write.outbox = Some(vec![expected as u8; 150 * 1024]);
        write.due_at = Some(sample::now());
        write.queue.resize(write.queue.len() + MAX_ROW_BYTES - write.size(), 7);
        assert_eq!(write.size(), MAX_ROW_BYTES);
        assert_eq!(commit(&store, &write).await, Ok(()));
        assert_eq!(load(&store, &player).await, Some(row(&write)));
    }
    let last = QueueWrite { outbox: None, due_at: None, ..sample::write(&player, 2) };
    assert_eq!(commit(&store, &last).await, Ok(()));
}

/// Rows of more bytes than one call or one answer takes (16 MB in DynamoDB).
pub async fn many_large_rows_are_committed_and_loaded(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(48).collect();
    let large = |player| QueueWrite { queue: vec![1; 380 * 1024], ..sample::write(player, 0) };
    let writes: Vec<_> = players.iter().map(large).collect();
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); writes.len()]);
    let loaded = store.load(&players, &[]).await;
    for (at, (found, write)) in loaded.queues.iter().zip(&writes).enumerate() {
        assert!(matches!(found, Ok(Some(found)) if *found == row(write)), "at {at}");
    }
}

/// The first commit expects no row, and meets a conflict where there is one.
pub async fn an_insert_expects_no_row(store: SharedStore) {
    let player = sample::player();
    let first = sample::write(&player, 0);
    assert_eq!(commit(&store, &first).await, Ok(()));
    let second = QueueWrite { queue: b"another".to_vec(), version: 5, ..first.clone() };
    assert_eq!(commit(&store, &second).await, Err(CommitError::Conflict));
    assert_eq!(load(&store, &player).await, Some(row(&first)));
}

/// A commit that expects the row's version replaces the row.
pub async fn an_update_expects_the_version(store: SharedStore) {
    let player = sample::player();
    for version in 0..5 {
        let write = sample::write(&player, version);
        assert_eq!(commit(&store, &write).await, Ok(()), "version {version}");
        assert_eq!(load(&store, &player).await, Some(row(&write)));
    }
}

/// A commit that expects an earlier or a later version changes nothing, however often it comes.
pub async fn a_stale_version_never_overwrites(store: SharedStore) {
    let player = sample::player();
    let writes = [0, 1, 2].map(|version| sample::write(&player, version));
    for write in &writes {
        assert_eq!(commit(&store, write).await, Ok(()));
    }
    for expected in [0, 1, 2, 4, 1 << 40] {
        let stale = QueueWrite { queue: b"stale".to_vec(), ..sample::write(&player, expected) };
        assert_eq!(commit(&store, &stale).await, Err(CommitError::Conflict), "expecting {expected}");
    }
    // A repeated commit is a conflict too: the store does not know whose it was.
    assert_eq!(commit(&store, &writes[2]).await, Err(CommitError::Conflict));
    assert_eq!(load(&store, &player).await, Some(row(&writes[2])));
}

/// A commit that expects a version where there is no row makes none.
pub async fn a_missing_row_is_not_updated(store: SharedStore) {
    let player = sample::player();
    assert_eq!(commit(&store, &sample::write(&player, 3)).await, Err(CommitError::Conflict));
    assert_eq!(load(&store, &player).await, None);
}

/// Writes of one call stand alone.
pub async fn one_conflict_harms_no_other_write(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(10).collect();
    let theirs = sample::write(&players[4], 0);
    assert_eq!(commit(&store, &theirs).await, Ok(()));
    let writes: Vec<_> = players.iter().map(|player| sample::write(player, 0)).collect();
    let committed = store.commit(&writes).await;
    for (at, outcome) in committed.outcomes.iter().enumerate() {
        let wanted = if at == 4 { Err(CommitError::Conflict) } else { Ok(()) };
        assert_eq!(outcome, &wanted, "at {at}");
    }
    let loaded = store.load(&players, &[]).await;
    let wanted: Vec<_> = writes.iter().map(|write| Ok(Some(row(write)))).collect();
    assert_eq!(loaded.queues, wanted);
}

/// Commits are not limited in number.
pub async fn more_writes_than_a_call_takes_are_all_committed(store: SharedStore) {
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(2 * MAX_BATCH_ITEMS + 3).collect();
    let writes: Vec<_> = players.iter().map(|player| sample::write(player, 0)).collect();
    let committed = store.commit(&writes).await;
    assert_eq!(committed.outcomes, vec![Ok(()); writes.len()]);
    assert!(committed.calls >= 3, "{} calls", committed.calls);
    let loaded = store.load(&players, &[]).await;
    let wanted: Vec<_> = writes.iter().map(|write| Ok(Some(row(write)))).collect();
    assert_eq!(loaded.queues, wanted);
    assert_eq!(store.commit(&[]).await.outcomes, vec![]);
}

/// The outbox of a commit stands until the next one, which may have none.
pub async fn an_outbox_is_stored_and_cleared(store: SharedStore) {
    let player = sample::player();
    for (version, outbox) in
        [Some(b"one\0".to_vec()), Some(b"two".to_vec()), None, Some(b"four".to_vec())].into_iter().enumerate()
    {
        let write = QueueWrite { outbox: outbox.clone(), ..sample::write(&player, version as u64) };
        assert_eq!(commit(&store, &write).await, Ok(()));
        assert_eq!(load(&store, &player).await.expect("it was committed").outbox, outbox);
    }
}

/// A queue over the limit of a row is refused with its size; the others of the call are committed.
pub async fn a_queue_too_large_fails_alone(store: SharedStore) {
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
    assert_eq!(load(&store, &players[2]).await, Some(row(&writes[2])));
}

/// Of 16 tasks that commit one version at once, one wins; nobody overwrites the winner.
pub async fn of_concurrent_commits_one_wins_each_version(store: SharedStore) {
    let player = sample::player();
    for expected in 0..4 {
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let store = SharedStore::clone(&store);
                let write =
                    QueueWrite { queue: format!("task {task}").into_bytes(), ..sample::write(&player, expected) };
                tokio::spawn(async move {
                    // A store that is short of something for a moment says so; then nothing is decided yet.
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
        let found = load(&store, &player).await.expect("it was committed");
        assert_eq!((found.version, &found.queue), (expected + 1, &winners[0]));
    }
}

/// A player has one progress row: the last one put.
pub async fn progress_is_overwritten(store: SharedStore) {
    let player = sample::player();
    for units in [10, 30, 20] {
        let row = sample::progress(&player, units);
        assert_eq!(store.write(Table::Progress, &[Record::Progress(row.clone())]).await, Ok(vec![]));
        let loaded = store.load(&[], std::slice::from_ref(&player)).await;
        assert_eq!(loaded.progress, vec![Ok(Some(row))]);
    }
}
