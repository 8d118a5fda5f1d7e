//! The due index.
//!
//! The index may lag behind the table, and a remote store contains rows of other tests. Therefore a
//! case repeats a read until the answer is as expected, looks at its players only, and removes them
//! from the index in the end.

use millrace_domain::{PlayerId, Timestamp};

use super::{
    sample,
    support::{SharedStore, eventually, load_queue},
};
use crate::port::{DUE_SHARDS, DueQueue, QueueWrite, due_shard};

/// A limit above the number of rows in the index.
const MANY: usize = 1000;

const READABLE: &str = "the index is readable";

/// A time long ago in milliseconds, so that few rows of other tests are due before.
fn long_ago() -> u64 {
    fastrand::u64(1_000_000..2_000_000_000)
}

async fn set_due(store: &SharedStore, player: &PlayerId, expected: u64, due_at: Option<u64>) {
    let due_at = due_at.map(Timestamp::from_millis);
    let write = QueueWrite { due_at, ..sample::write(player, expected) };
    assert_eq!(store.commit(&[write]).await.outcomes, vec![Ok(())]);
}

/// The players of `mine` that are due, in the order of the answer, with their due moments.
async fn due(store: &SharedStore, shard: u8, until: u64, mine: &[PlayerId]) -> Vec<(PlayerId, u64)> {
    let found = store.due(shard, Timestamp::from_millis(until), None, MANY).await.queues.expect(READABLE);
    let found = found.into_iter().filter(|due| mine.contains(&due.player_id));
    found.map(|DueQueue { player_id, due_at }| (player_id, due_at.as_millis())).collect()
}

