//! From settings to open back ends; what a failing start does.
//!
//! Everything that a function talks to is connected here, in the init phase: the first event must not
//! pay for it.

use std::{fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, SdkConfig};
use millrace_cache::{
    LocalCache, Tiers,
    redis::{Credentials, RedisCache, RedisCredentials, RedisSettingsError},
};
use millrace_store::{
    Store,
    dynamodb::DynamoDbStore,
    sqlite::{OpenError, SqliteStore},
};

use crate::{
    clock::{ClockFileError, FileClock},
    compose,
    elasticache::{TokenError, TokenSigner},
    runtime::RunError,
    settings::{Settings, SettingsError, StoreChoice},
    ticks::SqsTicks,
};

/// Why a function does not start. Displays as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A bad setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The embedded store cannot be opened.
    #[error("MILLRACE_STORE=sqlite:{path} cannot be opened: {error}")]
    Store {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        error: OpenError,
    },
    /// The file that moves the clock says no time.
    #[error("MILLRACE_CLOCK_FILE={path} cannot be used: {error}")]
    Clock {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        error: ClockFileError,
    },
    /// DynamoDB needs a region.
    #[error("AWS_REGION is not set; allowed: the region of the tables and queues")]
    NoRegion,
    /// The shared cache tier cannot be used as it is set.
    #[error("MILLRACE_REDIS_URL={url}: {error}")]
    Redis {
        /// The URL without secrets.
        url: String,
        /// Why not.
        #[source]
        error: RedisSettingsError,
    },
    /// IAM tokens cannot be made for the shared cache tier.
    #[error("MILLRACE_REDIS_IAM_CACHE_NAME={name} cannot be used: {error}")]
    Tokens {
        /// The replication group.
        name: String,
        /// Why not.
        #[source]
        error: TokenError,
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

/// What the settings name, open.
pub struct BackEnds {
    /// Queues and records.
    pub store: Arc<dyn Store>,
    /// Queues kept near.
    pub cache: Tiers,
}

/// Opens the store and the cache tiers that the settings name, side by side. A store or a cache that
/// does not answer is no reason not to start: it may answer when the first event comes.
///
/// # Errors
/// [`StartError`] where they can never be used as they are set.
pub async fn open(settings: &Settings) -> Result<BackEnds, StartError> {
    check_clock(settings)?;
    let tokens = settings.redis.as_ref().is_some_and(|redis| redis.iam_cache_name.is_some());
    let sdk = match settings.store == StoreChoice::DynamoDb || tokens {
        true => Some(aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await),
        false => None,
    };
    let (store, cache) = futures::join!(open_store(settings, sdk.as_ref()), open_cache(settings, sdk.as_ref()));
    Ok(BackEnds { store: store?, cache: cache? })
}

/// The queue that ticks go to, where the settings name one.
///
/// # Errors
/// [`StartError::NoRegion`].
pub async fn open_ticks(settings: &Settings) -> Result<Option<SqsTicks>, StartError> {
    let Some(url) = &settings.ticks_queue_url else { return Ok(None) };
    let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
    if sdk.region().is_none() {
        return Err(StartError::NoRegion);
    }
    Ok(Some(SqsTicks::new(&sdk, url)))
}

/// Looks whether the file that moves the clock says what time it is.
fn check_clock(settings: &Settings) -> Result<(), StartError> {
    let Some(path) = &settings.clock_file else { return Ok(()) };
    FileClock::open(path).map_err(|error| StartError::Clock { path: path.display().to_string(), error })?;
    tracing::warn!(path = %path.display(), "the clock is moved by a file: for tests and local use only");
    Ok(())
}

async fn open_store(settings: &Settings, sdk: Option<&SdkConfig>) -> Result<Arc<dyn Store>, StartError> {
    match (&settings.store, sdk) {
        (StoreChoice::Sqlite(path), _) => {
            let store = SqliteStore::open(path, compose::sqlite_settings(settings)).await;
            let store = store.map_err(|error| StartError::Store { path: path.display().to_string(), error })?;
            Ok(Arc::new(store))
        }
        (StoreChoice::DynamoDb, Some(sdk)) if sdk.region().is_some() => {
            let store = DynamoDbStore::new(sdk, compose::dynamodb_settings(settings));
            // What goes wrong is logged; the first event may find it mended.
            let _ = store.warm_up().await;
            Ok(Arc::new(store))
        }
        (StoreChoice::DynamoDb, _) => Err(StartError::NoRegion),
    }
}

async fn open_cache(settings: &Settings, sdk: Option<&SdkConfig>) -> Result<Tiers, StartError> {
    let tiers = Tiers::local_only(LocalCache::new(settings.local_cache), settings.features.local_cache);
    // Switched off, it is left alone altogether: not even asked whether it is there.
    let Some(redis) = settings.redis.as_ref().filter(|_| settings.features.redis_cache.enabled) else {
        return Ok(tiers);
    };
    let credentials: Option<Arc<dyn RedisCredentials>> = match (&redis.iam_cache_name, sdk) {
        (Some(name), Some(sdk)) => {
            let user = redis.url.token_user().unwrap_or_default();
            let signer = TokenSigner::new(sdk, name, user);
            let signer = signer.map_err(|error| StartError::Tokens { name: name.clone(), error })?;
            Some(Arc::new(IamCredentials(signer)))
        }
        _ => None,
    };
    let tier = RedisCache::connect(compose::redis_settings(settings, redis, compose::random_seed()), credentials).await;
    let tier = tier.map_err(|error| StartError::Redis { url: redis.url.to_string(), error })?;
    Ok(tiers.with_shared(Arc::new(tier), settings.features.redis_cache))
}

/// IAM tokens as the cache takes them: made anew for each connection.
struct IamCredentials(TokenSigner);

#[async_trait]
impl RedisCredentials for IamCredentials {
    async fn credentials(&self) -> Result<Credentials, Box<dyn std::error::Error + Send + Sync>> {
        let password = self.0.token(SystemTime::now()).await?;
        Ok(Credentials { user: self.0.user().to_owned(), password })
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
    use millrace_cache::SharedCacheState;

    use super::*;

    fn settings(vars: &[(&str, &str)]) -> Settings {
        let vars = vars.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::from_vars(vars).unwrap()
    }

    async fn error(vars: &[(&str, &str)]) -> String {
        match open(&settings(vars)).await {
            Ok(_) => panic!("{vars:?} should be refused"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn opens_the_embedded_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queues.db");
        let settings = settings(&[("MILLRACE_STORE", &format!("sqlite:{}", path.display()))]);
        let BackEnds { store, cache } = open(&settings).await.unwrap();
        assert_eq!(cache.shared_state(), SharedCacheState::Off);
        store.ping().await.unwrap();
        store.close().await;
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_cache_that_can_never_be_used_is_named_and_one_that_is_away_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", folder.path().join("queues.db").display());
        // Nothing listens there.
        let away = [("MILLRACE_STORE", store.as_str()), ("MILLRACE_REDIS_URL", "redis://app:hunter2@127.0.0.1:1")];
        assert!(open(&settings(&away)).await.is_ok());
        let no_file = [
            ("MILLRACE_STORE", store.as_str()),
            ("MILLRACE_REDIS_URL", "rediss://app:hunter2@127.0.0.1:1"),
            ("MILLRACE_REDIS_CA_FILE", "/no/such/file.pem"),
        ];
        let error = error(&no_file).await;
        assert!(error.starts_with("MILLRACE_REDIS_URL=rediss://***@127.0.0.1:1: "), "{error}");
        assert!(error.contains("/no/such/file.pem") && !error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn a_cache_that_is_switched_off_is_left_alone_altogether() {
        let (folder, redis) = (tempfile::tempdir().unwrap(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        redis.set_nonblocking(true).unwrap();
        let store = format!("sqlite:{}", folder.path().join("queues.db").display());
        let url = format!("redis://{}", redis.local_addr().unwrap());
        let vars = [
            ("MILLRACE_STORE", store.as_str()),
            ("MILLRACE_REDIS_URL", url.as_str()),
            ("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "100"),
            ("MILLRACE_REDIS_CACHE", "off"),
        ];
        let BackEnds { cache, .. } = open(&settings(&vars)).await.unwrap();
        assert_eq!((cache.shared_state(), cache.ping_shared().await), (SharedCacheState::Off, SharedCacheState::Off));
        let called = redis.accept().map(|(_, caller)| caller);
        assert!(called.is_err(), "it was called: {called:?}");
    }

    #[tokio::test]
    async fn a_clock_that_says_no_time_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (store, clock) = (folder.path().join("queues.db"), folder.path().join("clock"));
        std::fs::write(&clock, "noon").unwrap();
        let (store, clock) = (format!("sqlite:{}", store.display()), clock.display().to_string());
        let error = error(&[("MILLRACE_STORE", &store), ("MILLRACE_CLOCK_FILE", &clock)]).await;
        assert!(
            error.starts_with(&format!("MILLRACE_CLOCK_FILE={clock} cannot be used: the file holds `noon`")),
            "{error}"
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
