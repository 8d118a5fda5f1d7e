//! Cleared copies: all or of one kind, of all players or some.

use millrace_cache::{DataKind, redis::RedisCache};
use millrace_domain::PlayerId;

use super::support::*;

async fn kinds(cache: &RedisCache, names: &[&str]) -> Vec<Option<DataKind>> {
    let players: Vec<PlayerId> = names.iter().map(|name| player(name)).collect();
    cache.observe(&players, later()).await.unwrap().iter().map(|observed| observed.kind).collect()
}

#[tokio::test]
async fn a_cleared_copy_does_not_come_back_in_an_older_version() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("a", 3), copy("b", 1)]).await;
    redis.cli::<()>(&["SET", &key("damaged"), "x"]).await;
    redis.cli::<i64>(&["RPUSH", &key("list"), "x"]).await;
    assert_eq!(clear(&cache, None).await, (4, 4, 1));
    assert_eq!(versions(&cache, &["a", "b"]).await, [None, None]);
    assert_eq!(clear(&cache, None).await, (2, 0, 1), "tombstones stay, values without a version are gone");
    put(&cache, &[copy("a", 2)]).await;
    assert_eq!(versions(&cache, &["a"]).await, [None], "a fill that was under way");
    put(&cache, &[copy("a", 3)]).await;
    assert_eq!(versions(&cache, &["a"]).await, [Some(3)]);
    let left: i64 = redis.cli(&["PTTL", &key("b")]).await;
    assert!((900_000..=960_000).contains(&left), "{left}");
}

#[tokio::test]
async fn each_kind_is_cleared_separately() {
    let (redis, cache) = start().await;
    let fill = async || {
        // Each time newer than the tombstones.
        let version = u64::try_from(redis.cli::<i64>(&["INCR", "version"]).await).unwrap();
        put(&cache, &[copy("q", version), progress("p", version, 10, true), idle("s", version)]).await;
        for key in ["millrace:frequent:x", "millraceX", "other:queue:q"] {
            redis.cli::<()>(&["SET", key, "x"]).await;
        }
    };
    let (queue, active, stats) = (Some(DataKind::Queue), Some(DataKind::Progress), Some(DataKind::Stats));
    let exists = async |key: &str| redis.cli::<bool>(&["EXISTS", key]).await;
    fill().await;
    assert_eq!(kinds(&cache, &["q", "p", "s"]).await, [queue, active, stats]);
    assert_eq!(clear(&cache, active).await, (3, 1, 1));
    assert_eq!(kinds(&cache, &["q", "p", "s"]).await, [queue, None, stats]);
    fill().await;
    assert_eq!(clear(&cache, queue).await, (3, 1, 1));
    assert_eq!(kinds(&cache, &["q", "p", "s"]).await, [None, active, stats]);
    assert_eq!(clear(&cache, stats).await, (3, 1, 1));
    assert_eq!(kinds(&cache, &["q", "p", "s"]).await, [None, active, None]);
    assert!(exists("millrace:frequent:x").await);
    assert_eq!(clear(&cache, Some(DataKind::Frequent)).await, (1, 1, 1));
    assert!(!exists("millrace:frequent:x").await);
    fill().await;
    assert_eq!(clear(&cache, None).await, (4, 4, 1));
    assert!(exists("millraceX").await && exists("other:queue:q").await, "keys of other applications");
    assert!(exists("millrace:upkeep:active").await, "no copy");
}

#[tokio::test]
async fn the_copies_and_pages_of_some_players_are_cleared() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("q", 1), progress("p", 1, 10, true), copy("other", 1)]).await;
    redis.cli::<()>(&["SET", "millrace:frequent:q", "x"]).await;
    let [q, p] = ["q", "p"].map(player);
    let cleared = async |players: &[PlayerId], kind| {
        let page = cache.clear_players(players, kind, later()).await.unwrap();
        (page.scanned, page.cleared, page.next)
    };
    assert_eq!(cleared(&[q.clone(), p.clone()], Some(DataKind::Progress)).await, (2, 1, None));
    assert_eq!(cleared(std::slice::from_ref(&q), Some(DataKind::Frequent)).await, (1, 1, None));
    assert_eq!(cleared(&[q, p], None).await, (4, 1, None), "one copy was left");
    assert_eq!(kinds(&cache, &["q", "p", "other"]).await, [None, None, Some(DataKind::Queue)]);
}
