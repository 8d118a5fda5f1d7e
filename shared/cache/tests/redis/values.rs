//! What a value that cannot be read does: harm to nobody else.

use millrace_cache::{RemoteTier, redis::value};
use millrace_servers::Redis;
use redis::Commands;

use crate::support::*;

#[tokio::test]
async fn a_value_that_cannot_be_read_is_a_miss_and_harms_no_other_player() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("a", 1), copy("z", 1)]).await;
    let mut damaged = value::encode(&copy("damaged", 1));
    *damaged.last_mut().unwrap() ^= 1;
    let mut newer = value::encode(&copy("newer", 1));
    newer[35] = 200;
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
    let (found, errors) = tier.get(&players).await;
    let found: Vec<_> = found.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false, false, false, false, false, false, false, true]);
    // What is no string is for Redis as if it were not there.
    assert_eq!(errors, 5);
    let figures = tier.statistics().kinds.queue;
    assert_eq!((figures.hits, figures.misses, figures.errors), (2, 7, 5));
    assert_eq!(tier.statistics().openings, 0, "Redis is well");

    // The next put of each makes it good.
    for name in &names[1..] {
        put(&tier, &[copy(name, 1)]).await;
    }
    assert!(versions(&tier, &names).await.iter().all(|version| *version == Some(1)));
}

#[tokio::test]
async fn bytes_read_and_written_are_counted_by_kind() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    let (queue, active) = (copy("a", 1), progress("b", 1, 5, true));
    put(&tier, &[queue.clone(), active.clone()]).await;
    assert_eq!(versions(&tier, &["a", "b"]).await, [Some(1), Some(1)]);
    let kinds = tier.statistics().kinds;
    for (figures, copy) in [(kinds.queue, queue), (kinds.progress, active)] {
        let bytes = value::encode(&copy).len() as u64;
        assert_eq!((figures.bytes_written, figures.bytes_read, figures.hits), (bytes, bytes, 1));
    }
}
