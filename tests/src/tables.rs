//! Looks into the embedded store, and damages its rows.

use std::path::PathBuf;

use millrace_domain::{
    Queue, codec,
    record::{HistoryRecord, RejectionRecord, Table},
};
use millrace_store::sqlite::{SqliteSettings, SqliteStore};
use rusqlite::{Connection, params, types::ValueRef};
use tempfile::TempDir;

use crate::{
    function::{Function, Setup},
    stored,
};

/// What its tables are named with.
pub const PREFIX: &str = "t-";

/// A database in a folder of its own, which is removed with this value.
#[derive(Debug)]
pub struct Database {
    folder: TempDir,
}

/// How a row is made unreadable.
#[derive(Debug, Clone, Copy)]
pub enum Damage {
    /// One byte in its middle is another.
    FlippedByte,
    /// It says that a newer version of Millrace has written it.
    NewerFormat,
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// A folder without a database: the function makes it.
    pub fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("millrace-test-").tempdir().expect("a temporary folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("millrace.db")
    }

    /// `process-tasks` on this database.
    pub fn process_tasks(&self) -> Setup {
        self.function("process-tasks")
    }

    /// A function on this database.
    pub fn function(&self, name: &str) -> Setup {
        Function::named(name)
            .env("MILLRACE_STORE", format!("sqlite:{}", self.path().display()))
            .env("MILLRACE_TABLE_PREFIX", PREFIX)
    }

    /// `queue-api` on this database.
    pub fn queue_api(&self) -> Setup {
        self.process_tasks().named("queue-api")
    }

    /// The store, opened beside whoever else has it open.
    pub async fn store(&self) -> SqliteStore {
        let settings = SqliteSettings { prefix: PREFIX.to_owned(), ..SqliteSettings::default() };
        SqliteStore::open(self.path(), settings).await.expect("the database can be opened")
    }

    /// A player's queue with its progress between milestones; none where there is no row.
    pub async fn queue(&self, id: &str) -> Option<Queue> {
        stored::queue(&self.store().await, id).await
    }

    /// A player's finished tasks, oldest first.
    pub async fn history(&self, id: &str) -> Vec<HistoryRecord> {
        stored::history(&self.store().await, id).await
    }

    /// The refused commands of one partition, oldest first.
    pub async fn rejections(&self, partition: &str) -> Vec<RejectionRecord> {
        stored::rejections(&self.store().await, partition).await
    }

    /// All refused input that names no player.
    pub async fn rejections_of_nobody(&self) -> Vec<RejectionRecord> {
        let mut rows = Vec::new();
        for digit in 0..16 {
            rows.extend(self.rejections(&format!("unknown#{digit:x}")).await);
        }
        rows
    }

    /// All rows of all tables as text, sorted: two databases with the same rows have the same text.
    pub fn dump(&self) -> Vec<String> {
        let connection = self.connection();
        let mut lines = Vec::new();
        for table in Table::ALL {
            let name = format!("{PREFIX}{}", table.as_str());
            let mut statement = connection.prepare(&format!("SELECT * FROM \"{name}\"")).expect("the table is there");
            let columns = statement.column_count();
            let mut rows = statement.query([]).expect("the table can be read");
            while let Some(row) = rows.next().expect("the row can be read") {
                let cells: Vec<String> = (0..columns).map(|at| cell(row.get_ref(at).expect("a column"))).collect();
                lines.push(format!("{name}: {}", cells.join(" | ")));
            }
        }
        lines.sort();
        lines
    }

    /// The bytes of a player's row in the queues table.
    pub fn row(&self, id: &str) -> Vec<u8> {
        let sql = format!("SELECT queue FROM \"{PREFIX}queues\" WHERE playerId = ?1");
        self.connection().query_row(&sql, [id], |row| row.get(0)).expect("the player has a row")
    }

    /// Makes a player's row unreadable. Returns its bytes as they are then.
    pub fn damage(&self, id: &str, damage: Damage) -> Vec<u8> {
        let mut row = self.row(id);
        match damage {
            Damage::FlippedByte => {
                let middle = row.len() / 2;
                row[middle] ^= 0x40;
            }
            Damage::NewerFormat => row[1] = codec::FORMAT_VERSION + 1,
        }
        let sql = format!("UPDATE \"{PREFIX}queues\" SET queue = ?2 WHERE playerId = ?1");
        let changed = self.connection().execute(&sql, params![id, row]).expect("the row can be written");
        assert_eq!(changed, 1);
        row
    }

    /// Puts so many queues into the table that nothing is due in, past everybody.
    pub fn plant_idle(&self, count: usize) {
        let mut connection = self.connection();
        let transaction = connection.transaction().expect("a transaction can be begun");
        let sql = format!("INSERT INTO \"{PREFIX}queues\" (playerId, version, queue) VALUES (?1, 1, zeroblob(200))");
        let mut insert = transaction.prepare(&sql).expect("the table is there");
        for at in 0..count {
            insert.execute([format!("idle-{at}")]).expect("the row can be written");
        }
        drop(insert);
        transaction.commit().expect("the rows can be written");
    }

    fn connection(&self) -> Connection {
        let connection = Connection::open(self.path()).expect("the database can be opened");
        connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a time-out can be set");
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
