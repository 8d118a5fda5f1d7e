//! Rows: their attributes, their expiry, and damaged ones.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{HistoryRecord, Table},
};
use millrace_servers::MiniStack;
use millrace_store::{
    QueueStore, QueueWrite, RecordStore, Retention, StoreError,
    conformance::{sample, write_records},
    due_shard,
    dynamodb::DynamoDbSettings,
};

use crate::support::{Proxied, client, players, writes};

type Item = HashMap<String, AttributeValue>;

fn s(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn b(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn m(name: &str, value: AttributeValue) -> AttributeValue {
    AttributeValue::M(HashMap::from([(name.to_owned(), value)]))
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Proxied {
    /// Reads an item without the store.
    async fn get_item(&self, table: Table, key: Item) -> Option<Item> {
        let client = client(&MiniStack::shared().await.endpoint());
        let call = client.get_item().table_name(self.name(table)).set_key(Some(key));
        call.send().await.unwrap().item
    }

    /// Writes an item without the store.
    async fn put_item(&self, table: Table, item: Item) {
        let client = client(&MiniStack::shared().await.endpoint());
        client.put_item().table_name(self.name(table)).set_item(Some(item)).send().await.unwrap();
    }
}

#[tokio::test]
async fn queue_attributes_are_the_same_for_put_item_and_partiql() {
    let at = Proxied::start().await;
    let player = sample::player();
    let key = || item([("playerId", s(&player))]);
    let due = Timestamp::from_millis(1_780_000_000_123);
    let full = item([
        ("playerId", s(&player)),
        ("version", n(1)),
        ("queue", b(b"queue")),
        ("outbox", b(b"outbox")),
        ("dueShard", n(due_shard(&player))),
        ("dueAt", n(1_780_000_000_123_u64)),
    ]);
    let least = item([("playerId", s(&player)), ("version", n(1)), ("queue", b(b"queue"))]);
    let with_version = |row: &Item, version: u64| {
        let mut row = row.clone();
        row.insert("version".to_owned(), n(version));
        row
    };
    let store = at.store();
    // A single write is a `PutItem`, and two are PartiQL statements.
    for other_writes in [0, 1] {
        let client = client(&MiniStack::shared().await.endpoint());
        client.delete_item().table_name(at.name(Table::Queues)).set_key(Some(key())).send().await.unwrap();
        let mut expected = 0;
        // With all optional attributes and without them, alternately.
        for (has_optional, item) in [(true, &full), (false, &least), (true, &full), (false, &least)] {
            let write = QueueWrite {
                queue: b"queue".to_vec(),
                outbox: has_optional.then(|| b"outbox".to_vec()),
                due_at: has_optional.then_some(due),
                ..sample::write(&player, expected)
            };
            let outcomes = store.commit(&[vec![write], writes(other_writes)].concat()).await.outcomes;
            assert_eq!(outcomes, vec![Ok(()); 1 + other_writes]);
            expected += 1;
            assert_eq!(at.get_item(Table::Queues, key()).await, Some(with_version(item, expected)));
        }
    }
}

#[tokio::test]
async fn records_are_stored_as_native_attributes() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    let row = sample::history(&player, "t-1", sample::now());
    assert_eq!(write_records(&store, Table::History, &[Record::History(Box::new(row.clone()))]).await, Ok(vec![]));
    let key = item([("playerId", s(&player)), ("finishedAt#sequence", s(row.sort_key()))]);
    let mut found = at.get_item(Table::History, key).await.expect("the row was written");
    let at_time = s(row.finished_at);
    let expires_at: u64 = found.remove("expiresAt").unwrap().as_n().unwrap().parse().unwrap();
    let in_90_days = sample::now().as_millis() / 1000 + 90 * 24 * 3600;
    assert!(expires_at.abs_diff(in_90_days) < 60, "{expires_at}");
    let failure = item([("attempt", n(1)), ("reason", s("heartbeat_lost")), ("at", at_time.clone())]);
    let expected = item([
        ("playerId", s(&player)),
        ("finishedAt#sequence", s(row.sort_key())),
        ("taskId", s("t-1")),
        ("sequence", n(row.sequence)),
        ("kind", s("harvest.wood")),
        ("priority", s("high")),
        ("outcome", s("completed")),
        ("attempts", n(1)),
        ("work", m("durationMs", n(30_000))),
        ("unitsDone", n(0)),
        ("enqueuedAt", at_time.clone()),
        ("startedAt", at_time.clone()),
        ("finishedAt", at_time),
        ("timeSpentMs", n(30_000)),
        ("costs", m("gold", n(5))),
        ("refunded", AttributeValue::M(HashMap::new())),
        ("rewards", m("wood", n(9_007_199_254_740_991_u64))),
        ("lost", AttributeValue::M(HashMap::new())),
        ("result", s(r#"{"found":[1,"x"]}"#)),
        ("failures", AttributeValue::L(vec![AttributeValue::M(failure)])),
    ]);
    assert_eq!(found, expected);

    let row = sample::rejection("unknown#7", "c-1", sample::now());
    assert_eq!(write_records(&store, Table::Rejections, &[Record::Rejection(row.clone())]).await, Ok(vec![]));
    let key = item([("playerId", s("unknown#7")), ("receivedAt#entry", s(row.sort_key()))]);
    let found = at.get_item(Table::Rejections, key).await.expect("the row was written");
    assert_eq!(found.get("reason"), Some(&s("unknown_task")));
    assert!(!found.contains_key("body"), "{found:?}");
}

#[tokio::test]
async fn damaged_row_does_not_affect_other_rows() {
    let at = Proxied::start().await;
    let store = at.store();
    let good = writes(1);
    assert_eq!(store.commit(&good).await.outcomes, vec![Ok(())]);
    let damaged = |player: &PlayerId| {
        let id = || s(player);
        [
            (item([("playerId", id()), ("version", n(1))]), "`queue` is missing"),
            (item([("playerId", id()), ("queue", b(b"x"))]), "`version` is missing"),
            (item([("playerId", id()), ("version", s("1")), ("queue", b(b"x"))]), "`version` is not a number"),
            (
                item([("playerId", id()), ("version", n("1.5")), ("queue", b(b"x"))]),
                "`version` is 1.5; allowed: a whole number",
            ),
            (item([("playerId", id()), ("version", n(1)), ("queue", s("x"))]), "`queue` is not binary"),
            (
                item([("playerId", id()), ("version", n(1)), ("queue", b(b"x")), ("outbox", n(3))]),
                "`outbox` is not binary",
            ),
        ]
    };
    let player = sample::player();
    let players = [player.clone(), good[0].player_id.clone()];
    for (row, detail) in damaged(&player) {
        at.put_item(Table::Queues, row).await;
        let mut loaded = store.load(&players, &[], &[]).await;
        let detail = format!("{player}: {detail}");
        let error = StoreError::Unreadable { table: at.name(Table::Queues), detail };
        assert_eq!(loaded.take_queue(&player), Err(error));
        assert!(matches!(loaded.take_queue(&good[0].player_id), Ok(Some(_))));
    }
    at.put_item(Table::Progress, item([("playerId", s(&player)), ("version", n(1)), ("tasks", s("none"))])).await;
    let mut loaded = store.load(&[], &players, &[]).await;
    match loaded.take_progress(&player) {
        Err(StoreError::Unreadable { table, detail }) => {
            assert_eq!(table, at.name(Table::Progress));
            assert!(detail.starts_with(player.as_str()), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(loaded.take_progress(&good[0].player_id), Ok(None));
    at.put_item(Table::Stats, item([("playerId", s(&player)), ("version", b(b"1"))])).await;
    assert!(matches!(
        store.load(&[], &[], std::slice::from_ref(&player)).await.take_stats(&player),
        Err(StoreError::Unreadable { .. })
    ));
}

#[tokio::test]
async fn damaged_row_does_not_hide_older_history_or_other_due_queues() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    let rows = put_history(&at, at.settings(), &player, sample::now(), 3).await;
    let damaged = format!("{}#t-x", rows[2].finished_at);
    at.put_item(Table::History, item([("playerId", s(&player)), ("finishedAt#sequence", s(&damaged))])).await;
    let first = store.history(&player, 1, None).await.unwrap();
    assert_eq!((first.items, first.next.as_ref()), (vec![], Some(&damaged)));
    let rest = store.history(&player, 3, Some(&damaged)).await.unwrap();
    assert_eq!(rest.items, rows.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(rest.next, None);

    let invalid = item([
        ("playerId", s("not a player id!")),
        ("version", n(1)),
        ("queue", b(b"x")),
        ("dueShard", n(due_shard(&player))),
        ("dueAt", n(1)),
    ]);
    at.put_item(Table::Queues, invalid).await;
    let write = QueueWrite { due_at: Some(Timestamp::from_millis(5)), ..sample::write(&player, 0) };
    assert_eq!(store.commit(&[write]).await.outcomes, vec![Ok(())]);
    let due = store.due(due_shard(&player), Timestamp::from_millis(10), None, 1).await.queues.unwrap();
    assert_eq!(due.iter().map(|due| &due.player_id).collect::<Vec<_>>(), [&player]);
}

fn expiring_at_once(at: &Proxied) -> DynamoDbSettings {
    let retention = Retention { history: Duration::ZERO, ..Retention::default() };
    DynamoDbSettings { retention, ..at.settings() }
}

async fn put_history(
    at: &Proxied,
    settings: DynamoDbSettings,
    player: &PlayerId,
    start: Timestamp,
    count: u64,
) -> Vec<HistoryRecord> {
    let store = at.store_with(settings);
    let rows: Vec<_> = (0..count).map(|n| sample::history(player, &format!("t-{n}"), start + n)).collect();
    for rows in rows.chunks(25) {
        let records: Vec<_> = rows.iter().cloned().map(|row| Record::History(Box::new(row))).collect();
        assert_eq!(write_records(&store, Table::History, &records).await, Ok(vec![]));
    }
    rows
}

#[tokio::test]
async fn pages_omit_expired_rows() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    let now = sample::now();
    let expired = expiring_at_once(&at);
    // From the oldest: 3 rows, 150 expired ones, 3 rows, 2 expired ones.
    let mut rows = put_history(&at, at.settings(), &player, now, 3).await;
    put_history(&at, expired.clone(), &player, now + 1_000, 150).await;
    rows.extend(put_history(&at, at.settings(), &player, now + 2_000, 3).await);
    put_history(&at, expired, &player, now + 3_000, 2).await;
    rows.reverse();
    for limit in [1, 2, 3, 4, 6, 7, 200] {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = store.history(&player, limit, after.as_deref()).await.unwrap();
            assert!(!page.items.is_empty() && page.items.len() <= limit, "by {limit}: {} rows", page.items.len());
            assert!(page.next.is_none() || page.items.len() == limit, "by {limit}: a short page that is not the last");
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, rows, "by {limit}");
    }
}

#[tokio::test]
async fn page_of_expired_rows_only_is_empty() {
    let at = Proxied::start().await;
    let player = sample::player();
    let expired = expiring_at_once(&at);
    put_history(&at, expired, &player, sample::now(), 60).await;
    at.proxy.reset_counts();
    let page = at.store().history(&player, 5, None).await.unwrap();
    assert_eq!((page.items, page.next), (vec![], None));
    // The first call reads 6 rows. All of them have expired, so the next call reads at least 100.
    assert_eq!(at.proxy.count("Query"), 2);
}

#[tokio::test]
async fn due_index_is_read_page_by_page_up_to_the_limit() {
    let at = Proxied::start().await;
    let store = at.store();
    let (shard, first) = sample::players_of_one_shard(1);
    let mut mine = first;
    mine.extend(players(40_000).into_iter().filter(|player| due_shard(player) == shard));
    mine.truncate(1_200);
    let write = |(n, player): (usize, &PlayerId)| QueueWrite {
        due_at: Some(Timestamp::from_millis(10 + n as u64)),
        ..sample::write(player, 0)
    };
    let writes: Vec<_> = mine.iter().enumerate().map(write).collect();
    assert!(store.commit(&writes).await.outcomes.iter().all(Result::is_ok));
    let until = Timestamp::from_millis(1_000_000);
    for (limit, calls) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (1_200, 2), (5_000, 2)] {
        at.proxy.reset_counts();
        let page = store.due(shard, until, None, limit).await;
        let due = page.queues.unwrap();
        let expected: Vec<_> = mine.iter().take(limit).collect();
        assert!(due.iter().map(|due| &due.player_id).eq(expected), "limit {limit}: {} rows", due.len());
        assert_eq!((at.proxy.count("Query"), page.calls), (calls, calls), "limit {limit}");
    }
}
