//! How rows look to an operator, what becomes of damaged ones, and how they expire.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{HistoryRecord, Table},
};
use millrace_servers::MiniStack;
use millrace_store::{
    QueueStore, QueueWrite, RecordStore, StoreError, conformance::sample, due_shard, dynamodb::DynamoDbSettings,
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
    async fn raw(&self, table: Table, key: Item) -> Option<Item> {
        let client = client(&MiniStack::shared().await.endpoint());
        let call = client.get_item().table_name(self.name(table)).set_key(Some(key));
        call.send().await.unwrap().item
    }

    async fn plant(&self, table: Table, item: Item) {
        let client = client(&MiniStack::shared().await.endpoint());
        client.put_item().table_name(self.name(table)).set_item(Some(item)).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_queue_has_the_same_attributes_however_it_is_committed() {
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
    for store in [at.store(), at.single()] {
        let client = client(&MiniStack::shared().await.endpoint());
        client.delete_item().table_name(at.name(Table::Queues)).set_key(Some(key())).send().await.unwrap();
        let mut expected = 0;
        // With everything, then nothing of it, then everything again.
        for (outbox, due_at, wanted) in
            [(true, true, &full), (false, false, &least), (true, true, &full), (false, false, &least)]
        {
            let write = QueueWrite {
                queue: b"queue".to_vec(),
                outbox: outbox.then(|| b"outbox".to_vec()),
                due_at: due_at.then_some(due),
                ..sample::write(&player, expected)
            };
            // Beside another, so that it goes into a batch where there are batches.
            let outcomes = store.commit(&[write, writes(1).remove(0)]).await.outcomes;
            assert_eq!(outcomes, vec![Ok(()), Ok(())]);
            expected += 1;
            assert_eq!(at.raw(Table::Queues, key()).await, Some(with_version(wanted, expected)));
        }
    }
}

#[tokio::test]
async fn records_can_be_read_by_their_attributes() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    let row = sample::history(&player, "t-1", sample::now());
    assert_eq!(store.write(Table::History, &[Record::History(Box::new(row.clone()))]).await, Ok(vec![]));
    let key = item([("playerId", s(&player)), ("finishedAt#taskId", s(row.sort_key()))]);
    let mut found = at.raw(Table::History, key).await.expect("it is there");
    let at_time = s(row.finished_at);
    let expires_at: u64 = found.remove("expiresAt").unwrap().as_n().unwrap().parse().unwrap();
    let in_90_days = sample::now().as_millis() / 1000 + 90 * 24 * 3600;
    assert!(expires_at.abs_diff(in_90_days) < 60, "{expires_at}");
    let wanted = item([
        ("playerId", s(&player)),
        ("finishedAt#taskId", s(row.sort_key())),
        ("taskId", s("t-1")),
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
    ]);
    assert_eq!(found, wanted);

    let row = sample::rejection("unknown#7", "c-1", sample::now());
    assert_eq!(store.write(Table::Rejections, &[Record::Rejection(row.clone())]).await, Ok(vec![]));
    let key = item([("playerId", s("unknown#7")), ("receivedAt#commandId", s(row.sort_key()))]);
    let found = at.raw(Table::Rejections, key).await.expect("it is there");
    assert_eq!(found.get("reason"), Some(&s("unknown_task")));
    assert!(!found.contains_key("body"), "{found:?}");
}

#[tokio::test]
async fn a_damaged_row_fails_alone_and_is_named() {
    let at = Proxied::start().await;
    let store = at.store();
    let good = writes(1);
    assert_eq!(store.commit(&good).await.outcomes, vec![Ok(())]);
    let damaged = |player: &PlayerId| {
        let id = || s(player);
        [
            (item([("playerId", id()), ("version", n(1))]), "`queue` is missing"),
            (item([("playerId", id()), ("queue", b(b"x"))]), "`version` is missing"),
            (item([("playerId", id()), ("version", s("1")), ("queue", b(b"x"))]), "`version` is no number"),
            (
                item([("playerId", id()), ("version", n("1.5")), ("queue", b(b"x"))]),
                "`version` is 1.5; allowed: a whole number",
            ),
            (item([("playerId", id()), ("version", n(1)), ("queue", s("x"))]), "`queue` is no binary"),
            (
                item([("playerId", id()), ("version", n(1)), ("queue", b(b"x")), ("outbox", n(3))]),
                "`outbox` is no binary",
            ),
        ]
    };
    let player = sample::player();
    for (row, detail) in damaged(&player) {
        at.plant(Table::Queues, row).await;
        let loaded = store.load(&[player.clone(), good[0].player_id.clone()], &[]).await;
        let detail = format!("{player}: {detail}");
        assert_eq!(loaded.queues[0], Err(StoreError::Unreadable { table: at.name(Table::Queues), detail }));
        assert!(matches!(&loaded.queues[1], Ok(Some(_))), "{:?}", loaded.queues[1]);
    }
    at.plant(Table::Progress, item([("playerId", s(&player)), ("version", n(1)), ("tasks", s("none"))])).await;
    let loaded = store.load(&[], &[player.clone(), good[0].player_id.clone()]).await;
    match &loaded.progress[0] {
        Err(StoreError::Unreadable { table, detail }) => {
            assert_eq!(*table, at.name(Table::Progress));
            assert!(detail.starts_with(player.as_str()), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(loaded.progress[1], Ok(None));
    at.plant(Table::Stats, item([("playerId", s(&player)), ("version", b(b"1"))])).await;
    assert!(matches!(store.stats(&player).await, Err(StoreError::Unreadable { .. })));
}

#[tokio::test]
async fn a_damaged_row_hides_no_older_ones_in_a_page_and_holds_nobody_up_in_the_index() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    let rows = put_history(&at, at.settings(), &player, sample::now(), 3).await;
    let planted = format!("{}#t-x", rows[2].finished_at);
    at.plant(Table::History, item([("playerId", s(&player)), ("finishedAt#taskId", s(&planted))])).await;
    let first = store.history(&player, 1, None).await.unwrap();
    assert_eq!((first.items, first.next.as_ref()), (vec![], Some(&planted)));
    let rest = store.history(&player, 3, Some(&planted)).await.unwrap();
    assert_eq!(rest.items, rows.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(rest.next, None);

    let nameless = item([
        ("playerId", s("no player id!")),
        ("version", n(1)),
        ("queue", b(b"x")),
        ("dueShard", n(due_shard(&player))),
        ("dueAt", n(1)),
    ]);
    at.plant(Table::Queues, nameless).await;
    let write = QueueWrite { due_at: Some(Timestamp::from_millis(5)), ..sample::write(&player, 0) };
    assert_eq!(store.commit(&[write]).await.outcomes, vec![Ok(())]);
    let due = store.due(due_shard(&player), Timestamp::from_millis(10), None, 1).await.queues.unwrap();
    assert_eq!(due.iter().map(|due| &due.player_id).collect::<Vec<_>>(), [&player]);
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
        assert_eq!(store.write(Table::History, &records).await, Ok(vec![]));
    }
    rows
}

#[tokio::test]
async fn expired_rows_that_are_still_there_are_left_out_of_pages() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    let now = sample::now();
    let expired = DynamoDbSettings { history_retention: Duration::ZERO, ..at.settings() };
    // Oldest to newest: 3 rows, 150 expired ones, 3 rows, 2 expired ones.
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
async fn a_partition_of_expired_rows_only_is_empty() {
    let at = Proxied::start().await;
    let player = sample::player();
    let expired = DynamoDbSettings { history_retention: Duration::ZERO, ..at.settings() };
    put_history(&at, expired, &player, sample::now(), 60).await;
    at.proxy.reset_counts();
    let page = at.store().history(&player, 5, None).await.unwrap();
    assert_eq!((page.items, page.next), (vec![], None));
    // 6 rows, then as many as a page of expired ones is worth.
    assert_eq!(at.proxy.count("Query"), 2);
}

#[tokio::test]
async fn a_long_index_is_read_page_by_page_to_the_limit() {
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
        let wanted: Vec<_> = mine.iter().take(limit).collect();
        assert!(due.iter().map(|due| &due.player_id).eq(wanted), "limit {limit}: {} rows", due.len());
        assert_eq!((at.proxy.count("Query"), page.calls), (calls, calls), "limit {limit}");
    }
}
