//! The embedded store, in builds with the feature `embedded-store`. Shipped builds leave it out.

#[cfg(feature = "embedded-store")]
use std::sync::Arc;
use std::{error::Error, path::Path};

#[cfg(feature = "embedded-store")]
use millrace_store::sqlite::{SqliteSettings, SqliteStore};

use crate::{opened::OpenStore, settings::Settings};

/// Why the embedded store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedStoreError {
    /// SQLite or the file system failed, or the file is not a store.
    #[error(transparent)]
    Open(Box<dyn Error + Send + Sync>),
    /// The feature is off in this build.
    #[error(
        "this build has no embedded store; set MILLRACE_STORE=dynamodb, or build with the feature \
         embedded-store, as `make run` and `cargo lambda watch` do"
    )]
    NotInThisBuild,
}

/// Opens the store in the file at `path`. A missing file and its folder are created.
#[cfg(feature = "embedded-store")]
pub(crate) async fn open(path: &Path, settings: &Settings) -> Result<OpenStore, EmbeddedStoreError> {
    let store = SqliteStore::open(path, sqlite_settings(settings)).await;
    let store = Arc::new(store.map_err(|error| EmbeddedStoreError::Open(error.into()))?);
    Ok(OpenStore { history: Some(Arc::clone(&store) as _), store })
}

/// Fails: this build has no embedded store.
#[cfg(not(feature = "embedded-store"))]
pub(crate) async fn open(_: &Path, _: &Settings) -> Result<OpenStore, EmbeddedStoreError> {
    Err(EmbeddedStoreError::NotInThisBuild)
}

#[cfg(feature = "embedded-store")]
fn sqlite_settings(settings: &Settings) -> SqliteSettings {
    SqliteSettings {
        prefix: settings.table_prefix.clone(),
        max_connections: settings.database.max_connections,
        connect_timeout: settings.database.connect_timeout,
        idle_timeout: settings.database.idle_timeout,
        retention: settings.retention,
    }
}

#[cfg(all(test, feature = "embedded-store"))]
mod tests {
    use std::time::Duration;

    use millrace_store::Retention;

    use super::*;
    use crate::settings::tests::read;

    #[test]
    fn the_embedded_store_gets_its_settings() {
        let vars = [
            ("MILLRACE_TABLE_PREFIX", "t-"),
            ("MILLRACE_DB_MAX_CONNECTIONS", "6"),
            ("MILLRACE_DB_CONNECT_TIMEOUT_MS", "80"),
            ("MILLRACE_DB_IDLE_TIMEOUT_SECONDS", "9"),
            ("MILLRACE_HISTORY_RETENTION_DAYS", "1"),
            ("MILLRACE_REJECTIONS_RETENTION_DAYS", "2"),
            ("MILLRACE_EVENTS_RETENTION_HOURS", "3"),
        ];
        let settings = read(&vars).unwrap();
        let day = Duration::from_secs(86_400);
        let expected = SqliteSettings {
            prefix: "t-".to_owned(),
            max_connections: 6,
            connect_timeout: Duration::from_millis(80),
            idle_timeout: Duration::from_secs(9),
            retention: Retention { history: day, rejections: 2 * day, events: day / 8 },
        };
        assert_eq!(sqlite_settings(&settings), expected);
    }
}
