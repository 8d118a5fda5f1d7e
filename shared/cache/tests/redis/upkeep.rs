//! What is done beside serving: seen, filled, replaced, cleared, listed, announced, kept.

use std::{sync::Arc, time::Duration};

use millrace_cache::{
    DataKind, Emergency, RemoteTier, ScanCursor, Upkeep,
    redis::RedisTier,
    upkeep::{Kept, ObservedCopy, Outcome, Replacement},
};
use millrace_domain::{PlayerId, Timestamp};
use millrace_servers::{Redis, RedisCluster};
use tokio::time::Instant;

use crate::support::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    at(u64::try_from(since.as_millis()).unwrap())
}

fn names(players: &[PlayerId]) -> Vec<&str> {
    players.iter().map(PlayerId::as_str).collect()
}

async fn kinds(tier: &RedisTier, names: &[&str]) -> Vec<Option<DataKind>> {
    let players: Vec<PlayerId> = names.iter().map(|name| player(name)).collect();
    tier.seen(&players, soon()).await.unwrap().iter().map(ObservedCopy::kind).collect()
}

/// Clears from the beginning to the end; what was scanned, cleared, and how many pages it took.
async fn clear(tier: &RedisTier, kind: Option<DataKind>) -> (u64, u64, u64) {
    let (mut scanned, mut cleared, mut pages, mut cursor) = (0, 0, 0, None);
    loop {
        let page = tier.clear(kind, cursor.as_ref(), soon()).await.unwrap();
        assert_eq!(page.failed, 0);
        (scanned, cleared, pages) = (scanned + page.scanned, cleared + page.cleared, pages + 1);
        // It goes out as text and comes back.
        cursor = page.next.map(|next: ScanCursor| next.to_string().parse().unwrap());
        if cursor.is_none() {
            return (scanned, cleared, pages);
        }
    }
}

#[tokio::test]
async fn what_was_cleared_does_not_come_back_older() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("a", 3), copy("b", 1)]).await;
    redis.cli::<()>(&["SET", &key("damaged"), "x"]).await;
    redis.cli::<i64>(&["RPUSH", &key("list"), "x"]).await;
    assert_eq!(clear(&tier, None).await, (4, 4, 1));
    assert_eq!(versions(&tier, &["a", "b"]).await, [None, None]);
    assert_eq!(clear(&tier, None).await, (2, 0, 1), "the tombstones stay, what had no version is gone");
    put(&tier, &[copy("a", 2)]).await;
    assert_eq!(versions(&tier, &["a"]).await, [None], "a fill that was under way");
    put(&tier, &[copy("a", 3)]).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(3)]);
    let left: i64 = redis.cli(&["PTTL", &key("b")]).await;
    assert!((900_000..=960_000).contains(&left), "{left}");
}

#[tokio::test]
async fn each_kind_is_cleared_by_itself() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    let fill = async || {
        // Each time newer than what was forgotten.
        let version = u64::try_from(redis.cli::<i64>(&["INCR", "version"]).await).unwrap();
        put(&tier, &[copy("q", version), progress("p", version, 10, true), progress("u", version, 10, false)]).await;
        for key in ["millrace:stats:q", "millrace:frequent:x", "millraceX", "other:queue:q"] {
            redis.cli::<()>(&["SET", key, "x"]).await;
        }
    };
    let exists = async |key: &str| redis.cli::<bool>(&["EXISTS", key]).await;
    fill().await;
    assert_eq!(
        kinds(&tier, &["q", "p", "u"]).await,
        [Some(DataKind::Queue), Some(DataKind::Progress), Some(DataKind::Queue)]
    );
    assert_eq!(clear(&tier, Some(DataKind::Progress)).await, (3, 1, 1));
    assert_eq!(kinds(&tier, &["q", "p", "u"]).await, [Some(DataKind::Queue), None, Some(DataKind::Queue)]);
    fill().await;
    assert_eq!(clear(&tier, Some(DataKind::Queue)).await, (3, 2, 1));
    assert_eq!(kinds(&tier, &["q", "p", "u"]).await, [None, Some(DataKind::Progress), None]);
    assert_eq!(clear(&tier, Some(DataKind::Stats)).await, (1, 1, 1));
    assert!(!exists("millrace:stats:q").await && exists("millrace:frequent:x").await);
    assert_eq!(clear(&tier, Some(DataKind::Frequent)).await, (1, 1, 1));
    fill().await;
    assert_eq!(clear(&tier, None).await, (5, 5, 1));
    assert!(exists("millraceX").await && exists("other:queue:q").await, "those are of others");
    assert!(exists("millrace:upkeep:active:{0}").await, "no copy");

    fill().await;
    let [q, p] = ["q", "p"].map(player);
    let cleared = async |players: &[PlayerId], kind| {
        let page = tier.clear_players(players, kind, soon()).await.unwrap();
        (page.scanned, page.cleared, page.next)
    };
    assert_eq!(cleared(&[q.clone(), p.clone()], Some(DataKind::Progress)).await, (2, 1, None));
    assert_eq!(cleared(std::slice::from_ref(&q), Some(DataKind::Stats)).await, (1, 1, None));
    assert_eq!(cleared(&[q, p], None).await, (6, 1, None), "one copy was left of them");
    assert_eq!(kinds(&tier, &["q", "p", "u"]).await, [None, None, Some(DataKind::Queue)]);
}

