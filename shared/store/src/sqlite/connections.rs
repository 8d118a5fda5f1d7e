//! The connection pool.

use std::{path::Path, time::Duration};

use deadpool_sqlite::{Config, Hook, HookError, Manager, Pool, QueueMode, Runtime};
use millrace_domain::record::Table;
use millrace_telemetry::trace::TARGET;
use rusqlite::Connection;
use tokio::runtime::Handle;
use tracing::{Instrument as _, field::Empty};

use super::{
    error::{from_interact, from_pool, from_sqlite},
    schema,
    settings::SqliteSettings,
    tables::Tables,
};
use crate::error::StoreError;

/// Connections to one file, with the names of its tables.
#[derive(Debug)]
pub(super) struct Connections {
    pool: Pool,
    tables: Tables,
    timeout: Duration,
    idle_timeout: Duration,
    /// The pool closes connections on the threads of a runtime, also when it is dropped elsewhere.
    runtime: Handle,
}

impl Connections {
    /// Creates the pool, without opening a connection.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new(path: &Path, tables: Tables, settings: &SqliteSettings) -> Result<Self, StoreError> {
        let timeout = settings.connect_timeout;
        let pool = build_pool(path, timeout, settings.max_connections.max(1)).map_err(StoreError::unavailable)?;
        Ok(Self { pool, tables, timeout, idle_timeout: settings.idle_timeout, runtime: Handle::current() })
    }

    /// The name of a table with its prefix.
    pub(super) fn name(&self, table: Table) -> String {
        self.tables.name(table)
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The number of open connections.
    pub(super) fn len(&self) -> usize {
        self.pool.status().size
    }

    /// Runs `work` on a connection, on a thread that may block. Errors are reported for `table`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        table: Table,
        work: impl FnOnce(&mut Connection, &Tables) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run_on(&self.name(table), work).await
    }

    /// The same for the table with this name.
    pub(super) async fn run_on<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Connection, &Tables) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let span = tracing::info_span!(
            target: TARGET,
            "sqlite",
            otel.kind = "client",
            db.system.name = "sqlite",
            db.collection.name = name,
            "error.type" = Empty,
        );
        let outcome = self.interact(name, work).instrument(span.clone()).await;
        if let Err(error) = &outcome {
            span.record("error.type", error.reason().code());
        }
        outcome
    }

    async fn interact<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Connection, &Tables) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        // The pool has no timer for idle connections.
        self.pool.retain(|_, metrics| metrics.last_used() < self.idle_timeout);
        let connection = self.pool.get().await.map_err(|error| from_pool(&error, name, self.timeout))?;
        let tables = self.tables.clone();
        let outcome = connection.interact(move |connection| work(connection, &tables)).await;
        outcome.map_err(|error| from_interact(&error))?.map_err(|error| from_sqlite(&error, name))
    }

    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        let _runtime = self.runtime.enter();
        self.pool.close();
    }
}

fn build_pool(path: &Path, timeout: Duration, max_connections: usize) -> Result<Pool, String> {
    let manager = Manager::from_config(&Config::new(path), Runtime::Tokio1);
    Pool::builder(manager)
        .max_size(max_connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(timeout))
        .create_timeout(Some(timeout))
        .recycle_timeout(Some(timeout))
        // The most recently used connection is used first, so that the others become idle.
        .queue_mode(QueueMode::Lifo)
        .post_create(Hook::async_fn(move |connection, _| {
            Box::pin(async move {
                match connection.interact(move |connection| schema::configure(connection, timeout)).await {
                    Ok(Ok(Ok(()))) => Ok(()),
                    Ok(Ok(Err(refused))) => Err(HookError::message(refused)),
                    Ok(Err(error)) => Err(HookError::Backend(error)),
                    Err(error) => Err(HookError::message(error.to_string())),
                }
            })
        }))
        .build()
        .map_err(|error| error.to_string())
}
