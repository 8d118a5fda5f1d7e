//! TLS. Only Redis: the Valkey server of the tests is built without it.

use millrace_cache::SharedCache;

use crate::shared_cache::support::*;

#[tokio::test]
async fn a_ca_file_and_a_user_work_with_tls() {
    let redis = server().tls().user("app", "on >secret ~* +@all").start().await;
    let mut settings = settings(redis.url_as("app", "secret"));
    settings.ca_file = redis.ca_file().map(Into::into);
    let cache = connect(settings.clone()).await;
    put(&cache, &[copy("a", 1)]).await;
    assert_eq!(versions(&cache, &["a"]).await, [Some(1)]);

    settings.ca_file = None;
    let cache = connect(settings).await;
    for _ in 0..2 {
        assert_eq!(cache.get(&players(1)).await.1, 1, "the certificate is not trusted");
    }
    assert_eq!(cache.statistics().openings, 1, "the start was the first failure");
}
