//! Who is let in: passwords, tokens, TLS, and settings with which nobody ever is.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use millrace_cache::{
    RemoteTier,
    redis::{Credentials, RedisCredentials, RedisMode, RedisTier, RedisTierError, RedisTierSettings},
};
use millrace_servers::{Cut, Redis, TcpProxy};

use crate::support::*;

#[tokio::test]
async fn a_user_needs_no_more_commands_than_documented() {
    let rules = "on >secret ~millrace:* -@all +get +mget +set +getrange +del +evalsha +script|load";
    let redis = Redis::builder().user("app", rules).start().await;
    let tier = connect(settings(redis.url_as("app", "secret"))).await;
    put(&tier, &[copy("a", 1), copy("b", 1)]).await;
    assert_eq!(tier.forget(&[player("b")]).await, 0);
    assert_eq!(versions(&tier, &["a", "b"]).await, [Some(1), None]);
    redis.cli::<()>(&["ACL", "SETUSER", "app", "-mget"]).await;
    fail_until_down(&tier).await;
    redis.cli::<()>(&["ACL", "SETUSER", "app", "+mget"]).await;
    until_up(&tier).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(1)]);
}

/// Tokens that are good once each.
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
async fn each_connection_asks_for_credentials_of_its_own() {
    let redis = Redis::builder().user("app", "on >token-0 ~* +@all").start().await;
    let proxy = TcpProxy::start(redis.address()).await;
    let tokens = Arc::new(Tokens(AtomicU32::new(0)));
    let url = format!("redis://{}", proxy.address());
    let tier = RedisTier::connect(settings(url), Some(tokens.clone())).await.unwrap();
    put(&tier, &[copy("a", 1)]).await;
    assert_eq!(tokens.0.load(Ordering::Relaxed), 1);

    redis.cli::<()>(&["ACL", "SETUSER", "app", "resetpass", ">token-1"]).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(1)], "who is in stays in");
    proxy.cut(Cut::Reset);
    assert_eq!(versions(&tier, &["a"]).await, [Some(1)]);
    assert_eq!(tokens.0.load(Ordering::Relaxed), 2);

    proxy.cut(Cut::Reset);
    fail_until_down(&tier).await;
    assert!(!format!("{:?}", tokens.credentials().await).contains("token-"));
}

#[tokio::test]
async fn tls_with_an_authority_of_ones_own_and_a_user() {
    let redis = Redis::builder().tls().user("app", "on >secret ~* +@all").start().await;
    let mut settings = settings(redis.url_as("app", "secret"));
    settings.ca_file = redis.ca_file().map(Into::into);
    let tier = connect(settings.clone()).await;
    put(&tier, &[copy("a", 1)]).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(1)]);

    settings.ca_file = None;
    let stranger = connect(settings).await;
    fail_until_down_counting_the_start(&stranger).await;
}

/// The start has failed already.
async fn fail_until_down_counting_the_start(tier: &RedisTier) {
    for _ in 0..2 {
        assert_eq!(tier.get(&players(1)).await.1, 1);
    }
    assert_eq!(tier.statistics().openings, 1);
}

#[tokio::test]
async fn settings_with_which_no_redis_can_be_reached_are_errors_and_show_no_password() {
    let refused = async |settings: RedisTierSettings| match RedisTier::connect(settings, None).await {
        Err(error) => error,
        Ok(_) => panic!("this cannot be used"),
    };
    for url in ["http://u:hidden@h", "redis://u:hidden@h:port", "hidden", "", "redis+unix:///tmp/hidden"] {
        let error = refused(settings(url)).await;
        assert!(matches!(error, RedisTierError::Url(_)), "{url}: {error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let cluster = RedisTierSettings { mode: RedisMode::Cluster, ..settings("redis://h/3") };
    assert!(matches!(refused(cluster).await, RedisTierError::Url(_)));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let with_ca = |url: &str| RedisTierSettings { ca_file: Some(path.clone()), ..settings(url) };
    assert!(matches!(refused(with_ca("rediss://h")).await, RedisTierError::CaFile { .. }), "there is none");
    std::fs::write(&path, "no certificate").unwrap();
    assert!(matches!(refused(with_ca("rediss://h")).await, RedisTierError::CaFile { .. }));
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(matches!(refused(with_ca("rediss://h")).await, RedisTierError::CaFile { .. }));
    assert!(
        matches!(refused(with_ca("redis://h")).await, RedisTierError::CaFile { .. }),
        "without TLS it means nothing"
    );
}
