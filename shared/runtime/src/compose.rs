//! From settings and an open store to the service, and from an invocation of Lambda to one of the service.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use millrace_cache::{LocalTier, Tiers};
use millrace_service::{Parts, Service, ServiceSettings};
use millrace_store::{Batcher, BatcherSettings, RecordStore, Store};
use tokio::time::Instant;

use crate::{clock, clock::SystemClock, lambda::Invocation, memory, settings::Settings};

/// The service that the settings describe, on `store`. `seed` sets the jitter of waits: processes
/// that were started together must not wait together.
pub fn service(settings: &Settings, store: Arc<dyn Store>, seed: u64) -> Service {
    Service::new(Parts {
        batcher: Batcher::new(Arc::clone(&store) as Arc<dyn RecordStore>, batcher_settings(settings, seed)),
        store,
        cache: Tiers::local_only(LocalTier::new(settings.local_cache), settings.features.local_cache),
        clock: Arc::new(SystemClock),
        resident_bytes: memory::resident_bytes,
        settings: service_settings(settings, seed),
    })
}

/// A seed from the system's randomness. Process ids would not do: in Lambda's sandboxes they are all alike.
pub fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn batcher_settings(settings: &Settings, seed: u64) -> BatcherSettings {
    BatcherSettings {
        max_items: settings.batch.max_items,
        linger: settings.batch.linger,
        concurrency: settings.batch.concurrency,
        seed,
        ..BatcherSettings::default()
    }
}

fn service_settings(settings: &Settings, seed: u64) -> ServiceSettings {
    ServiceSettings {
        conflict_retries: settings.conflict_retries,
        deadline_margin: settings.deadline_margin,
        commit_batch: settings.batch.max_items,
        concurrency: settings.batch.concurrency,
        batching: settings.features.batching,
        memory_threshold: settings.memory_threshold_bytes,
        seed,
        ..ServiceSettings::default()
    }
}

/// An invocation as the service takes it: its time-out on the clock that never jumps.
pub fn invocation(invocation: &Invocation) -> millrace_service::Invocation {
    let left = Duration::from_millis(invocation.deadline.millis_since(clock::now()));
    millrace_service::Invocation {
        request_id: invocation.request_id.clone(),
        times_out_at: Instant::now() + left,
        cold_start: invocation.cold_start,
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::Timestamp;

    use super::*;

    #[test]
    fn the_service_is_told_what_was_set() {
        let vars = [
            ("MILLRACE_STORE", "dynamodb"),
            ("MILLRACE_CONFLICT_RETRIES", "7"),
            ("MILLRACE_DEADLINE_MARGIN_MS", "900"),
            ("MILLRACE_BATCH_MAX_ITEMS", "12"),
            ("MILLRACE_BATCH_LINGER_MS", "3"),
            ("MILLRACE_BATCH_CONCURRENCY", "4"),
            ("MILLRACE_BATCHING_ROLLOUT_PERCENT", "30"),
            ("MILLRACE_MEMORY_THRESHOLD_BYTES", "99999999"),
        ];
        let settings = Settings::from_vars(vars.map(|(name, value)| (name.into(), value.into()))).unwrap();
        let service = service_settings(&settings, 1);
        assert_eq!((service.conflict_retries, service.deadline_margin.as_millis()), (7, 900));
        assert_eq!((service.commit_batch, service.concurrency, service.memory_threshold), (12, 4, 99_999_999));
        assert_eq!((service.batching.enabled, service.batching.rollout_percent), (true, 30));
        let batcher = batcher_settings(&settings, 2);
        assert_eq!((batcher.max_items, batcher.linger.as_millis(), batcher.concurrency), (12, 3, 4));
        assert_eq!((service.seed, batcher.seed), (1, 2));
        assert_ne!(random_seed(), random_seed());
    }

    #[test]
    fn the_time_out_is_as_far_away_as_the_deadline() {
        let deadline = clock::now() + 30_000_u64;
        let of_lambda = Invocation { payload: "{}".into(), request_id: "r-1".to_owned(), deadline, cold_start: true };
        let before = Instant::now();
        let taken = invocation(&of_lambda);
        let left = taken.times_out_at - before;
        assert!(left <= Duration::from_secs(30) + before.elapsed() && left > Duration::from_secs(29), "{left:?}");
        assert_eq!((taken.request_id.as_str(), taken.cold_start), ("r-1", true));
        let passed = invocation(&Invocation { deadline: Timestamp::from_millis(1), ..of_lambda });
        assert!(passed.times_out_at <= Instant::now(), "a deadline that has passed is now");
    }
}
