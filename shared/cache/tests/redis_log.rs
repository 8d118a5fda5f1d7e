//! The log of the Redis cache. Alone in its process, because all threads share the log level.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use millrace_cache::{
    SharedCache, SharedCacheState,
    redis::{RedisCache, RedisCacheSettings},
};
use millrace_domain::PlayerId;
use millrace_servers::Redis;
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_wrong_password_is_logged_without_the_password() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let redis = Redis::builder().requirepass("right").start().await;
    let settings = RedisCacheSettings::new(redis.url_as("default", "not-the-right-one"));
    assert!(!format!("{settings:?}").contains("not-the-right-one"));
    let cache = RedisCache::connect(settings, None).await.unwrap();
    let players = [PlayerId::new("p").unwrap()];
    for _ in 0..5 {
        let (found, _) = cache.get(&players).await;
        assert_eq!(found, [None]);
    }
    assert_eq!(cache.statistics().state, SharedCacheState::Down);
    drop(guard);
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "at the start, and when the circuit breaker opens: {lines:#?}");
    assert!(lines.iter().all(|line| line.contains("WARN") && line.contains("authentication failed")), "{lines:#?}");
    assert!(!lines.concat().contains("not-the-right-one"), "{lines:#?}");
    assert!(!format!("{cache:?}").contains("not-the-right-one"));
}
