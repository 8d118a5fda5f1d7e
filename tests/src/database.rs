//! An embedded store: functions that use it, reads of its rows, and damage to them.

use std::{ops::RangeInclusive, path::PathBuf};

use millrace_domain::{
    Event, EventData, EventsRecord, PlayerId, Queue, Record, Timestamp, codec,
    events::published::PublishedEvent,
    record::{HistoryRecord, RejectionRecord, Table},
};
use millrace_store::{
    RecordStore,
    sqlite::{SqliteSettings, SqliteStore},
};
use rusqlite::{Connection, params, types::ValueRef};
use tempfile::TempDir;

use crate::{
    function::{Function, FunctionBuilder},
    store_contents,
};

/// The prefix of its tables.
pub const PREFIX: &str = "t-";

/// A database in a temporary folder. The folder is removed when this value is dropped.
#[derive(Debug)]
pub struct Database {
    folder: TempDir,
}

/// A way to make a row unreadable.
#[derive(Debug, Clone, Copy)]
pub enum RowDamage {
    /// One bit in the middle of the row is flipped.
    FlippedByte,
    /// The format version of the row is newer than this software knows.
    NewerFormat,
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// A folder without a database. The first function that is started creates the database.
    pub fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("millrace-test-").tempdir().expect("a temporary folder") }
    }

    /// A new database, and `process-tasks` with it.
    pub async fn with_process_tasks() -> (Self, Function) {
        let database = Self::new();
        let function = database.process_tasks().started().await;
        (database, function)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("millrace.db")
    }

    /// `process-tasks` with this database.
    pub fn process_tasks(&self) -> FunctionBuilder {
        self.function("process-tasks")
    }

    /// The function `name` with this database.
    pub fn function(&self, name: &str) -> FunctionBuilder {
        Function::builder(name)
            .env("MILLRACE_STORE", format!("sqlite:{}", self.path().display()))
            .env("MILLRACE_TABLE_PREFIX", PREFIX)
    }

    /// `queue-api` with this database.
    pub fn queue_api(&self) -> FunctionBuilder {
        self.function("queue-api")
    }

    /// A second connection to the store. Functions may use the store at the same time.
    pub async fn store(&self) -> SqliteStore {
        let settings = SqliteSettings { prefix: PREFIX.to_owned(), ..SqliteSettings::default() };
        SqliteStore::open(self.path(), settings).await.expect("the database is opened")
    }

    /// A player's queue with its progress between milestones. None if there is no row.
    pub async fn queue(&self, id: &str) -> Option<Queue> {
        store_contents::queue(&self.store().await, id).await
    }

    /// A player's finished tasks, oldest first.
    pub async fn history(&self, id: &str) -> Vec<HistoryRecord> {
        store_contents::history(&self.store().await, id).await
    }

    /// The rejections of one partition, oldest first.
    pub async fn rejections(&self, partition: &str) -> Vec<RejectionRecord> {
        store_contents::rejections(&self.store().await, partition).await
    }

    /// The rejections of input that names no player.
    pub async fn rejections_of_unknown_players(&self) -> Vec<RejectionRecord> {
        let mut rows = Vec::new();
        for digit in 0..16 {
            rows.extend(self.rejections(&format!("unknown#{digit:x}")).await);
        }
        rows
    }

    /// Adds rows to the events table: one for each commit, with events of these sequences.
    pub async fn add_events(&self, id: &str, commits: impl IntoIterator<Item = RangeInclusive<u64>>) {
        let player_id = PlayerId::new(id).expect("the id is allowed");
        let event = |sequence| {
            let event = Event::new(sequence, Timestamp::default(), EventData::QueuePaused);
            PublishedEvent::new(&event, &player_id, 1).to_serialized()
        };
        let store = self.store().await;
        for commit in commits {
            let events = commit.map(event).collect();
            let record = Record::Events(EventsRecord { player_id: player_id.clone(), events });
            assert_eq!(store.write(Table::Events, &[&record]).await, Ok(vec![]));
        }
    }

    /// Lets the rows of a player in the events table expire that begin before this event.
    pub fn expire_events(&self, id: &str, before: u64) {
        let key = Table::Events.sort_key().expect("the table has a sort key");
        let sql = format!("UPDATE \"{PREFIX}events\" SET expiresAt = 1 WHERE playerId = ?1 AND \"{key}\" < ?2");
        let changed = self.connection().execute(&sql, params![id, EventsRecord::sort_key(before)]);
        assert!(changed.expect("the rows are changed") > 0);
    }

    /// All rows of all tables as sorted text. Databases with equal rows have equal text.
    pub fn dump(&self) -> Vec<String> {
        let connection = self.connection();
        let mut lines = Vec::new();
        for table in Table::ALL {
            let name = format!("{PREFIX}{}", table.as_str());
            let mut statement = connection.prepare(&format!("SELECT * FROM \"{name}\"")).expect("the table exists");
            let columns = statement.column_count();
            let mut rows = statement.query([]).expect("the table is read");
            while let Some(row) = rows.next().expect("the row is read") {
                let cells: Vec<String> = (0..columns).map(|at| cell(row.get_ref(at).expect("a column"))).collect();
                lines.push(format!("{name}: {}", cells.join(" | ")));
            }
        }
        lines.sort();
        lines
    }

    /// The queue row of a player, as bytes.
    pub fn queue_row(&self, id: &str) -> Vec<u8> {
        let sql = format!("SELECT queue FROM \"{PREFIX}queues\" WHERE playerId = ?1");
        self.connection().query_row(&sql, [id], |row| row.get(0)).expect("the player has a row")
    }

    /// Makes a player's queue row unreadable. Returns the damaged row.
    pub fn damage_row(&self, id: &str, damage: RowDamage) -> Vec<u8> {
        let mut row = self.queue_row(id);
        match damage {
            RowDamage::FlippedByte => {
                let middle = row.len() / 2;
                row[middle] ^= 0x40;
            }
            RowDamage::NewerFormat => row[1] = codec::FORMAT_VERSION + 1,
        }
        let sql = format!("UPDATE \"{PREFIX}queues\" SET queue = ?2 WHERE playerId = ?1");
        let changed = self.connection().execute(&sql, params![id, row]).expect("the row is written");
        assert_eq!(changed, 1);
        row
    }

    /// Lets a player's history expire.
    pub fn expire_history(&self, id: &str) {
        let sql = format!("UPDATE \"{PREFIX}history\" SET expiresAt = 1 WHERE playerId = ?1");
        let changed = self.connection().execute(&sql, [id]).expect("the rows are written");
        assert!(changed > 0, "{id} has no history");
    }

    /// Inserts `count` queue rows in which nothing is due.
    pub fn insert_idle_queues(&self, count: usize) {
        let mut connection = self.connection();
        let transaction = connection.transaction().expect("the transaction is begun");
        let sql = format!("INSERT INTO \"{PREFIX}queues\" (playerId, version, queue) VALUES (?1, 1, zeroblob(200))");
        let mut insert = transaction.prepare(&sql).expect("the table exists");
        for at in 0..count {
            insert.execute([format!("idle-{at}")]).expect("the row is written");
        }
        drop(insert);
        transaction.commit().expect("the rows are written");
    }

    fn connection(&self) -> Connection {
        let connection = Connection::open(self.path()).expect("the database is opened");
        connection.busy_timeout(std::time::Duration::from_secs(10)).expect("the time-out is set");
        connection
    }
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
