//! Loads queues, progress and stats: `BatchGetItem`, 100 keys to a call, strongly consistent.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::AtomicU64,
};

use aws_sdk_dynamodb::{operation::batch_get_item::BatchGetItemOutput, types::KeysAndAttributes};
use futures::future::join_all;
use indexmap::IndexSet;
use millrace_domain::{PlayerId, record::Table};
use serde::de::DeserializeOwned;

use super::{
    calls::MAX_ATTEMPTS,
    error::{CallTarget, Retry},
    items::{self, Item, attribute},
    tables::Tables,
};
use crate::{error::StoreError, port::LoadResponse, rules::MAX_LOAD_KEYS};

/// A row to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum RowKey<'a> {
    Queue(&'a PlayerId),
    Progress(&'a PlayerId),
    Stats(&'a PlayerId),
}

/// The rows that were found, and the errors of those that could not be loaded.
type LoadedItems<'a> = HashMap<RowKey<'a>, Result<Item, StoreError>>;

impl<'a> RowKey<'a> {
    fn table(self) -> Table {
        match self {
            Self::Queue(_) => Table::Queues,
            Self::Progress(_) => Table::Progress,
            Self::Stats(_) => Table::Stats,
        }
    }

    fn player(self) -> &'a PlayerId {
        match self {
            Self::Queue(player) | Self::Progress(player) | Self::Stats(player) => player,
        }
    }
}

/// Loads rows. The calls are independent: an error of one call concerns its keys only.
pub(super) async fn load(
    tables: &Tables,
    queues: &[PlayerId],
    progress: &[PlayerId],
    stats: &[PlayerId],
) -> LoadResponse {
    // The server refuses a call that contains a key twice.
    let others = progress.iter().map(RowKey::Progress).chain(stats.iter().map(RowKey::Stats));
    let keys: IndexSet<_> = queues.iter().map(RowKey::Queue).chain(others).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let round_trips = AtomicU64::new(0);
    let calls = join_all(keys.chunks(MAX_LOAD_KEYS).map(|keys| load_call(tables, keys, &round_trips))).await;
    let mut loaded: LoadedItems<'_> = calls.into_iter().flatten().collect();

    let mut response = LoadResponse { calls: round_trips.into_inner(), ..LoadResponse::default() };
    for key in keys {
        let (name, player) = (tables.name(key.table()), key.player());
        let item = loaded.remove(&key).transpose();
        match key {
            RowKey::Queue(_) => {
                let row = item.and_then(|item| item.map(|item| items::read_queue(item, name, player)).transpose());
                response.queues.insert(player.clone(), row);
            }
            RowKey::Progress(_) => drop(response.progress.insert(player.clone(), read_record(item, name, player))),
            RowKey::Stats(_) => drop(response.stats.insert(player.clone(), read_record(item, name, player))),
        }
    }
    response
}

fn read_record<T: DeserializeOwned>(
    item: Result<Option<Item>, StoreError>,
    name: &str,
    player: &PlayerId,
) -> Result<Option<T>, StoreError> {
    item?.map(|item| items::read_record(item, name, player.as_str())).transpose()
}

/// Loads the rows of one call, with retries for the keys that the server leaves unprocessed. It
/// gives up after [`MAX_ATTEMPTS`] attempts without progress.
async fn load_call<'a>(tables: &Tables, keys: &[RowKey<'a>], round_trips: &AtomicU64) -> LoadedItems<'a> {
    let mut loaded = LoadedItems::with_capacity(keys.len());
    let mut open = keys.to_vec();
    let mut attempt = 0;
    while let Some(first) = open.first() {
        attempt += 1;
        let request_items = request_items(tables, &open);
        let request = || tables.client.batch_get_item().set_request_items(Some(request_items.clone())).send();
        match tables
            .calls
            .send(CallTarget::read("BatchGetItem", tables.name(first.table())), round_trips, request)
            .await
        {
            Ok(answer) => {
                let unprocessed = unprocessed(tables, &open, &answer);
                loaded.extend(found(tables, &open, answer));
                if unprocessed.len() < open.len() {
                    // An answer ends at 16 MB, which is not throttling.
                    attempt = 1;
                }
                open = unprocessed;
                if attempt >= MAX_ATTEMPTS {
                    loaded.extend(open.drain(..).map(|key| (key, Err(throttled(tables, key)))));
                }
            }
            Err(failure) if failure.retry == Retry::AfterDelay && attempt < MAX_ATTEMPTS => {}
            Err(failure) => {
                let failed = std::mem::take(&mut open);
                let error = |key| error_of_key(tables, &failure.error, &failed, key);
                loaded.extend(failed.iter().map(|key| (*key, Err(error(*key)))));
            }
        }
        if !open.is_empty() {
            tables.calls.delay_after(attempt).await;
        }
    }
    loaded
}

fn request_items(tables: &Tables, keys: &[RowKey<'_>]) -> HashMap<String, KeysAndAttributes> {
    let mut by_table: HashMap<Table, Vec<Item>> = HashMap::new();
    for key in keys {
        let item = Item::from([(attribute::PLAYER_ID.to_owned(), items::string(key.player().as_str()))]);
        by_table.entry(key.table()).or_default().push(item);
    }
    by_table
        .into_iter()
        .filter_map(|(table, keys)| {
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            Some((tables.name(table).to_owned(), keys.ok()?))
        })
        .collect()
}

/// The rows of an answer by their keys.
fn found<'a>(tables: &Tables, keys: &[RowKey<'a>], answer: BatchGetItemOutput) -> LoadedItems<'a> {
    let mut found = LoadedItems::new();
    for (table, items) in answer.responses.unwrap_or_default() {
        for item in items {
            let Ok((player, _)) = items::key_of(&item, Table::Queues) else { continue };
            let key = keys.iter().find(|key| key.player().as_str() == player && tables.name(key.table()) == table);
            found.extend(key.map(|key| (*key, Ok(item))));
        }
    }
    found
}

/// The keys that an answer leaves unprocessed.
fn unprocessed<'a>(tables: &Tables, keys: &[RowKey<'a>], answer: &BatchGetItemOutput) -> Vec<RowKey<'a>> {
    let unprocessed: HashSet<(&str, &str)> = answer
        .unprocessed_keys
        .iter()
        .flatten()
        .flat_map(|(table, keys)| keys.keys().iter().map(move |item| (table.as_str(), item)))
        .filter_map(|(table, item)| Some((table, items::key_of(item, Table::Queues).ok()?.0)))
        .collect();
    let is_unprocessed = |key: &&RowKey<'_>| unprocessed.contains(&(tables.name(key.table()), key.player().as_str()));
    keys.iter().filter(is_unprocessed).copied().collect()
}

fn throttled(tables: &Tables, key: RowKey<'_>) -> StoreError {
    StoreError::Throttled { table: tables.name(key.table()).to_owned() }
}

/// The error of a call as the error of one of its keys. The server does not say which of two tables
/// is missing.
fn error_of_key(tables: &Tables, error: &StoreError, keys: &[RowKey<'_>], key: RowKey<'_>) -> StoreError {
    let has_two_tables = keys.iter().any(|other| other.table() != keys[0].table());
    match error {
        StoreError::Throttled { .. } => throttled(tables, key),
        StoreError::NoSuchTable { .. } if has_two_tables => {
            let [queues, progress] = [Table::Queues, Table::Progress].map(|table| tables.name(table));
            StoreError::NoSuchTable { table: format!("{queues} or {progress}") }
        }
        error => error.clone(),
    }
}
