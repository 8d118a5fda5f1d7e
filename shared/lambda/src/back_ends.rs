//! Opens what the settings name: the store, the cache tiers, the clock, the queue for ticks, and
//! the destinations of events.
//!
//! Everything is connected during the init phase of the function, so that the first event does not
//! pay for it.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use millrace_cache::{
    LocalCache, Tiers,
    redis::{RedisCache, RedisCredentials},
};
use millrace_performance::{HistoryStore, ProcessHistory};
use millrace_pipeline::{Clock, EventDestination, Publishing};
use millrace_store::dynamodb::DynamoDbStore;

pub use crate::opened::BackEnds;
use crate::{
    clock::{FileClock, SystemClock},
    compose,
    elasticache::TokenSigner,
    embedded_store,
    event_bus::EventBus,
    event_queue::EventQueue,
    opened::OpenStore,
    queue_depth::MonitoredQueue,
    settings::{EventTarget, Settings, StoreChoice},
    start_error::StartError,
    ticks::SqsTicks,
};

/// Opens the store and the cache tiers concurrently.
///
/// A store or a cache that does not answer does not fail the start: it may answer when the first
/// event comes.
///
/// # Errors
/// [`StartError`] if the settings can never work.
pub async fn open(settings: &Settings) -> Result<BackEnds, StartError> {
    let clock = open_clock(settings)?;
    let tokens = settings.redis.as_ref().is_some_and(|redis| redis.iam_cache.is_some());
    let sends_events = settings.events.targets.iter().any(|target| *target != EventTarget::Table);
    let sdk = match settings.store == StoreChoice::DynamoDb || tokens || sends_events {
        true => Some(aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await),
        false => None,
    };
    let publishing = open_publishing(settings, sdk.as_ref())?;
    let (store, cache) = futures::join!(open_store(settings, sdk.as_ref()), open_cache(settings, sdk.as_ref()));
    let (OpenStore { store, history }, cache) = (store?, cache?);
    // Of Redis and the embedded store, Redis is the one that every process shares for certain.
    let history: Arc<dyn HistoryStore> = match cache.upkeep() {
        Some(redis) => Arc::new(redis.clone()),
        None => history.unwrap_or_else(|| Arc::new(ProcessHistory::default())),
    };
    Ok(BackEnds { store, cache, publishing, history, clock })
}

/// The queues whose depth is shown.
///
/// # Errors
/// [`StartError::NoRegion`].
pub async fn open_monitored_queues(settings: &Settings) -> Result<Vec<MonitoredQueue>, StartError> {
    if settings.monitored_queues.is_empty() {
        return Ok(Vec::new());
    }
    let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
    if sdk.region().is_none() {
        return Err(StartError::NoRegion);
    }
    Ok(settings.monitored_queues.iter().map(|url| MonitoredQueue::new(&sdk, url)).collect())
}

/// The queue for ticks; none if the settings name none.
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

fn open_clock(settings: &Settings) -> Result<Arc<dyn Clock>, StartError> {
    let Some(path) = &settings.clock_file else { return Ok(Arc::new(SystemClock)) };
    let clock = FileClock::open(path);
    let clock = clock.map_err(|error| StartError::Clock { path: path.display().to_string(), error })?;
    tracing::warn!(path = %path.display(), "a file moves the clock: for tests and local use only");
    Ok(Arc::new(clock))
}

/// Where events are published; none if the settings name nothing.
fn open_publishing(settings: &Settings, sdk: Option<&SdkConfig>) -> Result<Option<Publishing>, StartError> {
    let events = &settings.events;
    let sdk = || sdk.filter(|sdk| sdk.region().is_some()).ok_or(StartError::NoRegion);
    let mut destinations: Vec<Arc<dyn EventDestination>> = Vec::new();
    for target in &events.targets {
        match target {
            EventTarget::Bus(bus) => destinations.push(Arc::new(EventBus::new(sdk()?, bus))),
            EventTarget::Queue(url) => destinations.push(Arc::new(EventQueue::new(sdk()?, url))),
            EventTarget::Table => {}
        }
    }
    let table = events.targets.contains(&EventTarget::Table);
    let publishing = Publishing { destinations, types: events.types.clone(), table };
    Ok((!events.targets.is_empty()).then_some(publishing))
}

