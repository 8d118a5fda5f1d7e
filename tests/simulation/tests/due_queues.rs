//! Merging of the shards of the due index.

use std::{sync::Arc, time::Duration};

use millrace_domain::Timestamp;
use millrace_due::due_queues::{DueQueues, PAGE};
use millrace_simulation::{idle_row, shard_of, throttled};
use millrace_store::{
    DUE_SHARDS, QueueStore, QueueWrite,
    memory::{Fault, MemoryStore, Operation},
};
use proptest::prelude::*;
use tokio::time::Instant;

const SHARDS: u64 = DUE_SHARDS as u64;

/// A store with one row in the due index for each of these moments.
async fn store_with_due_rows(moments: &[u64]) -> MemoryStore {
    let store = MemoryStore::new();
    let write = |(index, millis): (usize, &u64)| QueueWrite {
        due_at: Some(Timestamp::from_millis(*millis)),
        ..idle_row(&format!("p{index}"))
    };
    let writes: Vec<_> = moments.iter().enumerate().map(write).collect();
    assert!(store.commit(&writes).await.outcomes.iter().all(Result::is_ok));
    store
}

#[tokio::test]
async fn shards_of_many_pages_are_read_with_one_call_per_page() {
    let moments: Vec<u64> = (0..SHARDS * 1_100).collect();
    let store = store_with_due_rows(&moments).await;
    let mut due = DueQueues::new(&store, Timestamp::from_millis(u64::MAX), Instant::now() + Duration::from_secs(60));
    let mut found = Vec::new();
    loop {
        let taken = due.take(777).await;
        if taken.is_empty() {
            break;
        }
        found.extend(taken.into_iter().map(|due| due.due_at.as_millis()));
    }
    assert_eq!(found, moments);
    let mut shard_sizes = [0_usize; DUE_SHARDS as usize];
    (0..moments.len()).for_each(|index| shard_sizes[usize::from(shard_of(index))] += 1);
    let pages: usize = shard_sizes.iter().map(|size| size.div_ceil(PAGE).max(1)).sum();
    assert_eq!(due.calls(), pages as u64);
    assert!(!due.is_cut());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn due_queues_of_all_shards_are_ordered_by_due_moment(
        moments in proptest::collection::vec(0..500_u64, 0..400),
        until in 0..600_u64,
        limits in proptest::collection::vec(1..50_usize, 1..20),
        failing_shard in proptest::option::of(0..DUE_SHARDS),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = store_with_due_rows(&moments).await;
            store.set_faults(Arc::new(move |operation| match operation {
                Operation::Due { shard } if Some(*shard) == failing_shard => {
                    throttled()
                }
                _ => Fault::None,
            }));
            let until = Timestamp::from_millis(until);
            let mut due = DueQueues::new(&store, until, Instant::now() + Duration::from_secs(60));
            let mut found = Vec::new();
            for limit in limits.iter().cycle() {
                let taken = due.take(*limit).await;
                prop_assert!(taken.len() <= *limit);
                prop_assert_eq!(taken.len() < *limit, !due.is_cut() && taken.len() < *limit);
                if taken.is_empty() {
                    break;
                }
                found.extend(taken);
            }
            prop_assert!(found.iter().map(|due| due.due_at).is_sorted());
            let mut found_players: Vec<String> = found.iter().map(|due| due.player_id.to_string()).collect();
            found_players.sort();
            let expected = moments.iter().enumerate().filter(|(index, moment)| {
                **moment <= until.as_millis() && Some(shard_of(*index)) != failing_shard
            });
            let mut expected_players: Vec<String> = expected.map(|(index, _)| format!("p{index}")).collect();
            expected_players.sort();
            prop_assert_eq!(found_players, expected_players);
            prop_assert_eq!(due.errors().len(), usize::from(failing_shard.is_some()));
            Ok(())
        })?;
    }
}