async fn expect_due(store: &SharedStore, shard: u8, until: u64, mine: &[PlayerId], expected: &[(&PlayerId, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(player, at)| ((*player).clone(), *at)).collect();
    let found = eventually(|| due(store, shard, until, mine), |found| *found == expected).await;
    assert_eq!(found, expected, "shard {shard} until {until}");
}

/// Queues are sorted by their due moments and limited in number.
pub async fn due_queues_are_sorted_by_due_moment(store: SharedStore) {
    let (shard, players) = sample::players_of_one_shard(5);
    let start = long_ago();
    let order = [3, 1, 4, 0, 2];
    for (player, place) in players.iter().zip(order) {
        set_due(&store, player, 0, Some(start + place)).await;
    }
    let mut sorted: Vec<_> = players.iter().zip(order.map(|place| start + place)).collect();
    sorted.sort_by_key(|(_, at)| *at);
    expect_due(&store, shard, start + 10, &players, &sorted).await;

    let page = store.due(shard, Timestamp::from_millis(start + 10), None, 2).await;
    assert!(page.more && page.calls > 0, "{page:?}");
    let limited = page.queues.expect(READABLE);
    assert_eq!(limited.len(), 2);
    assert!(limited[0].due_at <= limited[1].due_at, "{limited:?}");
    assert!(limited[1].due_at <= Timestamp::from_millis(start + 1), "not the earliest ones: {limited:?}");
    for player in &players {
        set_due(&store, player, 1, None).await;
    }
    expect_due(&store, shard, start + 10, &players, &[]).await;
}

/// The index is sparse: a commit adds, moves or removes the entry of its queue.
pub async fn queue_without_due_moment_is_not_in_the_index(store: SharedStore) {
    let player = sample::player();
    let shard = due_shard(&player);
    let mine = std::slice::from_ref(&player);
    let start = long_ago();
    let until = start + 100;
    set_due(&store, &player, 0, None).await;
    expect_due(&store, shard, until, mine, &[]).await;
    set_due(&store, &player, 1, Some(start)).await;
    expect_due(&store, shard, until, mine, &[(&player, start)]).await;
    set_due(&store, &player, 2, Some(start + 50)).await;
    expect_due(&store, shard, until, mine, &[(&player, start + 50)]).await;
    set_due(&store, &player, 3, None).await;
    expect_due(&store, shard, until, mine, &[]).await;
    let queue = load_queue(&*store, &player).await;
    assert!(matches!(&queue, Ok(Some(row)) if row.version == 4), "{queue:?}");
}

/// A queue that is due exactly at `until` is included; one that is due a millisecond later is not.
pub async fn until_is_inclusive(store: SharedStore) {
    let player = sample::player();
    let shard = due_shard(&player);
    let mine = std::slice::from_ref(&player);
    let at = long_ago();
    set_due(&store, &player, 0, Some(at)).await;
    expect_due(&store, shard, at, mine, &[(&player, at)]).await;
    assert_eq!(due(&store, shard, at - 1, mine).await, vec![]);
    set_due(&store, &player, 1, None).await;
}

/// A queue is in the shard of its player and in no other.
pub async fn queue_is_in_the_index_shard_of_its_player(store: SharedStore) {
    let player = sample::player();
    let mine = std::slice::from_ref(&player);
    let at = long_ago();
    set_due(&store, &player, 0, Some(at)).await;
    expect_due(&store, due_shard(&player), at, mine, &[(&player, at)]).await;
    for shard in (0..DUE_SHARDS).filter(|shard| *shard != due_shard(&player)) {
        assert_eq!(due(&store, shard, at, mine).await, vec![], "shard {shard}");
    }
    set_due(&store, &player, 1, None).await;
}

/// All of `mine` that are due, read page by page. Checks that every page but the last is full.
async fn pages(store: &SharedStore, shard: u8, until: u64, limit: usize, mine: &[PlayerId]) -> Vec<PlayerId> {
    let (mut found, mut after): (Vec<DueQueue>, Option<DueQueue>) = (Vec::new(), None);
    loop {
        let page = store.due(shard, Timestamp::from_millis(until), after.as_ref(), limit).await;
        let queues = page.queues.expect(READABLE);
        assert!(queues.len() == limit || !page.more, "a short page that is not the last");
        after = queues.last().cloned();
        found.extend(queues);
        if !page.more {
            break;
        }
    }
    assert!(found.windows(2).all(|two| two[0].due_at <= two[1].due_at), "not the earliest first: {found:?}");
    found.into_iter().map(|due| due.player_id).filter(|player| mine.contains(player)).collect()
}

/// Pages of any size contain each queue once, including those with the same due moment.
pub async fn pages_contain_every_due_queue_once(store: SharedStore) {
    let (shard, players) = sample::players_of_one_shard(7);
    let start = long_ago();
    for (player, place) in players.iter().zip([0, 1, 1, 1, 1, 2, 3]) {
        set_due(&store, player, 0, Some(start + place)).await;
    }
    let until = start + 10;
    eventually(|| due(&store, shard, until, &players), |found| found.len() == 7).await;
    let mut expected = players.clone();
    expected.sort();
    for limit in [1, 2, 3, 7, 8] {
        let mut found = pages(&store, shard, until, limit, &players).await;
        found.sort();
        assert_eq!(found, expected, "pages of {limit}");
    }
    for player in &players {
        set_due(&store, player, 1, None).await;
    }
}

/// A page continues after the last row of the previous page, also if that row has moved.
pub async fn page_continues_after_a_moved_row(store: SharedStore) {
    let (shard, players) = sample::players_of_one_shard(5);
    let start = long_ago();
    for (player, place) in players.iter().zip([0, 1, 1, 2, 3]) {
        set_due(&store, player, 0, Some(start + place)).await;
    }
    let until = Timestamp::from_millis(start + 10);
    let all: Vec<_> = eventually(|| due(&store, shard, start + 10, &players), |found| found.len() == 5).await;
    // The first row leaves the index, and the second moves to its end. The order of rows with the
    // same due moment depends on the store.
    let (first, second) = (&all[0], &all[1]);
    let after = DueQueue { player_id: second.0.clone(), due_at: Timestamp::from_millis(second.1) };
    set_due(&store, &first.0, 1, None).await;
    set_due(&store, &second.0, 1, Some(start + 5)).await;
    let expected: Vec<_> = all[2..].iter().map(|(player, _)| player.clone()).chain([second.0.clone()]).collect();
    let rest = async || {
        let page = store.due(shard, until, Some(&after), MANY).await.queues.expect(READABLE);
        page.into_iter().map(|due| due.player_id).filter(|player| players.contains(player)).collect::<Vec<_>>()
    };
    assert_eq!(eventually(rest, |found| *found == expected).await, expected);
    for (player, version) in all.iter().map(|(player, _)| player).zip([2, 2, 1, 1, 1]) {
        set_due(&store, player, version, None).await;
    }
}
