//! The upkeep of one server: filled and replaced copies, active players, emergency mode.

use std::time::Duration;

use millrace_cache::{
    Emergency, SharedCache,
    upkeep::{ObservedCopy, PutOutcome, Replacement},
};
use millrace_domain::PlayerId;
use millrace_servers::Redis;

use super::support::*;

async fn ttl(redis: &Redis, name: &str) -> i64 {
    redis.cli(&["PTTL", &key(name)]).await
}

#[tokio::test]
async fn a_replacement_replaces_the_observed_copy_but_not_a_later_commit() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("future", 99), copy("past", 1), copy("overtaken", 5), copy("rowless", 4)]).await;
    put(&cache, &[copy("tombstone", 99)]).await;
    assert_eq!(cache.forget(&[player("tombstone")]).await, 0);
    redis.cli::<()>(&["SET", &key("damaged"), "x"]).await;
    let names = ["future", "past", "overtaken", "rowless", "tombstone", "damaged", "absent"];
    let players: Vec<PlayerId> = names.iter().map(|name| player(name)).collect();
    let observations = cache.observe(&players, later()).await.unwrap();
    // Meanwhile the table is read at version 5, and version 6 of one queue is committed.
    put(&cache, &[copy("overtaken", 6)]).await;
    let replacements: Vec<Replacement> = players
        .iter()
        .zip(observations)
        .map(|(player_id, observed)| {
            let row = (player_id.as_str() != "rowless").then(|| copy(player_id.as_str(), 5));
            Replacement { player_id: player_id.clone(), observed, copy: row }
        })
        .collect();
    let outcomes = cache.replace(&replacements, None, at(2_000), later()).await.unwrap();
    let mut expected = [PutOutcome::Put; 7];
    expected[2] = PutOutcome::Outdated;
    assert_eq!(outcomes, expected);
    let five = Some(5);
    assert_eq!(versions(&cache, &names).await, [five, five, Some(6), None, five, five, five]);
    assert!(!redis.cli::<bool>(&["EXISTS", &key("rowless")]).await);

    // A copy that was not observed is not removed for the lack of a row.
    let rowless = Replacement { player_id: player("past"), observed: ObservedCopy::default(), copy: None };
    assert_eq!(cache.replace(&[rowless], None, at(2_000), later()).await.unwrap(), [PutOutcome::Outdated]);
    assert_eq!(versions(&cache, &["past"]).await, [five]);
}

#[tokio::test]
async fn a_fill_does_not_replace_a_newer_copy() {
    let (_redis, cache) = start().await;
    put(&cache, &[copy("a", 2)]).await;
    let outcomes = cache.fill(&[copy("a", 1), copy("b", 1)], None, at(2_000), later()).await.unwrap();
    assert_eq!(outcomes, [PutOutcome::Outdated, PutOutcome::Put]);
    assert_eq!(versions(&cache, &["a", "b"]).await, [Some(2), Some(1)]);
}

#[tokio::test]
async fn filled_and_replaced_copies_live_at_least_for_the_given_time() {
    let (redis, cache) = start().await;
    let quarter = Some(Duration::from_secs(900));
    cache.fill(&[copy("warmed", 1), progress("progress", 1, 5, true)], quarter, at(0), later()).await.unwrap();
    cache.fill(&[copy("default", 1)], None, at(0), later()).await.unwrap();
    let replace = Replacement { player_id: player("replaced"), observed: ObservedCopy::default(), copy: None };
    let replace = Replacement { copy: Some(copy("replaced", 1)), ..replace };
    cache.replace(&[replace], quarter, at(0), later()).await.unwrap();
    for name in ["warmed", "progress", "replaced"] {
        assert!((890_000..=900_000).contains(&ttl(&redis, name).await), "{name}");
    }
    assert!(ttl(&redis, "default").await <= 300_000);
    // A kind that lives longer keeps its time.
    cache.fill(&[idle("idle", 1)], Some(Duration::from_secs(1)), at(0), later()).await.unwrap();
    assert!(ttl(&redis, "idle").await > 500_000);
}

#[tokio::test]
async fn active_players_are_listed_by_their_last_change() {
    let (redis, cache) = start().await;
    assert!(cache.active_players(10, later()).await.unwrap().is_empty());
    put(&cache, &[copy("a", 1), copy("b", 1)]).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    put(&cache, &[copy("c", 1)]).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    put(&cache, &[copy("a", 2)]).await;
    cache.fill(&[copy("filled", 1)], None, at(2_000), later()).await.unwrap();
    let active = async |limit| cache.active_players(limit, later()).await.unwrap();
    assert_eq!(ids(&active(10).await), ["a", "c", "b"], "a filled copy is no activity");
    assert_eq!(ids(&active(2).await), ["a", "c"]);
    let long_ago = (server_time().as_millis() - 3_700_000).to_string();
    redis.cli::<i64>(&["ZADD", "millrace:upkeep:active", &long_ago, "old"]).await;
    assert_eq!(active(10).await.len(), 3, "players count as active for an hour");
    assert_eq!((cache.statistics().put.round_trips, cache.statistics().put.failures), (3, 0));
    assert!(redis.cli::<i64>(&["PTTL", "millrace:upkeep:active"]).await > 3_500_000);
}

