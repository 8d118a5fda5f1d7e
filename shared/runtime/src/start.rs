//! From settings to an open store; what a failing start does.

use std::{fmt, sync::Arc};

use millrace_store::{
    Store,
    sqlite::{OpenError, SqliteSettings, SqliteStore},
};

use crate::{
    lambda::RunError,
    settings::{Settings, SettingsError, StoreChoice},
};

/// Why a function does not start. Displays as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A bad setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A setting that names something that this build does not have.
    #[error("{setting} is not available in this build; allowed: {allowed}")]
    NotAvailable {
        /// The setting and its value, without secrets.
        setting: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The store cannot be opened.
    #[error("MILLRACE_STORE=sqlite:{path} cannot be opened: {error}")]
    Store {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        error: OpenError,
    },
    /// Logs have been started before.
    #[error("the logs cannot be started: {0}")]
    Logs(#[from] tracing::subscriber::SetGlobalDefaultError),
    /// The system does not let signals be heeded.
    #[error("signals cannot be heeded: {0}")]
    Signals(#[from] std::io::Error),
    /// The function could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Opens the store that the settings name.
///
/// # Errors
/// [`StartError`] where they name something that this build does not have, or the store cannot be opened.
pub async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, StartError> {
    if let Some(redis) = &settings.redis {
        let setting = format!("MILLRACE_REDIS_URL={}", redis.url);
        return Err(StartError::NotAvailable { setting, allowed: "unset" });
    }
    match &settings.store {
        StoreChoice::DynamoDb => Err(StartError::NotAvailable {
            setting: "MILLRACE_STORE=dynamodb".to_owned(),
            allowed: "sqlite:<path of a file>",
        }),
        StoreChoice::Sqlite(path) => {
            let store = SqliteStore::open(path, sqlite_settings(settings)).await;
            let store = store.map_err(|error| StartError::Store { path: path.display().to_string(), error })?;
            Ok(Arc::new(store))
        }
    }
}

fn sqlite_settings(settings: &Settings) -> SqliteSettings {
    SqliteSettings {
        prefix: settings.table_prefix.clone(),
        max_connections: settings.database.max_connections,
        connect_timeout: settings.database.connect_timeout,
        idle_timeout: settings.database.idle_timeout,
        history_retention: settings.retention.history,
        rejections_retention: settings.retention.rejections,
    }
}

/// Ends the process: one line on standard error, exit code 1.
pub fn fail(error: &dyn fmt::Display) -> ! {
    eprintln!("{}", one_line(error));
    std::process::exit(1)
}

/// What stands in causes from elsewhere may have several lines.
fn one_line(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(vars: &[(&str, &str)]) -> Settings {
        let vars = vars.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::from_vars(vars).unwrap()
    }

    async fn error(vars: &[(&str, &str)]) -> String {
        match open_store(&settings(vars)).await {
            Ok(_) => panic!("{vars:?} should be refused"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn opens_the_embedded_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queues.db");
        let store = open_store(&settings(&[("MILLRACE_STORE", &format!("sqlite:{}", path.display()))])).await.unwrap();
        store.ping().await.unwrap();
        store.close().await;
        assert!(path.exists());
    }

    #[test]
    fn the_embedded_store_is_told_what_was_set() {
        let settings = settings(&[
            ("MILLRACE_STORE", "dynamodb"),
            ("MILLRACE_TABLE_PREFIX", "t-"),
            ("MILLRACE_DB_MAX_CONNECTIONS", "6"),
            ("MILLRACE_DB_CONNECT_TIMEOUT_MS", "80"),
            ("MILLRACE_DB_IDLE_TIMEOUT_SECONDS", "9"),
            ("MILLRACE_HISTORY_RETENTION_DAYS", "1"),
            ("MILLRACE_REJECTIONS_RETENTION_DAYS", "2"),
        ]);
        let day = std::time::Duration::from_secs(86_400);
        let expected = SqliteSettings {
            prefix: "t-".to_owned(),
            max_connections: 6,
            connect_timeout: std::time::Duration::from_millis(80),
            idle_timeout: std::time::Duration::from_secs(9),
            history_retention: day,
            rejections_retention: 2 * day,
        };
        assert_eq!(sqlite_settings(&settings), expected);
    }

    #[tokio::test]
    async fn what_this_build_lacks_is_named() {
        assert_eq!(
            error(&[("MILLRACE_STORE", "dynamodb")]).await,
            "MILLRACE_STORE=dynamodb is not available in this build; allowed: sqlite:<path of a file>"
        );
        assert_eq!(
            error(&[("MILLRACE_STORE", "sqlite:x.db"), ("MILLRACE_REDIS_URL", "redis://app:hunter2@cache")]).await,
            "MILLRACE_REDIS_URL=redis://***@cache is not available in this build; allowed: unset"
        );
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queues.db");
        std::fs::write(&path, "this is no database, whatever its name says").unwrap();
        let value = format!("sqlite:{}", path.display());
        let error = error(&[("MILLRACE_STORE", &value)]).await;
        assert!(error.starts_with(&format!("MILLRACE_STORE={value} cannot be opened: ")), "{error}");
    }

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(one_line(&"first\n  second\r\n\n"), "first; second");
    }
}
