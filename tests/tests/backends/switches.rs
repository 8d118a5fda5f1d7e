//! Feature switches. Without caches and batches the result is the same, with more round trips.

use millrace_domain::{Timestamp, record::HistoryRecord};
use millrace_tests::{
    backends::Backends,
    load::{self, COMMANDS, Load},
    sqs::START_MS,
};

use crate::{apply, grants, number, players};

const FEATURES: [&str; 3] = ["MILLRACE_LOCAL_CACHE", "MILLRACE_REDIS_CACHE", "MILLRACE_BATCHING"];

#[tokio::test]
async fn the_result_is_the_same_with_all_features_off() {
    let backends = Backends::start().await;
    let off = FEATURES.iter().fold(backends.process_tasks(), |setup, feature| setup.env(feature, "off"));
    let functions = [off.started().await];
    let load = Load { players: 30, batch: 30, seed: 3 };
    let report = load.run(&functions, Timestamp::from_millis(START_MS)).await;
    assert_eq!(report.applied, (load.players * COMMANDS) as u64);
    let players: Vec<_> = (0..load.players).map(load::player).collect();
    for (at, queue) in backends.queues(&players).await.iter().enumerate() {
        load::assert_all_applied(at, queue);
    }
    assert_eq!((report.hits, report.conflicts), (0, 0), "no cache is used");
    assert_eq!(report.write_calls, report.items, "each record is written alone");
    let keys: u64 = backends.redis.cli(&["DBSIZE"]).await;
    assert_eq!((keys, backends.redis_proxy.connections()), (0, 0), "Redis is not used");

    let on = Backends::start().await;
    let faster = load.run(&[on.process_tasks().started().await], Timestamp::from_millis(START_MS)).await;
    for (at, queue) in on.queues(&players).await.iter().enumerate() {
        load::assert_all_applied(at, queue);
    }
    // A queue that is loaded from the table has the records of its last commit written again.
    assert!(faster.items < report.items, "{} and {}", faster.items, report.items);
    for player in players.iter().step_by(10) {
        let names = |rows: Vec<HistoryRecord>| rows.into_iter().map(|row| row.task_id).collect::<Vec<_>>();
        let [one, other] = [&backends, &on].map(|backends| backends.history(player.as_str()));
        assert_eq!(names(one.await), names(other.await), "history of {player}");
    }
    assert!(10 * faster.write_calls < report.write_calls, "{} and {}", faster.write_calls, report.write_calls);
    assert!(10 * faster.commit_calls < report.commit_calls, "{} and {}", faster.commit_calls, report.commit_calls);
    assert!(10 * faster.load_calls < report.load_calls, "{} and {}", faster.load_calls, report.load_calls);
}

#[tokio::test]
async fn a_rollout_selects_the_same_players_in_every_process() {
    let backends = Backends::start().await;
    let half =
        backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off").env("MILLRACE_REDIS_CACHE_ROLLOUT_PERCENT", "50");
    let players = players(100);
    apply(&half.started().await, &grants(&players, 1)).await;
    let cached: Vec<String> = backends.redis.cli(&["KEYS", "*queue:*"]).await;
    let cached = cached.len() as u64;
    assert!((30..=70).contains(&cached), "{cached} of 100 players");
    // Another process selects the same players.
    let answer = apply(&half.started().await, &grants(&players, 2)).await;
    assert_eq!(number(&answer, "/cache/redis/hits"), cached);
}
