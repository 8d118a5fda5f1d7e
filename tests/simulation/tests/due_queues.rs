//! The index of what is due, merged over its shards.

use std::{sync::Arc, time::Duration};

use millrace_domain::Timestamp;
use millrace_due::due_queues::{DueQueues, PAGE};
use millrace_simulation::{idle_row, shard_of};
use millrace_store::{
    DUE_SHARDS, QueueStore, QueueWrite, StoreError,
    memory::{Fault, MemoryStore, Operation},
};
use proptest::prelude::*;
use tokio::time::Instant;

const SHARDS: u64 = DUE_SHARDS as u64;

/// Rows in the index at these moments.
async fn indexed(moments: &[u64]) -> MemoryStore {
    let store = MemoryStore::new();
    let write = |(at, millis): (usize, &u64)| QueueWrite {
        due_at: Some(Timestamp::from_millis(*millis)),
        ..idle_row(&format!("p{at}"))
    };
    let writes: Vec<_> = moments.iter().enumerate().map(write).collect();
    assert!(store.commit(&writes).await.outcomes.iter().all(Result::is_ok));
    store
}

#[tokio::test]
async fn a_shard_of_many_pages_is_read_to_its_end_one_call_a_page() {
    let moments: Vec<u64> = (0..SHARDS * 1_100).collect();
    let store = indexed(&moments).await;
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
    let mut sizes = [0_usize; DUE_SHARDS as usize];
    (0..moments.len()).for_each(|at| sizes[usize::from(shard_of(at))] += 1);
    let pages: usize = sizes.iter().map(|size| size.div_ceil(PAGE).max(1)).sum();
    assert_eq!(due.calls(), pages as u64);
    assert!(!due.is_cut());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_due_comes_in_the_order_of_its_moments_over_all_shards(
        moments in proptest::collection::vec(0..500_u64, 0..400),
        until in 0..600_u64,
        limits in proptest::collection::vec(1..50_usize, 1..20),
        failing in proptest::option::of(0..DUE_SHARDS),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = indexed(&moments).await;
            store.set_faults(Arc::new(move |operation| match operation {
                Operation::Due { shard } if Some(*shard) == failing => {
                    Fault::Error(StoreError::Throttled { table: "queues".to_owned() })
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
            let mut told: Vec<String> = found.iter().map(|due| due.player_id.to_string()).collect();
            told.sort();
            let wanted = moments.iter().enumerate().filter(|(at, moment)| {
                **moment <= until.as_millis() && Some(shard_of(*at)) != failing
            });
            let mut wanted: Vec<String> = wanted.map(|(at, _)| format!("p{at}")).collect();
            wanted.sort();
            prop_assert_eq!(told, wanted);
            prop_assert_eq!(due.errors().len(), usize::from(failing.is_some()));
            Ok(())
        })?;
    }
}
