//! The index of queues with something due.
//!
//! It may lag behind the table, and a remote store holds rows of others: cases ask until the answer
//! is right, look at their own players only, and take them out of the index in the end.

use millrace_domain::{PlayerId, Timestamp};

use super::{SharedStore, eventually, sample};
use crate::port::{DUE_SHARDS, Due, QueueWrite, due_shard};

/// More queues than any case leaves behind.
const MANY: usize = 1000;

/// A time before all times of service, so that few rows of others are due by then.
fn early() -> u64 {
    fastrand::u64(1_000_000..2_000_000_000)
}

async fn set_due(store: &SharedStore, player: &PlayerId, expected: u64, due_at: Option<u64>) {
    let due_at = due_at.map(Timestamp::from_millis);
    let write = QueueWrite { due_at, ..sample::write(player, expected) };
    assert_eq!(store.commit(&[write]).await.outcomes, vec![Ok(())]);
}

/// The players of `mine` that are due, in the order of the answer, with their times.
async fn due(store: &SharedStore, shard: u8, until: u64, mine: &[PlayerId]) -> Vec<(PlayerId, u64)> {
    let found = store.due(shard, Timestamp::from_millis(until), MANY).await.expect("the index is readable");
    let found = found.into_iter().filter(|due| mine.contains(&due.player_id));
    found.map(|Due { player_id, due_at }| (player_id, due_at.as_millis())).collect()
}

async fn expect(store: &SharedStore, shard: u8, until: u64, mine: &[PlayerId], wanted: &[(&PlayerId, u64)]) {
    let wanted: Vec<_> = wanted.iter().map(|(player, at)| ((*player).clone(), *at)).collect();
    let found = eventually(|| due(store, shard, until, mine), |found| *found == wanted).await;
    assert_eq!(found, wanted, "shard {shard} until {until}");
}

/// Earliest first, and no more than asked for.
pub async fn what_is_due_comes_earliest_first(store: SharedStore) {
    let (shard, players) = sample::players_of_one_shard(5);
    let start = early();
    let order = [3, 1, 4, 0, 2];
    for (player, place) in players.iter().zip(order) {
        set_due(&store, player, 0, Some(start + place)).await;
    }
    let mut sorted: Vec<_> = players.iter().zip(order.map(|place| start + place)).collect();
    sorted.sort_by_key(|(_, at)| *at);
    expect(&store, shard, start + 10, &players, &sorted).await;

    let limited = store.due(shard, Timestamp::from_millis(start + 10), 2).await.expect("the index is readable");
    assert_eq!(limited.len(), 2);
    assert!(limited[0].due_at <= limited[1].due_at, "{limited:?}");
    assert!(limited[1].due_at <= Timestamp::from_millis(start + 1), "not the earliest ones: {limited:?}");
    for player in &players {
        set_due(&store, player, 1, None).await;
    }
    expect(&store, shard, start + 10, &players, &[]).await;
}

/// The index is sparse: a queue enters it, moves in it and leaves it with its commits.
pub async fn a_queue_with_nothing_due_is_not_in_the_index(store: SharedStore) {
    let player = sample::player();
    let shard = due_shard(&player);
    let mine = std::slice::from_ref(&player);
    let start = early();
    let until = start + 100;
    set_due(&store, &player, 0, None).await;
    expect(&store, shard, until, mine, &[]).await;
    set_due(&store, &player, 1, Some(start)).await;
    expect(&store, shard, until, mine, &[(&player, start)]).await;
    set_due(&store, &player, 2, Some(start + 50)).await;
    expect(&store, shard, until, mine, &[(&player, start + 50)]).await;
    set_due(&store, &player, 3, None).await;
    expect(&store, shard, until, mine, &[]).await;
    let loaded = store.load(mine, &[]).await;
    assert!(matches!(&loaded.queues[0], Ok(Some(row)) if row.version == 4), "{:?}", loaded.queues);
}

/// What is due exactly at `until` is due; a millisecond later it is not yet.
pub async fn until_is_inclusive(store: SharedStore) {
    let player = sample::player();
    let shard = due_shard(&player);
    let mine = std::slice::from_ref(&player);
    let at = early();
    set_due(&store, &player, 0, Some(at)).await;
    expect(&store, shard, at, mine, &[(&player, at)]).await;
    assert_eq!(due(&store, shard, at - 1, mine).await, vec![]);
    set_due(&store, &player, 1, None).await;
}

/// A queue stands in the shard of its player, whoever commits it.
pub async fn a_queue_is_due_in_its_own_shard_only(store: SharedStore) {
    let player = sample::player();
    let mine = std::slice::from_ref(&player);
    let at = early();
    set_due(&store, &player, 0, Some(at)).await;
    expect(&store, due_shard(&player), at, mine, &[(&player, at)]).await;
    for shard in (0..DUE_SHARDS).filter(|shard| *shard != due_shard(&player)) {
        assert_eq!(due(&store, shard, at, mine).await, vec![], "shard {shard}");
    }
    set_due(&store, &player, 1, None).await;
}
