//! The index of queues with something due.
//!
//! It may lag behind the table, and a remote store holds rows of others: cases ask until the answer
//! is right, look at their own players only, and take them out of the index in the end.

use millrace_domain::{PlayerId, Timestamp};

use super::{SharedStore, eventually, sample};
use crate::port::{DUE_SHARDS, Due, QueueWrite, due_shard};

/// More queues than any case leaves behind.
const MANY: usize = 1000;

const READABLE: &str = "the index is readable";

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
    let found = store.due(shard, Timestamp::from_millis(until), None, MANY).await.queues.expect(READABLE);
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

    let page = store.due(shard, Timestamp::from_millis(start + 10), None, 2).await;
    assert!(page.more && page.calls > 0, "{page:?}");
    let limited = page.queues.expect(READABLE);
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

/// All of `mine` that are due, read page by page. Nobody comes twice, and every page but the last is full.
async fn pages(store: &SharedStore, shard: u8, until: u64, limit: usize, mine: &[PlayerId]) -> Vec<PlayerId> {
    let (mut found, mut after): (Vec<Due>, Option<Due>) = (Vec::new(), None);
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

/// Pages of any size hold every queue once, those that are due at the same moment among them.
pub async fn pages_follow_each_other_to_the_end(store: SharedStore) {
    let (shard, players) = sample::players_of_one_shard(7);
    let start = early();
    for (player, place) in players.iter().zip([0, 1, 1, 1, 1, 2, 3]) {
        set_due(&store, player, 0, Some(start + place)).await;
    }
    let until = start + 10;
    eventually(|| due(&store, shard, until, &players), |found| found.len() == 7).await;
    let mut wanted = players.clone();
    wanted.sort();
    for limit in [1, 2, 3, 7, 8] {
        let mut found = pages(&store, shard, until, limit, &players).await;
        found.sort();
        assert_eq!(found, wanted, "pages of {limit}");
    }
    for player in &players {
        set_due(&store, player, 1, None).await;
    }
}

/// The next page begins where the last one ended, whatever has become of its rows meanwhile.
pub async fn a_page_goes_on_after_a_row_that_has_moved(store: SharedStore) {
    let (shard, players) = sample::players_of_one_shard(5);
    let start = early();
    for (player, place) in players.iter().zip([0, 1, 1, 2, 3]) {
        set_due(&store, player, 0, Some(start + place)).await;
    }
    let until = Timestamp::from_millis(start + 10);
    let all: Vec<_> = eventually(|| due(&store, shard, start + 10, &players), |found| found.len() == 5).await;
    // The first leaves the index, the second moves behind all others. Who came third when the second's time
    // is theirs too is the store's to say: the order of one moment is nobody's promise.
    let (first, second) = (&all[0], &all[1]);
    let after = Due { player_id: second.0.clone(), due_at: Timestamp::from_millis(second.1) };
    set_due(&store, &first.0, 1, None).await;
    set_due(&store, &second.0, 1, Some(start + 5)).await;
    let wanted: Vec<_> = all[2..].iter().map(|(player, _)| player.clone()).chain([second.0.clone()]).collect();
    let rest = async || {
        let page = store.due(shard, until, Some(&after), MANY).await.queues.expect(READABLE);
        page.into_iter().map(|due| due.player_id).filter(|player| players.contains(player)).collect::<Vec<_>>()
    };
    assert_eq!(eventually(rest, |found| *found == wanted).await, wanted);
    for (player, version) in all.iter().map(|(player, _)| player).zip([2, 2, 1, 1, 1]) {
        set_due(&store, player, version, None).await;
    }
}