#[tokio::test]
async fn a_replacement_takes_the_place_of_what_was_seen_and_of_nothing_that_came_since() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("future", 99), copy("past", 1), copy("overtaken", 5), copy("rowless", 4)]).await;
    put(&tier, &[copy("tombstone", 99)]).await;
    assert_eq!(tier.forget(&[player("tombstone")]).await, 0);
    redis.cli::<()>(&["SET", &key("damaged"), "x"]).await;
    let names = ["future", "past", "overtaken", "rowless", "tombstone", "damaged", "absent"];
    let players: Vec<PlayerId> = names.iter().map(|name| player(name)).collect();
    let seen = tier.seen(&players, soon()).await.unwrap();
    // Meanwhile the table is read at version 5, and somebody commits version 6 of one.
    put(&tier, &[copy("overtaken", 6)]).await;
    let replacements: Vec<Replacement> = players
        .iter()
        .zip(seen)
        .map(|(player_id, seen)| {
            let row = (player_id.as_str() != "rowless").then(|| copy(player_id.as_str(), 5));
            Replacement { player_id: player_id.clone(), seen, copy: row }
        })
        .collect();
    let outcomes = tier.replace(&replacements, at(2_000), soon()).await.unwrap();
    let mut expected = [Outcome::Put; 7];
    expected[2] = Outcome::Outdated;
    assert_eq!(outcomes, expected);
    let five = Some(5);
    assert_eq!(versions(&tier, &names).await, [five, five, Some(6), None, five, five, five]);
    assert!(!redis.cli::<bool>(&["EXISTS", &key("rowless")]).await);

    // What nobody had seen is not dropped for want of a row.
    let rowless = Replacement { player_id: player("past"), seen: ObservedCopy::default(), copy: None };
    assert_eq!(tier.replace(&[rowless], at(2_000), soon()).await.unwrap(), [Outcome::Outdated]);
    assert_eq!(versions(&tier, &["past"]).await, [five]);
}

#[tokio::test]
async fn a_fill_never_replaces_what_is_newer() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("a", 2)]).await;
    let outcomes = tier.fill(&[copy("a", 1), copy("b", 1)], at(2_000), soon()).await.unwrap();
    assert_eq!(outcomes, [Outcome::Outdated, Outcome::Put]);
    assert_eq!(versions(&tier, &["a", "b"]).await, [Some(2), Some(1)]);
}

#[tokio::test]
async fn who_changed_lately_is_known_the_latest_first() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    assert!(tier.active(10, soon()).await.unwrap().is_empty());
    put(&tier, &[copy("a", 1), copy("b", 1)]).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    put(&tier, &[copy("c", 1)]).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    put(&tier, &[copy("a", 2)]).await;
    tier.fill(&[copy("filled", 1)], at(2_000), soon()).await.unwrap();
    assert_eq!(names(&tier.active(10, soon()).await.unwrap()), ["a", "c", "b"], "who was warmed is not active");
    assert_eq!(names(&tier.active(2, soon()).await.unwrap()), ["a", "c"]);
    let long_ago = (now().as_millis() - 3_700_000).to_string();
    redis.cli::<i64>(&["ZADD", "millrace:upkeep:active:{0}", &long_ago, "old"]).await;
    assert_eq!(tier.active(10, soon()).await.unwrap().len(), 3, "for an hour");
    assert_eq!((tier.statistics().put.round_trips, tier.statistics().put.failures), (3, 0));
    assert!(redis.cli::<i64>(&["PTTL", "millrace:upkeep:active:{0}"]).await > 3_500_000);
}