async fn open_store(settings: &Settings, sdk: Option<&SdkConfig>) -> Result<OpenStore, StartError> {
    match (&settings.store, sdk) {
        (StoreChoice::Sqlite(path), _) => {
            let store = embedded_store::open(path, settings).await;
            store.map_err(|error| StartError::EmbeddedStore { path: path.display().to_string(), error })
        }
        (StoreChoice::DynamoDb, Some(sdk)) if sdk.region().is_some() => {
            let store = DynamoDbStore::new(sdk, compose::dynamodb_settings(settings));
            // The store logs a failure. By the first event it may be reachable.
            let _ = store.warm_up().await;
            Ok(OpenStore { store: Arc::new(store), history: None })
        }
        (StoreChoice::DynamoDb, _) => Err(StartError::NoRegion),
    }
}

async fn open_cache(settings: &Settings, sdk: Option<&SdkConfig>) -> Result<Tiers, StartError> {
    let tiers = Tiers::local_only(LocalCache::new(settings.local_cache), settings.features.local_cache);
    // A shared cache that is switched off is not even connected.
    let Some(redis) = settings.redis.as_ref().filter(|_| settings.features.redis_cache.enabled) else {
        return Ok(tiers);
    };
    let credentials: Option<Arc<dyn RedisCredentials>> = match (&redis.iam_cache, sdk) {
        (Some(cache), Some(sdk)) => {
            let user = redis.url.token_user().unwrap_or_default();
            let signer = TokenSigner::new(sdk, cache, user);
            let signer = signer.map_err(|error| StartError::Tokens { name: cache.name.clone(), error })?;
            Some(Arc::new(signer))
        }
        _ => None,
    };
    let tier = RedisCache::connect(compose::redis_settings(settings, redis, compose::random_seed()), credentials).await;
    let tier = tier.map_err(|error| StartError::Redis { url: redis.url.to_string(), error })?;
    Ok(tiers.with_redis(tier, settings.features.redis_cache))
}

#[cfg(all(test, feature = "embedded-store"))]
mod tests {
    use millrace_cache::SharedCacheState;

    use super::*;
    use crate::settings::tests::read;

    async fn error(vars: &[(&str, &str)]) -> String {
        match open(&read(vars).unwrap()).await {
            Ok(_) => panic!("{vars:?} should be refused"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn the_embedded_store_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queues.db");
        let settings = read(&[("MILLRACE_STORE", &format!("sqlite:{}", path.display()))]).unwrap();
        let BackEnds { store, cache, .. } = open(&settings).await.unwrap();
        assert_eq!(cache.shared_state(), SharedCacheState::Off);
        store.ping().await.unwrap();
        store.close().await;
        assert!(path.exists());
    }

    #[tokio::test]
    async fn an_unreachable_cache_does_not_fail_the_start_but_an_unusable_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", folder.path().join("queues.db").display());
        // Nothing listens there.
        let unreachable =
            [("MILLRACE_STORE", store.as_str()), ("MILLRACE_REDIS_URL", "redis://app:hunter2@127.0.0.1:1")];
        assert!(open(&read(&unreachable).unwrap()).await.is_ok());
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
    async fn a_cache_that_is_switched_off_is_not_connected() {
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
        let BackEnds { cache, .. } = open(&read(&vars).unwrap()).await.unwrap();
        assert_eq!((cache.shared_state(), cache.ping_shared().await), (SharedCacheState::Off, SharedCacheState::Off));
        let connection = redis.accept().map(|(_, peer)| peer);
        assert!(connection.is_err(), "it was connected: {connection:?}");
    }

    #[tokio::test]
    async fn a_clock_file_without_a_time_is_named() {
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
}

#[cfg(all(test, not(feature = "embedded-store")))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_build_without_the_embedded_store_says_so() {
        let vars = [("MILLRACE_STORE".into(), "sqlite:x.db".into())];
        let error = open(&Settings::from_vars(vars).unwrap()).await.err().unwrap().to_string();
        assert_eq!(
            error,
            "MILLRACE_STORE=sqlite:x.db cannot be opened: this build has no embedded store; set \
             MILLRACE_STORE=dynamodb, or build with the feature embedded-store, as `make run` and `cargo lambda \
             watch` do"
        );
    }
}
