//! Feature switches: with everything off the system does the same work, slower.

use millrace_domain::{Timestamp, record::HistoryRecord};
use millrace_tests::{
    backends::BackEnds,
    load::{self, COMMANDS, Load},
    sqs::START_MS,
};

use crate::{apply, figure, grants, players, started};

const FEATURES: [&str; 3] = ["MILLRACE_LOCAL_CACHE", "MILLRACE_REDIS_CACHE", "MILLRACE_BATCHING"];

#[tokio::test]
async fn with_all_features_off_the_same_is_done_one_by_one() {
    let back_ends = BackEnds::start().await;
    let off = FEATURES.iter().fold(back_ends.process_tasks(), |setup, feature| setup.env(feature, "off"));
    let functions = [started(off).await];
    let load = Load { players: 30, batch: 30, seed: 3 };
    let figures = load.run(&functions, Timestamp::from_millis(START_MS)).await;
    assert_eq!(figures.applied, (load.players * COMMANDS) as u64);
    let players: Vec<_> = (0..load.players).map(load::player).collect();
    for (at, queue) in back_ends.queues(&players).await.iter().enumerate() {
        load::check(at, queue);
    }
    assert_eq!((figures.hits, figures.conflicts), (0, 0), "nothing comes from a cache");
    assert_eq!(figures.write_calls, figures.items, "each record goes alone");
    let keys: u64 = back_ends.redis.cli(&["DBSIZE"]).await;
    assert_eq!((keys, back_ends.wire.connections()), (0, 0), "Redis is left alone");

    let on = BackEnds::start().await;
    let faster = load.run(&[started(on.process_tasks()).await], Timestamp::from_millis(START_MS)).await;
    for (at, queue) in on.queues(&players).await.iter().enumerate() {
        load::check(at, queue);
    }
    // Who reads each queue from the table writes the records of its last commit again, to be sure.
    assert!(faster.items < figures.items, "{} and {}", faster.items, figures.items);
    for player in players.iter().step_by(10) {
        let names = |rows: Vec<HistoryRecord>| rows.into_iter().map(|row| row.task_id).collect::<Vec<_>>();
        let [one, other] = [&back_ends, &on].map(|back_ends| back_ends.history(player.as_str()));
        assert_eq!(names(one.await), names(other.await), "history of {player}");
    }
    assert!(10 * faster.write_calls < figures.write_calls, "{} and {}", faster.write_calls, figures.write_calls);
    assert!(10 * faster.commit_calls < figures.commit_calls, "{} and {}", faster.commit_calls, figures.commit_calls);
    assert!(10 * faster.load_calls < figures.load_calls, "{} and {}", faster.load_calls, figures.load_calls);
}

#[tokio::test]
async fn a_rollout_is_on_for_its_share_of_the_players_in_every_process() {
    let back_ends = BackEnds::start().await;
    let half =
        back_ends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off").env("MILLRACE_REDIS_CACHE_ROLLOUT_PERCENT", "50");
    let players = players(100);
    apply(&started(half.clone()).await, &grants(&players, 1)).await;
    let cached: Vec<String> = back_ends.redis.cli(&["KEYS", "*queue:*"]).await;
    let cached = cached.len() as u64;
    assert!((30..=70).contains(&cached), "{cached} of 100 players");
    // Another process asks for the same ones.
    let answer = apply(&started(half).await, &grants(&players, 2)).await;
    assert_eq!(figure(&answer, "/cache/redis/hits"), cached);
}
