//! Writing and reading records.

use millrace_domain::{
    PlayerId, Record, Work,
    record::{HistoryRecord, Table},
    task::Outcome,
};

use super::{
    sample,
    support::{SharedStore, write_records},
};
use crate::{
    error::StoreError,
    port::{MAX_BATCH_ITEMS, MAX_ROW_BYTES},
};

const READABLE: &str = "the rows are readable";

/// Finished tasks of a player, a second apart, oldest first.
fn tasks(player: &PlayerId, count: usize) -> Vec<HistoryRecord> {
    let start = sample::now();
    (0..count).map(|at| sample::history(player, &format!("t-{at}"), start + 1000 * at as u64)).collect()
}

async fn put(store: &SharedStore, rows: &[HistoryRecord]) {
    for batch in rows.chunks(MAX_BATCH_ITEMS) {
        let records: Vec<_> = batch.iter().cloned().map(|row| Record::History(Box::new(row))).collect();
        assert_eq!(write_records(&**store, Table::History, &records).await, Ok(vec![]));
    }
}

async fn count(store: &SharedStore, player: &PlayerId) -> usize {
    store.history(player, 100, None).await.expect(READABLE).items.len()
}

/// Keys are deterministic: writing a record again changes nothing.
pub async fn repeated_put_keeps_one_row(store: SharedStore) {
    let player = sample::player();
    let rows = tasks(&player, 1);
    put(&store, &rows).await;
    put(&store, &rows).await;
    let page = store.history(&player, 10, None).await.expect(READABLE);
    assert_eq!((page.items, page.next), (rows, None));
}

/// The sequence tells apart two tasks of one id that end at the same moment.
pub async fn task_that_ends_twice_at_one_moment_keeps_two_rows(store: SharedStore) {
    let player = sample::player();
    let first = HistoryRecord { sequence: 9, ..sample::history(&player, "t-1", sample::now()) };
    let second = HistoryRecord { sequence: 10, outcome: Outcome::Cancelled, ..first.clone() };
    put(&store, &[first.clone(), second.clone()]).await;
    assert_eq!(store.history(&player, 10, None).await.expect(READABLE).items, [second, first]);
}

/// A batch of the maximum number of rows is written. An empty batch is allowed.
pub async fn full_batch_is_written(store: SharedStore) {
    let player = sample::player();
    put(&store, &tasks(&player, MAX_BATCH_ITEMS)).await;
    assert_eq!(count(&store, &player).await, MAX_BATCH_ITEMS);
    assert_eq!(write_records(&*store, Table::History, &[]).await, Ok(vec![]));
}

/// A batch with too many rows is refused as a whole.
pub async fn batch_of_26_is_refused(store: SharedStore) {
    let player = sample::player();
    let records: Vec<_> =
        tasks(&player, MAX_BATCH_ITEMS + 1).into_iter().map(|row| Record::History(Box::new(row))).collect();
    let error = write_records(&*store, Table::History, &records).await.expect_err("it has too many rows");
    assert!(matches!(&error, StoreError::InvalidBatch { table, .. } if table.ends_with("history")), "{error:?}");
    assert_eq!(count(&store, &player).await, 0);
}

/// A batch with duplicate keys is refused as a whole.
pub async fn duplicate_keys_are_refused(store: SharedStore) {
    let player = sample::player();
    let mut rows = tasks(&player, 3);
    let twice = HistoryRecord { attempts: 9, ..rows[0].clone() };
    rows.push(twice);
    let records: Vec<_> = rows.into_iter().map(|row| Record::History(Box::new(row))).collect();
    let error = write_records(&*store, Table::History, &records).await.expect_err("two rows have one key");
    assert!(matches!(&error, StoreError::InvalidBatch { table, .. } if table.ends_with("history")), "{error:?}");
    assert_eq!(count(&store, &player).await, 0);
}

/// A batch with a row larger than the limit is refused as a whole, with the size of the row.
pub async fn too_large_row_is_refused(store: SharedStore) {
    let player = sample::player();
    let small = sample::rejection(player.as_str(), "c-1", sample::now());
    let mut large = sample::rejection(player.as_str(), "c-2", sample::now());
    large.body = Some("x".repeat(MAX_ROW_BYTES));
    let records = [Record::Rejection(small), Record::Rejection(large)];
    match write_records(&*store, Table::Rejections, &records).await {
        Err(StoreError::TooLarge { table, bytes, max }) => {
            assert!(table.ends_with("rejections"), "{table}");
            assert_eq!((bytes, max), (records[1].size(), MAX_ROW_BYTES));
        }
        other => panic!("{other:?}"),
    }
    let page = store.rejections(player.as_str(), 10, None).await.expect(READABLE);
    assert_eq!(page.items, vec![]);
}

