//! Pages of rows that are read often.

use millrace_cache::SharedCache;

use super::support::*;

#[tokio::test]
async fn a_page_is_returned_for_its_version_only() {
    let (_redis, cache) = start().await;
    let page = async |version| cache.get_page(&player("a"), version).await;
    assert_eq!(page(7).await, (None, 0));
    assert_eq!(cache.put_page(&player("a"), 7, b"[1]").await, 0);
    assert_eq!(page(7).await, (Some(b"[1]".to_vec()), 0));
    assert_eq!((page(6).await, page(8).await), ((None, 0), (None, 0)));
    let large = vec![b'x'; 100_000];
    assert_eq!(cache.put_page(&player("a"), 8, &large).await, 0);
    assert_eq!((page(7).await, page(8).await), ((None, 0), (Some(large), 0)));
    let statistics = cache.statistics();
    let figures = statistics.kinds.frequent;
    assert_eq!((figures.hits, figures.misses, figures.sets, figures.errors), (2, 4, 2, 0));
    assert!(figures.bytes_written > 0 && figures.bytes_written < 10_000, "compressed: {figures:?}");
    assert_eq!((statistics.get.round_trips, statistics.put.round_trips), (6, 2), "one each");
}

#[tokio::test]
async fn a_page_lives_for_the_time_of_frequent_data() {
    let (redis, cache) = start().await;
    assert_eq!(cache.put_page(&player("a"), 1, b"[]").await, 0);
    let ttl: i64 = redis.cli(&["PTTL", "millrace:frequent:a"]).await;
    assert!((1_600_000..=1_800_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn a_damaged_page_is_a_miss_and_an_unreachable_server_an_error() {
    let redis = server().start().await;
    let cache = connect(patient(redis.url())).await;
    redis.cli::<()>(&["SET", "millrace:frequent:short", "x"]).await;
    redis.cli::<()>(&["SET", "millrace:frequent:layout", &format!("{:020}q", 1)]).await;
    redis.cli::<i64>(&["RPUSH", "millrace:frequent:list", "x"]).await;
    for (name, errors) in [("short", 1), ("layout", 1), ("list", 1)] {
        assert_eq!(cache.get_page(&player(name), 1).await, (None, errors), "{name}");
    }
    redis.kill();
    assert_eq!(cache.get_page(&player("a"), 1).await, (None, 1));
    assert_eq!(cache.put_page(&player("a"), 1, b"[]").await, 1);
    assert_eq!(cache.get_page(&player("a"), 1).await, (None, 1));
    assert_eq!(cache.statistics().openings, 1);
    assert_eq!(cache.get_page(&player("a"), 1).await, (None, 0), "the circuit breaker is open");
    assert_eq!(cache.put_page(&player("a"), 1, b"[]").await, 0);
}