#[tokio::test]
async fn the_number_of_active_players_is_bounded() {
    let (redis, cache) = start().await;
    for some in players(12_000).chunks(1_000) {
        put(&cache, &some.iter().map(|player| copy(player.as_str(), 1)).collect::<Vec<_>>()).await;
    }
    assert_eq!(redis.cli::<u64>(&["ZCARD", "millrace:upkeep:active"]).await, 12_000);
    // The first put of another process trims the set.
    put(&connect(settings(redis.url())).await, &[copy("p-0", 2)]).await;
    assert_eq!(redis.cli::<u64>(&["ZCARD", "millrace:upkeep:active"]).await, 10_000);
    assert_eq!(ids(&cache.active_players(1, later()).await.unwrap()), ["p-0"]);
}

#[tokio::test]
async fn a_read_learns_about_emergency_mode_and_copies_live_until_its_end() {
    let redis = server().start().await;
    let (one, other) = (connect(settings(redis.url())).await, connect(settings(redis.url())).await);
    assert_eq!((one.read_emergency(later()).await.unwrap(), other.emergency()), (None, None));
    versions(&other, &["a"]).await;
    let switched_at = server_time();
    let on = Emergency { enabled: true, switched_at, until: switched_at + 600_000 };
    one.switch_emergency(on, later()).await.unwrap();
    assert_eq!((one.emergency(), one.read_emergency(later()).await.unwrap()), (Some(on), Some(on)));
    let before = other.statistics();
    tokio::time::sleep(Duration::from_millis(2_050)).await;
    versions(&other, &["a"]).await;
    assert_eq!(other.emergency(), Some(on));
    let after = other.statistics();
    assert_eq!(after.get.round_trips, before.get.round_trips + 1, "in the same pipeline");
    assert_eq!(after.upkeep.round_trips, before.upkeep.round_trips);
    assert_eq!(other.put(&[copy("a", 1)], server_time()).await, 0);
    let left = ttl(&redis, "a").await;
    assert!((600_000 + 260_000..600_000 + 300_000).contains(&left), "{left}");
    assert!(redis.cli::<i64>(&["PTTL", "millrace:upkeep:emergency"]).await > 590_000);

    let off = Emergency { enabled: false, switched_at: switched_at + 5_000, until: switched_at + 900_000 };
    other.switch_emergency(off, later()).await.unwrap();
    assert_eq!((one.emergency(), one.read_emergency(later()).await.unwrap()), (Some(on), Some(off)));
    // An earlier switch that is written later does not count.
    one.switch_emergency(on, later()).await.unwrap();
    assert_eq!(other.read_emergency(later()).await.unwrap(), Some(off));
}

#[tokio::test]
async fn copies_are_extended_and_tombstones_are_not() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("a", 1), copy("gone", 1), progress("p", 1, 5, true)]).await;
    assert_eq!(cache.forget(&[player("gone")]).await, 0);
    let page = cache.scan_players(None, later()).await.unwrap();
    let mut found = ids(&page.players);
    found.sort_unstable();
    assert_eq!((found, page.next), (vec!["a", "gone", "p"], None));
    assert_eq!(cache.extend(&page.players, at(0), at(2_000_000), later()).await.unwrap(), 2);
    for name in ["a", "p"] {
        assert!(ttl(&redis, name).await > 2_200_000, "{name}");
    }
    assert!(ttl(&redis, "gone").await <= 960_000);
    assert_eq!(cache.extend(&page.players, at(0), at(1_000), later()).await.unwrap(), 0, "never shortened");
}

#[tokio::test]
async fn a_user_without_the_rights_gets_the_refusal() {
    let rules = "on >secret ~millrace:* -@all +get +getex +mget +set +getrange +del +evalsha +script|load +ping";
    let redis = server().user("app", rules).start().await;
    let cache = connect(settings(redis.url_as("app", "secret"))).await;
    put(&cache, &[copy("a", 1)]).await;
    put(&cache, &[copy("a", 2)]).await;
    assert_eq!(refusals(&redis, "zadd").await, 1, "a forbidden command is not sent again");
    assert_eq!(cache.statistics().put.failures, 0);
    let refusal = cache.clear(None, None, later()).await.unwrap_err().to_string();
    assert!(refusal.starts_with("NOPERM"), "{refusal}");
    let refusal = cache.active_players(1, later()).await.unwrap_err().to_string();
    assert!(refusal.contains("NOPERM"), "{refusal}");
    redis.cli::<()>(&["ACL", "SETUSER", "app", "+scan"]).await;
    let figures = cache.measure_servers(later()).await.unwrap();
    assert_eq!(figures.nodes[0].version, None, "without INFO the version is unknown");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_before_the_deadline() {
    let redis = server().start().await;
    let cache = connect(hasty(redis.url())).await;
    redis.pause();
    let started = std::time::Instant::now();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(700);
    let error = cache.clear(None, None, deadline).await.unwrap_err().to_string();
    assert!(error.contains("no answer"), "{error}");
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
    redis.resume();
    redis.kill();
    let error = cache.read_emergency(later()).await.unwrap_err().to_string();
    assert!(!error.is_empty());
    redis.restart().await;
    assert_eq!(cache.read_emergency(later()).await, Ok(None), "the circuit breaker is ignored");
}
