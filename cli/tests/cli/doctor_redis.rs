//! `millrace doctor` against a shared cache with TLS, IAM tokens or several nodes.

use millrace_servers::{Redis, RedisCluster};

use crate::doctor::Setup;

const POLICY: (&str, &str) = ("20mb", "allkeys-lru");

async fn with_tls(rules: &str) -> Redis {
    Redis::builder().maxmemory(POLICY.0, POLICY.1).tls().user("app", rules).start().await
}

fn ca_file(redis: &Redis) -> String {
    redis.ca_file().expect("a server with TLS has one").display().to_string()
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted() {
    let redis = with_tls("on >secret ~* &* +@all").await;
    let setup = Setup::new("tls").await.set("MILLRACE_REDIS_URL", &redis.url_as("app", "secret"));
    setup.finds("error", "Redis", "no connection", "set MILLRACE_REDIS_CA_FILE").await;
    let text = setup.set("MILLRACE_REDIS_CA_FILE", &ca_file(&redis)).run().await.succeeded();
    assert!(text.contains("logged in as app") && text.contains("maxmemory-policy is allkeys-lru"), "{text}");
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used() {
    let redis = with_tls("on >secret ~* &* +@all").await;
    let url = redis.url_as("app", "secret");
    let missing = Setup::new("ca-missing").await.set("MILLRACE_REDIS_URL", &url);
    let missing = missing.set("MILLRACE_REDIS_CA_FILE", "/nonexistent.pem");
    missing.finds("error", "Redis", "the CA file cannot be used: /nonexistent.pem", "a file of certificates").await;
}

#[tokio::test]
async fn an_iam_token_that_is_refused() {
    let redis = with_tls("on >secret ~* &* +@all").await;
    let url = redis.url_as("app", "x").replace(":x@", "@");
    let setup = Setup::new("iam").await.set("MILLRACE_REDIS_URL", &url);
    let setup = setup.set("MILLRACE_REDIS_CA_FILE", &ca_file(&redis)).set("MILLRACE_REDIS_IAM_CACHE_NAME", "cache");
    setup.finds("error", "Redis", "the login is refused", "elasticache:Connect").await;
    // This server takes any password, so it takes tokens.
    redis.cli::<()>(&["ACL", "SETUSER", "app", "nopass"]).await;
    let text = setup.run().await.succeeded();
    assert!(text.contains("logged in as app with an IAM token of these credentials"), "{text}");
}

#[tokio::test]
async fn a_mode_that_is_not_that_of_the_servers() {
    let cluster = RedisCluster::start_with(Redis::builder().maxmemory(POLICY.0, POLICY.1)).await;
    let setup = Setup::new("mode").await.set("MILLRACE_REDIS_URL", &cluster.url());
    setup.finds("error", "Redis", "the server is a node of a cluster", "MILLRACE_REDIS_MODE=cluster").await;
    let text = setup.set("MILLRACE_REDIS_MODE", "cluster").run().await.succeeded();
    assert!(text.contains("the user may use keys with the prefix `doctor-mode-`"), "{text}");

    let redis = Redis::builder().maxmemory(POLICY.0, POLICY.1).start().await;
    let setup = Setup::new("no-cluster").await.set("MILLRACE_REDIS_URL", &redis.url());
    let setup = setup.set("MILLRACE_REDIS_MODE", "cluster");
    setup.finds("error", "Redis", "the server is not a node of a cluster", "MILLRACE_REDIS_MODE=standalone").await;
}

#[tokio::test]
async fn a_replica_instead_of_the_primary() {
    let primary = Redis::start().await;
    let replica = Redis::builder().maxmemory(POLICY.0, POLICY.1).replica_of(&primary).start().await;
    let setup = Setup::new("replica").await.set("MILLRACE_REDIS_URL", &replica.url());
    setup.finds("error", "Redis", "the server is a replica", "the address of the primary").await;
}

#[tokio::test]
async fn a_cache_that_is_switched_off_is_not_checked() {
    let setup = Setup::new("off").await.set("MILLRACE_REDIS_URL", "redis://127.0.0.1:1");
    let text = setup.set("MILLRACE_REDIS_CACHE", "off").run().await.succeeded();
    assert!(text.contains("the functions do not use it"), "{text}");
}