#[tokio::test]
async fn the_list_of_the_active_is_cut_to_its_length() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    for some in players(12_000).chunks(1_000) {
        put(&tier, &some.iter().map(|player| copy(player.as_str(), 1)).collect::<Vec<_>>()).await;
    }
    assert_eq!(redis.cli::<u64>(&["ZCARD", "millrace:upkeep:active:{0}"]).await, 12_000);
    // Another process, whose first put cuts.
    put(&connect(settings(redis.url())).await, &[copy("p-0", 2)]).await;
    assert_eq!(redis.cli::<u64>(&["ZCARD", "millrace:upkeep:active:{0}"]).await, 10_000);
    assert_eq!(names(&tier.active(1, soon()).await.unwrap()), ["p-0"]);
}

async fn emergency_is_heard(one: &RedisTier, other: &RedisTier) {
    assert_eq!((one.heard(soon()).await.unwrap(), other.emergency()), (None, None));
    let some: Vec<&str> = ["a", "b", "c", "d", "e", "f", "g", "h"].into();
    // It has asked, and not heard of it.
    versions(other, &some).await;
    let said_at = now();
    let on = Emergency { enabled: true, said_at, until: said_at + 600_000 };
    one.announce(on, soon()).await.unwrap();
    assert_eq!((one.emergency(), one.heard(soon()).await.unwrap()), (Some(on), Some(on)));
    let before = other.statistics();
    tokio::time::sleep(Duration::from_millis(2_050)).await;
    versions(other, &some).await;
    assert_eq!(other.emergency(), Some(on));
    let after = other.statistics();
    assert_eq!(after.get.round_trips, before.get.round_trips + 1, "it rode along");
    assert_eq!(after.upkeep.round_trips, before.upkeep.round_trips);
    // Copies live until it is over, and then as ever.
    let copies: Vec<_> = some.iter().map(|name| copy(name, 1)).collect();
    assert_eq!(other.put(&copies, now()).await, 0);
    let off = Emergency { enabled: false, said_at: said_at + 5_000, until: said_at + 900_000 };
    other.announce(off, soon()).await.unwrap();
    assert_eq!((one.emergency(), one.heard(soon()).await.unwrap()), (Some(on), Some(off)));
    // Who was told before both does not forget the later.
    one.announce(on, soon()).await.unwrap();
    assert_eq!(other.heard(soon()).await.unwrap(), Some(off));
}

#[tokio::test]
async fn emergency_mode_is_heard_of_with_a_read_of_something_else() {
    let redis = Redis::start().await;
    let tiers = [connect(settings(redis.url())).await, connect(settings(redis.url())).await];
    emergency_is_heard(&tiers[0], &tiers[1]).await;
    let left: i64 = redis.cli(&["PTTL", &key("a")]).await;
    assert!((600_000 + 260_000..600_000 + 300_000).contains(&left), "{left}");
    let flag: i64 = redis.cli(&["PTTL", "millrace:upkeep:emergency:{0}"]).await;
    assert!(flag > 590_000, "{flag}");
}

#[tokio::test]
async fn in_a_cluster_every_node_has_a_flag() {
    let cluster = RedisCluster::start().await;
    let tiers = [connect(in_cluster(cluster.url())).await, connect(in_cluster(cluster.url())).await];
    emergency_is_heard(&tiers[0], &tiers[1]).await;
    // Whoever has business with one node alone hears of it too.
    for node in 0..3 {
        let (name, _) = player_of(&cluster, node).await;
        let tier = connect(in_cluster(cluster.url())).await;
        versions(&tier, &[&name]).await;
        assert!(tier.emergency().is_some(), "node {node}");
    }
}