/// A batch with a row of another table is refused.
pub async fn row_of_another_table_is_refused(store: SharedStore) {
    let player = sample::player();
    let records = [Record::Stats(sample::stats(&player, 1))];
    let error =
        write_records(&*store, Table::History, &records).await.expect_err("stats do not belong to the history table");
    assert!(matches!(error, StoreError::InvalidBatch { .. }), "{error:?}");
    assert_eq!(store.load(&[], &[], std::slice::from_ref(&player)).await.take_stats(&player), Ok(None));
}

/// All fields are read back as they were written, whether they apply or not.
pub async fn every_field_of_a_record_is_read_back(store: SharedStore) {
    let player = sample::player();
    let timed = sample::history(&player, "t-1", sample::now());
    let reported = HistoryRecord {
        outcome: Outcome::Failed,
        reason: Some("the \"axe\" broke \u{2013} \u{1f4a5}\n".to_owned()),
        work: Work::units(1_000_000_000),
        units_done: 999_999_999,
        started_at: None,
        refunded: timed.costs.clone(),
        lost: timed.rewards.clone(),
        costs: Default::default(),
        rewards: Default::default(),
        ..sample::history(&player, "t-0", timed.finished_at + 1)
    };
    put(&store, &[timed.clone(), reported.clone()]).await;
    assert_eq!(store.history(&player, 10, None).await.expect(READABLE).items, [reported, timed]);

    let refused = sample::rejection(player.as_str(), "c-1", sample::now());
    let mut malformed = sample::rejection(player.as_str(), "c-0", refused.received_at + 1);
    (malformed.command_type, malformed.task_id) = (None, None);
    malformed.body = Some("{\"type\": null, \u{1}".to_owned());
    let records = [Record::Rejection(refused.clone()), Record::Rejection(malformed.clone())];
    assert_eq!(write_records(&*store, Table::Rejections, &records).await, Ok(vec![]));
    let page = store.rejections(player.as_str(), 10, None).await.expect(READABLE);
    assert_eq!(page.items, [malformed, refused]);
}

/// Pages of any size contain every row once, and the last page has no cursor.
pub async fn history_pages_are_complete_and_newest_first(store: SharedStore) {
    let player = sample::player();
    let mut rows = tasks(&player, 12);
    // Tasks that finished at the same moment are sorted by their sequence numbers.
    rows.push(sample::history(&player, "t-5.b", rows[5].finished_at));
    put(&store, &rows).await;
    rows.sort_by_key(HistoryRecord::sort_key);
    rows.reverse();
    for limit in [1, 4, 5, 13, 100] {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = store.history(&player, limit, after.as_deref()).await.expect(READABLE);
            assert!(page.items.len() <= limit);
            assert!(page.next.is_none() || page.items.len() == limit, "a short page that is not the last");
            found.extend(page.items);
            assert!(found.len() <= rows.len(), "pages overlap");
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, rows, "by {limit}");
    }
}

/// Rows that are added between two pages do not shift the second page.
pub async fn new_rows_do_not_move_a_cursor(store: SharedStore) {
    let player = sample::player();
    let mut rows = tasks(&player, 9);
    put(&store, &rows[..6]).await;
    let first = store.history(&player, 3, None).await.expect(READABLE);
    put(&store, &rows[6..]).await;
    let second = store.history(&player, 3, first.next.as_deref()).await.expect(READABLE);
    rows.truncate(6);
    rows.reverse();
    assert_eq!([first.items, second.items].concat(), rows);
    assert_eq!(second.next, None);
}

/// A cursor is a position, not a row: its row may be deleted or may never have existed.
pub async fn cursor_need_not_be_an_existing_row(store: SharedStore) {
    let player = sample::player();
    let rows = tasks(&player, 4);
    put(&store, &rows).await;
    let page = |limit, after: String| {
        let (store, player) = (SharedStore::clone(&store), player.clone());
        async move { store.history(&player, limit, Some(&after)).await.expect(READABLE) }
    };
    let between = page(10, format!("{}#", rows[2].finished_at)).await;
    assert_eq!((between.items, between.next), (vec![rows[1].clone(), rows[0].clone()], None));
    let before_all = page(10, "0".to_owned()).await;
    assert_eq!((before_all.items, before_all.next), (vec![], None));
    let empty = page(10, String::new()).await;
    assert_eq!((empty.items, empty.next), (vec![], None));
    let after_all = page(3, "z".repeat(3000)).await;
    assert_eq!((after_all.items.len(), after_all.next), (3, Some(rows[1].sort_key())));
    let none = page(0, "z".to_owned()).await;
    assert_eq!(none.items, vec![]);
}

