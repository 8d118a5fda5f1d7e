//! Users, tokens, and settings with which Redis can never be reached.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use millrace_cache::{
    SharedCache,
    redis::{Credentials, RedisCache, RedisCacheSettings, RedisCredentials, RedisMode, RedisSettingsError},
};
use millrace_servers::Cut;

use super::support::*;

#[tokio::test]
async fn a_user_needs_only_the_documented_commands() {
    let rules = "on >secret ~millrace:* -@all +get +getex +mget +set +getrange +del +evalsha +script|load";
    let redis = server().user("app", rules).start().await;
    let cache = connect(settings(redis.url_as("app", "secret"))).await;
    put(&cache, &[copy("a", 1), copy("b", 1), copy("c", 1)]).await;
    assert_eq!(cache.forget(&[player("b")]).await, 0);
    assert_eq!(versions(&cache, &["a", "b", "c"]).await, [Some(1), None, Some(1)]);
    redis.cli::<()>(&["ACL", "SETUSER", "app", "-getex"]).await;
    fail_until_down(&cache).await;
    redis.cli::<()>(&["ACL", "SETUSER", "app", "+getex"]).await;
    until_up(&cache).await;
    assert_eq!(versions(&cache, &["a"]).await, [Some(1)]);
}

/// Two tokens, each for one connection.
struct Tokens(AtomicU32);

#[async_trait]
impl RedisCredentials for Tokens {
    async fn credentials(&self) -> Result<Credentials, Box<dyn std::error::Error + Send + Sync>> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(Credentials { user: "app".to_owned(), password: "token-0".to_owned() }),
            1 => Ok(Credentials { user: "app".to_owned(), password: "token-1".to_owned() }),
            _ => Err("the signer has no key".into()),
        }
    }
}

#[tokio::test]
async fn each_connection_gets_new_credentials() {
    let redis = server().user("app", "on >token-0 ~* +@all").start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tokens = Arc::new(Tokens(AtomicU32::new(0)));
    let cache = RedisCache::connect(settings(url), Some(tokens.clone())).await.unwrap();
    put(&cache, &[copy("a", 1)]).await;
    assert_eq!(tokens.0.load(Ordering::Relaxed), 1);

    redis.cli::<()>(&["ACL", "SETUSER", "app", "resetpass", ">token-1"]).await;
    assert_eq!(versions(&cache, &["a"]).await, [Some(1)], "the open connection stays authenticated");
    proxy.cut(Cut::Reset);
    assert_eq!(versions(&cache, &["a"]).await, [Some(1)]);
    assert_eq!(tokens.0.load(Ordering::Relaxed), 2);

    proxy.cut(Cut::Reset);
    fail_until_down(&cache).await;
    assert!(!format!("{:?}", tokens.credentials().await).contains("token-"));
}

#[tokio::test]
async fn unusable_settings_are_errors_without_the_password() {
    let refused = async |settings: RedisCacheSettings| match RedisCache::connect(settings, None).await {
        Err(error) => error,
        Ok(_) => panic!("the settings are unusable"),
    };
    for url in ["http://u:hidden@h", "redis://u:hidden@h:port", "hidden", "", "redis+unix:///tmp/hidden"] {
        let error = refused(settings(url)).await;
        assert!(matches!(error, RedisSettingsError::Url(_)), "{url}: {error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let cluster = RedisCacheSettings { mode: RedisMode::Cluster, ..settings("redis://h/3") };
    assert!(matches!(refused(cluster).await, RedisSettingsError::Url(_)));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let with_ca = |url: &str| RedisCacheSettings { ca_file: Some(path.clone()), ..settings(url) };
    assert!(matches!(refused(with_ca("rediss://h")).await, RedisSettingsError::CaFile { .. }), "there is no file");
    std::fs::write(&path, "no certificate").unwrap();
    assert!(matches!(refused(with_ca("rediss://h")).await, RedisSettingsError::CaFile { .. }));
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(matches!(refused(with_ca("rediss://h")).await, RedisSettingsError::CaFile { .. }));
    assert!(matches!(refused(with_ca("redis://h")).await, RedisSettingsError::CaFile { .. }), "a CA file needs TLS");
}