#[tokio::test]
async fn copies_are_made_to_live_longer_and_tombstones_are_not() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("a", 1), copy("gone", 1), progress("p", 1, 5, true)]).await;
    assert_eq!(tier.forget(&[player("gone")]).await, 0);
    let page = tier.players(None, soon()).await.unwrap();
    let mut found = names(&page.players);
    found.sort_unstable();
    assert_eq!((found, page.next), (vec!["a", "gone", "p"], None));
    assert_eq!(tier.extend(&page.players, at(0), at(2_000_000), soon()).await.unwrap(), 2);
    for name in ["a", "p"] {
        assert!(redis.cli::<i64>(&["PTTL", &key(name)]).await > 2_200_000, "{name}");
    }
    assert!(redis.cli::<i64>(&["PTTL", &key("gone")]).await <= 960_000);
    assert_eq!(tier.extend(&page.players, at(0), at(1_000), soon()).await.unwrap(), 0, "never shorter");
}

#[tokio::test]
async fn figures_are_kept_for_a_day_and_a_thousand_of_them() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    let history = "millrace:upkeep:statistics";
    const DAY: u64 = 24 * 3_600_000;
    let begin = now().as_millis();
    let figure = |millis: u64| Kept { at: at(millis), text: format!("{{\"n\":{millis}}}") };
    let keep = async |millis: u64| tier.keep(&figure(millis), soon()).await.unwrap();
    keep(begin - DAY - 1).await;
    keep(begin - 5).await;
    keep(begin).await;
    let kept = tier.kept(at(0), 10, soon()).await.unwrap();
    assert_eq!(kept, [figure(begin), figure(begin - 5)], "the latest first, the old one gone");
    assert_eq!(tier.kept(at(begin), 10, soon()).await.unwrap(), [figure(begin)]);
    assert_eq!(tier.kept(at(0), 1, soon()).await.unwrap(), [figure(begin)]);
    for n in 0..1_100_u64 {
        redis.cli::<i64>(&["ZADD", history, &(begin + n).to_string(), &format!("x{n}")]).await;
    }
    keep(begin + 2_000).await;
    assert_eq!(redis.cli::<u64>(&["ZCARD", history]).await, 1_000);
    assert!(redis.cli::<u64>(&["PTTL", history]).await > DAY - 60_000);
}

#[tokio::test]
async fn reports_ride_along_with_puts_and_are_read_by_others() {
    let cluster = RedisCluster::start().await;
    let tier = connect(in_cluster(cluster.url())).await;
    assert!(tier.wants_report());
    tier.offer_report("{\"n\":1}".to_owned());
    for version in 1..4 {
        put(&tier, &[copy("a", version), copy("b", version), copy("c", version)]).await;
    }
    assert!(!tier.wants_report());
    let other = connect(in_cluster(cluster.url())).await;
    other.offer_report("{\"n\":2}".to_owned());
    put(&other, &[copy("a", 9)]).await;
    let mut reports = other.reports(10, soon()).await.unwrap();
    reports.sort();
    assert_eq!(reports, ["{\"n\":1}", "{\"n\":2}"], "each once, on one node");
    assert_eq!((tier.statistics().put.round_trips, other.statistics().put.round_trips), (3, 1));
}

