//! Loading queues and progress: `BatchGetItem`, 100 keys to a call, strongly consistent.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicU64, Ordering},
};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::future::join_all;
use millrace_domain::{PlayerId, record::Table};

use super::{
    DynamoDbStore,
    calls::MAX_TRIES,
    error::{About, Remedy},
    rows::{self, Item, attribute},
};
use crate::{error::StoreError, port::LoadResponse, rules::MAX_LOAD_KEYS};

/// A row that is wanted: of the queues table, or of the progress table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Wanted<'a> {
    table: Table,
    player: &'a str,
}

/// What was found.
type Found<'a> = HashMap<Wanted<'a>, Result<Item, StoreError>>;

impl DynamoDbStore {
    /// Loads rows. Each call stands alone: the error of one is that of its own keys.
    pub(super) async fn load_rows(&self, queues: &[PlayerId], progress: &[PlayerId]) -> LoadResponse {
        let wanted = of(Table::Queues, queues).chain(of(Table::Progress, progress));
        // A call that names a key twice is refused.
        let mut seen = HashSet::with_capacity(queues.len() + progress.len());
        let keys: Vec<_> = wanted.filter(|key| seen.insert(*key)).collect();

        let round_trips = AtomicU64::new(0);
        let calls = join_all(keys.chunks(MAX_LOAD_KEYS).map(|keys| self.load_call(keys, &round_trips))).await;
        let mut found: Found<'_> = calls.into_iter().flatten().collect();
        // As a rule nobody asks twice, and nothing is copied.
        let is_asked_once = keys.len() == queues.len() + progress.len();
        let mut take = |key| match is_asked_once {
            true => found.remove(&key).transpose(),
            false => found.get(&key).cloned().transpose(),
        };
        let queues = of(Table::Queues, queues).map(|key| {
            let item = take(key)?;
            item.map(|item| rows::read_queue(item, self.name(key.table), key.player)).transpose()
        });
        let queues = queues.collect();
        let progress = of(Table::Progress, progress).map(|key| {
            let item = take(key)?;
            item.map(|item| rows::read_record(item, self.name(key.table), key.player)).transpose()
        });
        LoadResponse { queues, progress: progress.collect(), calls: round_trips.load(Ordering::Relaxed) }
    }

    /// Loads the rows of one call, and what the server leaves over, until nothing is left or it has
    /// processed nothing of it several times.
    async fn load_call<'a>(&self, keys: &[Wanted<'a>], round_trips: &AtomicU64) -> Found<'a> {
        let mut found = Found::with_capacity(keys.len());
        let mut open = keys.to_vec();
        let mut tries = 0;
        while !open.is_empty() {
            let table = self.name(open[0].table);
            let request_items = self.request_items(&open);
            let request = || self.client.batch_get_item().set_request_items(Some(request_items.clone())).send();
            tries += 1;
            match self.calls.send(About { table, bytes: 0 }, round_trips, request).await {
                Ok(answer) => {
                    for (table, items) in answer.responses.unwrap_or_default() {
                        let items = items.into_iter().map(|item| (table.as_str(), item));
                        found.extend(
                            items.filter_map(|(table, item)| Some((self.whose(&open, table, &item)?, Ok(item)))),
                        );
                    }
                    let unprocessed = answer.unprocessed_keys.unwrap_or_default();
                    let left = self.left_over(&open, &unprocessed);
                    if left.len() < open.len() {
                        // An answer has an end too, at 16 MB: that is no throttling.
                        tries = 1;
                    }
                    open = left;
                    if tries >= MAX_TRIES {
                        let throttled =
                            |key: &Wanted<'a>| StoreError::Throttled { table: self.name(key.table).to_owned() };
                        found.extend(open.drain(..).map(|key| (key, Err(throttled(&key)))));
                    }
                }
                Err(failure) if failure.remedy == Remedy::Wait && tries < MAX_TRIES => {}
                Err(failure) => {
                    let error = self.of_tables(failure.error, &open);
                    found.extend(open.drain(..).map(|key| (key, Err(self.of_key(&error, key)))));
                }
            }
            if !open.is_empty() {
                self.calls.wait(tries).await;
            }
        }
        found
    }

    /// The error of a call that was about several tables: which of them is missing, it does not say.
    fn of_tables(&self, error: StoreError, keys: &[Wanted<'_>]) -> StoreError {
        match error {
            StoreError::NoSuchTable { table } if keys.iter().any(|key| key.table != keys[0].table) => {
                StoreError::NoSuchTable { table: format!("{table} or {}", self.name(Table::Progress)) }
            }
            error => error,
        }
    }

    fn of_key(&self, error: &StoreError, key: Wanted<'_>) -> StoreError {
        match error {
            StoreError::Throttled { .. } => StoreError::Throttled { table: self.name(key.table).to_owned() },
            error => error.clone(),
        }
    }

    fn request_items(&self, keys: &[Wanted<'_>]) -> HashMap<String, KeysAndAttributes> {
        let mut by_table: HashMap<Table, Vec<Item>> = HashMap::new();
        for key in keys {
            let item = Item::from([(attribute::PLAYER_ID.to_owned(), rows::string(key.player))]);
            by_table.entry(key.table).or_default().push(item);
        }
        by_table
            .into_iter()
            .filter_map(|(table, keys)| {
                let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
                Some((self.name(table).to_owned(), keys.ok()?))
            })
            .collect()
    }

    /// Which of the keys a row of the answer belongs to.
    fn whose<'a>(&self, keys: &[Wanted<'a>], table: &str, item: &Item) -> Option<Wanted<'a>> {
        let (player, _) = rows::key_of(item, Table::Queues).ok()?;
        keys.iter().find(|key| key.player == player && self.name(key.table) == table).copied()
    }

    /// Which of the keys were not processed.
    fn left_over<'a>(&self, keys: &[Wanted<'a>], unprocessed: &HashMap<String, KeysAndAttributes>) -> Vec<Wanted<'a>> {
        let left: HashSet<(&str, &str)> = unprocessed
            .iter()
            .flat_map(|(table, keys)| keys.keys().iter().map(move |item| (table.as_str(), item)))
            .filter_map(|(table, item)| Some((table, rows::key_of(item, Table::Queues).ok()?.0)))
            .collect();
        keys.iter().filter(|key| left.contains(&(self.name(key.table), key.player))).copied().collect()
    }
}

fn of(table: Table, players: &[PlayerId]) -> impl Iterator<Item = Wanted<'_>> {
    players.iter().map(move |player| Wanted { table, player: player.as_str() })
}