/// Rejections have pages like the history.
pub async fn rejection_pages_are_complete_and_newest_first(store: SharedStore) {
    let player = sample::player();
    let start = sample::now();
    let mut rows: Vec<_> =
        (0..7).map(|at| sample::rejection(player.as_str(), &format!("c-{at}"), start + 1000 * at)).collect();
    let records: Vec<_> = rows.iter().cloned().map(Record::Rejection).collect();
    assert_eq!(write_records(&*store, Table::Rejections, &records).await, Ok(vec![]));
    rows.reverse();
    let (mut found, mut after) = (Vec::new(), None::<String>);
    for size in [3, 3, 1] {
        let page = store.rejections(player.as_str(), 3, after.as_deref()).await.expect(READABLE);
        assert_eq!((page.items.len(), page.next.is_some()), (size, size == 3));
        found.extend(page.items);
        after = page.next;
    }
    assert_eq!(found, rows);
}

/// A full batch of rows near the size limit is written.
pub async fn full_batch_of_large_rows_is_written(store: SharedStore) {
    let player = sample::player();
    let start = sample::now();
    let large = |at: usize| {
        let mut row = sample::rejection(player.as_str(), &format!("c-{at}"), start + at as u64);
        row.body = Some(format!("{at}{}", "x".repeat(MAX_ROW_BYTES - 4096)));
        row
    };
    let rows: Vec<_> = (0..MAX_BATCH_ITEMS).map(large).collect();
    let records: Vec<_> = rows.iter().cloned().map(Record::Rejection).collect();
    assert_eq!(write_records(&*store, Table::Rejections, &records).await, Ok(vec![]));
    let page = store.rejections(player.as_str(), MAX_BATCH_ITEMS, None).await.expect(READABLE);
    assert!(page.items.iter().eq(rows.iter().rev()), "{} rows", page.items.len());
    assert_eq!(page.next, None);
}

/// A partition matches the whole player id, not its beginning.
pub async fn player_id_does_not_match_longer_ids(store: SharedStore) {
    let player = sample::player();
    let longer = PlayerId::new(&format!("{player}-2")).expect("it is allowed");
    put(&store, &tasks(&player, 2)).await;
    put(&store, &tasks(&longer, 3)).await;
    assert_eq!((count(&store, &player).await, count(&store, &longer).await), (2, 3));
    assert_eq!(count(&store, &sample::player()).await, 0);
}

/// Malformed input without a player has a partition that is not a player id.
pub async fn rejections_of_unknown_players_have_a_partition(store: SharedStore) {
    let ours = format!("c-{:016x}", fastrand::u64(..));
    let row = sample::rejection("unknown#a", &ours, sample::now());
    assert_eq!(write_records(&*store, Table::Rejections, &[Record::Rejection(row.clone())]).await, Ok(vec![]));
    let page = store.rejections("unknown#a", 100, None).await.expect(READABLE);
    assert!(page.items.contains(&row), "{:?}", page.items);
    let keys: Vec<_> = page.items.iter().map(|row| row.sort_key()).collect();
    assert!(keys.is_sorted_by(|one, next| one > next), "not newest first: {keys:?}");
    let other = store.rejections("unknown#b", 100, None).await.expect(READABLE);
    assert!(!other.items.iter().any(|other| other.command_id == row.command_id));
}

/// A player has one row of totals: the last one written.
pub async fn last_stats_row_is_kept(store: SharedStore) {
    let player = sample::player();
    assert_eq!(store.load(&[], &[], std::slice::from_ref(&player)).await.take_stats(&player), Ok(None));
    for version in [4, 5, 6] {
        let row = sample::stats(&player, version);
        assert_eq!(write_records(&*store, Table::Stats, &[Record::Stats(row.clone())]).await, Ok(vec![]));
        assert_eq!(store.load(&[], &[], std::slice::from_ref(&player)).await.take_stats(&player), Ok(Some(row)));
    }
}

/// A reachable store answers a ping.
pub async fn ping_succeeds(store: SharedStore) {
    assert_eq!(store.ping().await, Ok(()));
}