#[tokio::test]
async fn the_servers_are_measured_and_their_keys_sampled() {
    for protocol in ["", "/?protocol=resp3"] {
        let redis = Redis::builder().maxmemory("64mb", "allkeys-lru").start().await;
        let tier = connect(settings(format!("{}{protocol}", redis.url()))).await;
        put(&tier, &[copy("a", 1), copy("b", 1), progress("p", 1, 5, true)]).await;
        assert_eq!(tier.forget(&[player("b")]).await, 0);
        for key in ["millrace:stats:a", "foreign-1", "foreign-2"] {
            redis.cli::<()>(&["SET", key, "x"]).await;
        }
        let before = tier.statistics().upkeep;
        let figures = tier.measure(soon()).await.unwrap();
        let took = tier.statistics().upkeep.round_trips - before.round_trips;
        assert_eq!(took, 1 + 20 + 1 + 1, "itself, signs of life, a sample, its kinds");
        let [node] = figures.nodes.as_slice() else { panic!("{figures:?}") };
        assert_eq!((node.max_bytes, node.evictions), (Some(64 << 20), Some(0)));
        assert!(node.used_bytes > Some(100_000) && node.version.is_some() && node.uptime_seconds.is_some());
        assert!(node.keyspace_misses.is_some() && node.clients >= Some(1), "{node:?}");
        assert!(node.ping.max_us >= node.ping.p50_us && node.ping.p50_us > 0, "{node:?}");
        assert_eq!(figures.keys, Some(7));
        let sample = figures.sample;
        assert_eq!((sample.keys, sample.complete, sample.forgotten), (7, true, 1));
        assert_eq!((sample.upkeep, sample.foreign), (1, 2), "the list of the active, and what is of others");
        let copies = sample.copies;
        assert_eq!((copies.queue, copies.progress, copies.stats, copies.frequent), (1, 1, 1, 0));
        // The other answers are read as well.
        assert_eq!(names(&tier.active(1, soon()).await.unwrap()).len(), 1);
        tier.keep(&Kept { at: at(now().as_millis()), text: "{}".to_owned() }, soon()).await.unwrap();
        assert_eq!(tier.kept(at(0), 5, soon()).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn in_a_cluster_every_node_is_looked_through() {
    let cluster = RedisCluster::start().await;
    let tier = connect(in_cluster(cluster.url())).await;
    let players = players(6_000);
    for some in players.chunks(1_000) {
        put(&tier, &some.iter().map(|player| copy(player.as_str(), 1)).collect::<Vec<_>>()).await;
    }
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = tier.players(cursor.as_ref(), soon()).await.unwrap();
        found.extend(page.players);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 6_000);
    assert_eq!(tier.active(20_000, soon()).await.unwrap().len(), 6_000, "each node lists its own");
    let figures = tier.measure(soon()).await.unwrap();
    assert_eq!(figures.nodes.len(), 3);
    assert_eq!(figures.keys, Some(6_003));
    assert!(!figures.sample.complete && figures.sample.copies.queue > 900, "{:?}", figures.sample);

    // Where a node is gone, all begins anew.
    let gone = ScanCursor { node: Some("10.0.0.9:1".to_owned()), position: 77 };
    assert!(tier.clear(None, Some(&gone), soon()).await.unwrap().scanned > 0);
    let (scanned, cleared, pages) = clear(&tier, None).await;
    assert!(scanned >= 6_000 && cleared > 4_500 && cleared < 6_000, "{scanned} {cleared}");
    assert!(pages >= 6, "{pages}");
    let held: Vec<Arc<_>> = tier.get(&players).await.0.into_iter().flatten().collect();
    assert_eq!(held.len(), 0);
    for node in cluster.nodes() {
        assert_eq!(calls(node, "keys").await, 0);
    }
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let rules = "on >secret ~millrace:* -@all +get +mget +set +getrange +del +evalsha +script|load +ping";
    let redis = Redis::builder().user("app", rules).start().await;
    let tier = connect(settings(redis.url_as("app", "secret"))).await;
    put(&tier, &[copy("a", 1)]).await;
    put(&tier, &[copy("a", 2)]).await;
    assert_eq!(refusals(&redis, "zadd").await, 1, "asked once");
    assert_eq!(tier.statistics().put.failures, 0);
    let refused = tier.clear(None, None, soon()).await.unwrap_err().to_string();
    assert!(refused.starts_with("NOPERM"), "{refused}");
    let refused = tier.active(1, soon()).await.unwrap_err().to_string();
    assert!(refused.contains("NOPERM"), "{refused}");
    redis.cli::<()>(&["ACL", "SETUSER", "app", "+scan"]).await;
    assert_eq!(tier.measure(soon()).await.unwrap().nodes[0].version, None, "what it may not ask for is not known");
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_is_said_to_be_in_time() {
    let redis = Redis::start().await;
    let tier = connect(hasty(redis.url())).await;
    redis.pause();
    let started = std::time::Instant::now();
    let deadline = Instant::now() + Duration::from_millis(700);
    let error = tier.clear(None, None, deadline).await.unwrap_err().to_string();
    assert!(error.contains("no answer"), "{error}");
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
    redis.resume();
    redis.kill();
    let error = tier.heard(soon()).await.unwrap_err().to_string();
    assert!(!error.is_empty());
    redis.restart().await;
    // Whatever the breaker says.
    assert_eq!(tier.heard(soon()).await, Ok(None));
}
