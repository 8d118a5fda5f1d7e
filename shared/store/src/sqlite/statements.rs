//! The SQL statements. They are built once for each prefix of the table names.

use millrace_domain::record::Table;

/// The statements on the tables of one prefix.
///
/// Names are quoted, and `schema::check_prefix` allows harmless characters only. Parameters are
/// numbered in the order of the columns.
#[derive(Debug)]
pub(super) struct Statements {
    prefix: String,
    pub(super) create: String,
    pub(super) count_objects: String,
    pub(super) load_queue: String,
    pub(super) load_progress: String,
    pub(super) insert_queue: String,
    pub(super) update_queue: String,
    pub(super) due: String,
    pub(super) load_stats: String,
    put_progress: String,
    put_stats: String,
    history: SortedTableStatements,
    rejections: SortedTableStatements,
}

/// The statements on a table with a sort key.
#[derive(Debug)]
pub(super) struct SortedTableStatements {
    pub(super) put: String,
    pub(super) newest: String,
    pub(super) after: String,
    pub(super) find_expired: String,
    pub(super) delete_expired: String,
}

/// The number of tables and indexes of one prefix.
pub(super) const OBJECTS: i64 = 8;

impl Statements {
    pub(super) fn new(prefix: &str) -> Self {
        let name = |table: Table| format!("{prefix}{}", table.as_str());
        let [queues, progress, stats] = [Table::Queues, Table::Progress, Table::Stats].map(name);
        let [history, rejections] =
            [Table::History, Table::Rejections].map(|table| SortedTableStatements::new(prefix, table));
        let put_document = |table: &str| {
            format!(
                r#"INSERT INTO "{table}" ("playerId", "document") VALUES (?1, ?2)
                   ON CONFLICT DO UPDATE SET "document" = excluded."document""#
            )
        };
        Self {
            create: create(prefix),
            count_objects: format!(
                "SELECT count(*) FROM sqlite_master WHERE name COLLATE NOCASE IN ({})",
                objects(prefix).map(|name| format!("'{name}'")).join(", ")
            ),
            load_queue: format!(
                r#"SELECT "version", "queue", "outbox", "dueAt" FROM "{queues}" WHERE "playerId" = ?1"#
            ),
            load_progress: format!(r#"SELECT "document" FROM "{progress}" WHERE "playerId" = ?1"#),
            insert_queue: format!(
                r#"INSERT INTO "{queues}" ("playerId", "version", "queue", "outbox", "dueShard", "dueAt")
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING"#
            ),
            update_queue: format!(
                r#"UPDATE "{queues}" SET "version" = ?2, "queue" = ?3, "outbox" = ?4, "dueShard" = ?5, "dueAt" = ?6
                   WHERE "playerId" = ?1 AND "version" = ?7"#
            ),
            due: format!(
                r#"SELECT "playerId", "dueAt" FROM "{queues}"
                   WHERE "dueShard" = ?1 AND "dueAt" IS NOT NULL AND "dueAt" <= ?2
                   AND ("dueAt", "playerId") > (?3, ?4) ORDER BY "dueAt", "playerId""#
            ),
            load_stats: format!(r#"SELECT "document" FROM "{stats}" WHERE "playerId" = ?1"#),
            put_progress: put_document(&progress),
            put_stats: put_document(&stats),
            history,
            rejections,
            prefix: prefix.to_owned(),
        }
    }

    /// The name of a table with its prefix.
    pub(super) fn name(&self, table: Table) -> String {
        format!("{}{}", self.prefix, table.as_str())
    }

    /// The statements on a table with a sort key.
    pub(super) fn sorted(&self, table: Table) -> Option<&SortedTableStatements> {
        match table {
            Table::History => Some(&self.history),
            Table::Rejections => Some(&self.rejections),
            Table::Queues | Table::Progress | Table::Stats => None,
        }
    }

    /// The statement that puts a record.
    pub(super) fn put(&self, table: Table) -> Option<&str> {
        match table {
            Table::Queues => None,
            Table::Progress => Some(&self.put_progress),
            Table::Stats => Some(&self.put_stats),
            Table::History | Table::Rejections => self.sorted(table).map(|sorted| sorted.put.as_str()),
        }
    }
}

impl SortedTableStatements {
    fn new(prefix: &str, table: Table) -> Self {
        let sort = table.sort_key().unwrap_or_default();
        let table = format!("{prefix}{}", table.as_str());
        let page = |after: &str| {
            format!(
                r#"SELECT "{sort}", "document" FROM "{table}"
                   WHERE "playerId" = ?1 AND "expiresAt" > ?2{after} ORDER BY "{sort}" DESC LIMIT ?3"#
            )
        };
        Self {
            put: format!(
                r#"INSERT INTO "{table}" ("playerId", "{sort}", "document", "expiresAt") VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET "document" = excluded."document", "expiresAt" = excluded."expiresAt"
                   WHERE "document" <> excluded."document""#
            ),
            newest: page(""),
            after: page(&format!(r#" AND "{sort}" < ?4"#)),
            find_expired: format!(r#"SELECT 1 FROM "{table}" WHERE "expiresAt" <= ?1"#),
            delete_expired: format!(
                r#"DELETE FROM "{table}" WHERE ("playerId", "{sort}") IN
                   (SELECT "playerId", "{sort}" FROM "{table}" WHERE "expiresAt" <= ?1 ORDER BY "expiresAt" LIMIT ?2)"#
            ),
        }
    }
}

fn objects(prefix: &str) -> [String; OBJECTS as usize] {
    ["queues", "queues.due", "progress", "history", "history.expiry", "stats", "rejections", "rejections.expiry"]
        .map(|name| format!("{prefix}{name}"))
}

/// The statements that create the tables.
///
/// Queue rows have kilobytes, so the table has a rowid and a small index of the keys. Without a
/// rowid, rows of 1.5 KB took twice the pages and several times as long to insert and read. The
/// other rows are small, so they are stored in the order of their keys: a lookup needs one search,
/// and the rows of a page are adjacent.
fn create(prefix: &str) -> String {
    let mut sql = format!(
        r#"CREATE TABLE IF NOT EXISTS "{prefix}queues" (
            "playerId" TEXT NOT NULL PRIMARY KEY,
            "version" INTEGER NOT NULL,
            "dueShard" INTEGER,
            "dueAt" INTEGER,
            "queue" BLOB NOT NULL,
            "outbox" BLOB);
        CREATE INDEX IF NOT EXISTS "{prefix}queues.due" ON "{prefix}queues" ("dueShard", "dueAt", "playerId")
            WHERE "dueAt" IS NOT NULL;"#
    );
    for table in [Table::Progress, Table::Stats].map(Table::as_str) {
        sql += &format!(
            r#"CREATE TABLE IF NOT EXISTS "{prefix}{table}" (
                "playerId" TEXT NOT NULL PRIMARY KEY,
                "document" TEXT NOT NULL) WITHOUT ROWID;"#
        );
    }
    for table in [Table::History, Table::Rejections] {
        let sort = table.sort_key().unwrap_or_default();
        let table = table.as_str();
        sql += &format!(
            r#"CREATE TABLE IF NOT EXISTS "{prefix}{table}" (
                "playerId" TEXT NOT NULL,
                "{sort}" TEXT NOT NULL,
                "expiresAt" INTEGER NOT NULL,
                "document" TEXT NOT NULL,
                PRIMARY KEY ("playerId", "{sort}")) WITHOUT ROWID;
            CREATE INDEX IF NOT EXISTS "{prefix}{table}.expiry" ON "{prefix}{table}" ("expiresAt");"#
        );
    }
    sql
}
