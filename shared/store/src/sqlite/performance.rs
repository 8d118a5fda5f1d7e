//! The performance history in the embedded store: a row for each minute and slot.

use std::{collections::BTreeMap, ops::Range};

use async_trait::async_trait;
use millrace_performance::{Figures, HistoryError, HistoryStore, Minute, Recorded, Source, minute::KEPT_MINUTES};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{store::SqliteStore, tables::Tables};
use crate::error::StoreError;

#[async_trait]
impl HistoryStore for SqliteStore {
    fn source(&self) -> Source {
        Source::Store
    }

    fn add(&self, minute: Minute, figures: &Figures) {
        self.unsent.add(minute, figures);
    }

    async fn end_invocation(&self) {
        if let Err(error) = self.flush().await {
            tracing::warn!(%error, "figures of the performance history are lost");
        }
    }

    async fn flush(&self) -> Result<(), HistoryError> {
        let unsent = self.unsent.take();
        if unsent.is_empty() {
            return Ok(());
        }
        let _write_lock = self.lock_writes().await.map_err(unavailable)?;
        let add = move |connection: &mut Connection, tables: &Tables| add(connection, tables, &unsent);
        self.connections.run_on(&self.connections.tables().performance(), add).await.map_err(unavailable)
    }

    async fn read(&self, minutes: Range<Minute>, thresholds: &[&'static str]) -> Result<Recorded, HistoryError> {
        self.flush().await?;
        let thresholds = thresholds.to_vec();
        let read = move |connection: &mut Connection, tables: &Tables| read(connection, tables, &minutes, &thresholds);
        self.connections.run_on(&self.connections.tables().performance(), read).await.map_err(unavailable)
    }

    async fn replace_state(&self, threshold: &str, known: Option<&str>, new: &str) -> Result<bool, HistoryError> {
        let (threshold, known, new) = (threshold.to_owned(), known.map(str::to_owned), new.to_owned());
        let _write_lock = self.lock_writes().await.map_err(unavailable)?;
        let replace = move |connection: &mut Connection, tables: &Tables| {
            let name = tables.thresholds();
            let changed = match known {
                Some(known) => {
                    let sql = format!(r#"UPDATE "{name}" SET "state" = ?2 WHERE "threshold" = ?1 AND "state" = ?3"#);
                    connection.prepare_cached(&sql)?.execute([threshold, new, known])?
                }
                None => {
                    let sql = format!(
                        r#"INSERT INTO "{name}" ("threshold", "state") VALUES (?1, ?2) ON CONFLICT DO NOTHING"#
                    );
                    connection.prepare_cached(&sql)?.execute([threshold, new])?
                }
            };
            Ok(changed == 1)
        };
        self.connections.run_on(&self.connections.tables().thresholds(), replace).await.map_err(unavailable)
    }

    /// Nothing can subscribe to a file.
    async fn announce(&self, _: &str) -> Result<(), HistoryError> {
        Ok(())
    }
}

fn unavailable(error: StoreError) -> HistoryError {
    HistoryError(error.to_string())
}

/// Adds figures, and deletes minutes that are not kept any longer.
fn add(connection: &mut Connection, tables: &Tables, unsent: &BTreeMap<Minute, Figures>) -> rusqlite::Result<()> {
    let name = tables.performance();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut add = transaction.prepare_cached(&format!(
            r#"INSERT INTO "{name}" ("minute", "slot", "amount") VALUES (?1, ?2, ?3)
               ON CONFLICT DO UPDATE SET "amount" = "amount" + "excluded"."amount""#
        ))?;
        for (minute, figures) in unsent {
            for (slot, amount) in figures.slots() {
                add.execute(params![integer(minute.0), slot, integer(amount)])?;
            }
        }
    }
    if let Some((last, _)) = unsent.last_key_value() {
        let delete = format!(r#"DELETE FROM "{name}" WHERE "minute" < ?1"#);
        transaction.prepare_cached(&delete)?.execute([integer(last.minus(KEPT_MINUTES).0)])?;
    }
    transaction.commit()
}

fn read(
    connection: &Connection,
    tables: &Tables,
    minutes: &Range<Minute>,
    thresholds: &[&'static str],
) -> rusqlite::Result<Recorded> {
    let mut recorded = Recorded::default();
    let mut statement = connection.prepare_cached(&format!(
        r#"SELECT "minute", "slot", "amount" FROM "{}" WHERE "minute" >= ?1 AND "minute" < ?2"#,
        tables.performance()
    ))?;
    let mut rows = statement.query([integer(minutes.start.0), integer(minutes.end.0)])?;
    while let Some(row) = rows.next()? {
        let minute = Minute(row.get::<_, i64>(0)?.unsigned_abs());
        recorded.figures.entry(minute).or_default().add_to_slot(row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs());
    }
    let state = format!(r#"SELECT "state" FROM "{}" WHERE "threshold" = ?1"#, tables.thresholds());
    let mut statement = connection.prepare_cached(&state)?;
    for id in thresholds {
        let state: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
        recorded.states.extend(state.map(|state| (*id, state)));
    }
    Ok(recorded)
}

/// Converts to SQLite's integers, which end at 2^63-1.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
