//! Values that cannot be read.

use millrace_cache::{SharedCache, redis::value};
use redis::Commands;

use super::support::*;

#[tokio::test]
async fn an_unreadable_value_is_a_miss_for_its_player_only() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("a", 1), copy("z", 1)]).await;
    let mut damaged = value::encode(&copy("damaged", 1));
    *damaged.last_mut().unwrap() ^= 1;
    let mut newer = value::encode(&copy("newer", 1));
    // The first byte after stamp, kind and layout is part of the codec's own header.
    newer[36] = 200;
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    for (name, bytes) in [
        ("damaged", damaged),
        ("newer", newer),
        ("foreign", b"hello".to_vec()),
        ("empty", Vec::new()),
        ("exchanged", value::encode(&copy("a", 1))),
    ] {
        connection.set::<_, _, ()>(key(name), bytes).unwrap();
    }
    connection.lpush::<_, _, ()>(key("list"), 1).unwrap();

    let names = ["a", "damaged", "newer", "foreign", "empty", "exchanged", "list", "none", "z"];
    let players: Vec<_> = names.iter().map(|name| player(name)).collect();
    let (found, errors) = cache.get(&players).await;
    let found: Vec<_> = found.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false, false, false, false, false, false, false, true]);
    // MGET reads a value of another type as missing.
    assert_eq!(errors, 5);
    let figures = cache.statistics().kinds.queue;
    assert_eq!((figures.hits, figures.misses, figures.errors), (2, 7, 5));
    assert_eq!(cache.statistics().openings, 0, "Redis works");

    // The next put replaces it.
    for name in &names[1..] {
        put(&cache, &[copy(name, 1)]).await;
    }
    assert!(versions(&cache, &names).await.iter().all(|version| *version == Some(1)));
}

#[tokio::test]
async fn bytes_read_and_written_are_counted_by_kind() {
    let (_redis, cache) = start().await;
    let (queue, active) = (copy("a", 1), progress("b", 1, 5, true));
    put(&cache, &[queue.clone(), active.clone()]).await;
    assert_eq!(versions(&cache, &["a", "b"]).await, [Some(1), Some(1)]);
    let kinds = cache.statistics().kinds;
    for (figures, copy) in [(kinds.queue, queue), (kinds.progress, active)] {
        let bytes = value::encode(&copy).len() as u64;
        assert_eq!((figures.bytes_written, figures.bytes_read, figures.hits), (bytes, bytes, 1));
    }
}
