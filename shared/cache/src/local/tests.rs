use super::*;

fn version(player: &str, version: u64, since: Timestamp) -> CachedCopy {
    let mut queue = Queue::new(PlayerId::new(player).unwrap(), Timestamp::from_millis(0));
    queue.version = version;
    CachedCopy { cached: Arc::new(CachedQueue { queue, progress_known: true }), since }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn a_copy_is_fresh_for_its_time_by_the_given_clock() {
    let cache = LocalCache::new(LocalSettings { freshness_ms: 1_000, ..LocalSettings::default() });
    let player = PlayerId::new("p").unwrap();
    cache.put(version("p", 1, at(5_000)));
    assert!(cache.get(&player, at(6_000)).is_some());
    assert!(cache.get(&player, at(6_001)).is_none(), "stale");
    assert!(cache.get(&player, at(4_999)).is_none(), "the clock went back");
    let kinds = cache.statistics().kinds;
    assert_eq!((kinds.stats.hits, kinds.queue.misses, kinds.stats.sets), (1, 2, 1));
}

#[test]
fn a_lookup_drops_a_stale_copy_and_remembers_its_version() {
    let cache = LocalCache::new(LocalSettings::default());
    let old = version("p", 7, at(0));
    let copy = Arc::clone(&old.cached);
    cache.put(old);
    assert_eq!(Arc::strong_count(&copy), 2);
    assert!(cache.get(&copy.queue.player_id, at(1_001)).is_none());
    assert_eq!(Arc::strong_count(&copy), 1);
    let knows_newer = |copy: &CachedQueue| cache.knows_newer(copy, at(1_001));
    assert!(knows_newer(&version("p", 6, at(0)).cached) && !knows_newer(&copy));
    cache.put(version("p", 6, at(1_001)));
    assert!(cache.get(&copy.queue.player_id, at(1_001)).is_none(), "an older copy does not replace it");
}

/// An older version after an hour comes from a table that was restored.
#[test]
fn the_last_seen_version_is_forgotten_after_an_hour() {
    let cache = LocalCache::new(LocalSettings::default());
    let player = PlayerId::new("p").unwrap();
    let (begin, hour) = (10_000_000, 3_600_000);
    cache.put(version("p", 100, at(begin)));
    let restored = |millis| version("p", 50, at(millis));
    let knows_newer = |millis| cache.knows_newer(&restored(millis).cached, at(millis));
    assert!(knows_newer(begin) && knows_newer(begin + hour) && knows_newer(begin - hour));
    assert!(!knows_newer(begin + hour + 1));
    assert!(!knows_newer(begin - hour - 1), "the clock went back");
    cache.put(restored(begin + hour));
    assert!(cache.get(&player, at(begin + hour)).is_none());
    cache.put(restored(begin + hour + 1));
    let copy = cache.get(&player, at(begin + hour + 1)).unwrap();
    assert_eq!(copy.cached.queue.version, 50);
    // The same for a copy that does not fit into the entry of the last one.
    let mut large = restored(begin + 3 * hour);
    let queue = &mut Arc::make_mut(&mut large.cached).queue;
    queue.version = 20;
    queue.tasks.reserve(1_000);
    cache.put(large);
    let copy = cache.get(&player, at(begin + 3 * hour)).unwrap();
    assert_eq!(copy.cached.queue.version, 20);
}

#[test]
fn a_version_never_moves_backwards() {
    let cache = LocalCache::new(LocalSettings::default());
    cache.put(version("p", 7, at(0)));
    cache.put(version("p", 6, at(1)));
    let newest = cache.get(&PlayerId::new("p").unwrap(), at(1)).unwrap();
    assert_eq!(newest.cached.queue.version, 7);
}

#[test]
fn entries_and_bytes_are_bounded() {
    let cache = LocalCache::new(LocalSettings { max_entries: 10, max_bytes: 1 << 20, ..LocalSettings::default() });
    for n in 0..100 {
        cache.put(version(&format!("p-{n}"), 1, at(n)));
    }
    let statistics = cache.statistics();
    assert!(statistics.entries <= 10, "{statistics:?}");
    assert!(statistics.kinds.stats.evictions >= 90, "{statistics:?}");

    let cache = LocalCache::new(LocalSettings { max_entries: 1_000, max_bytes: 10_000, ..LocalSettings::default() });
    for n in 0..100 {
        cache.put(version(&format!("p-{n}"), 1, at(n)));
    }
    let statistics = cache.statistics();
    assert!(statistics.bytes <= 10_000 && statistics.entries > 0, "{statistics:?}");
}

#[test]
fn shrinking_drops_the_older_half() {
    let cache = LocalCache::new(LocalSettings::default());
    for n in 0..100 {
        cache.put(version(&format!("p-{n}"), 1, at(n)));
    }
    let before = cache.statistics();
    assert_eq!(cache.shrink(), 50);
    let after = cache.statistics();
    assert_eq!((after.entries, after.bytes), (50, before.bytes / 2));
    assert!(cache.get(&PlayerId::new("p-0").unwrap(), at(99)).is_none());
    assert!(cache.get(&PlayerId::new("p-99").unwrap(), at(99)).is_some());
}

#[test]
fn replaced_copies_release_their_bytes() {
    let cache = LocalCache::new(LocalSettings::default());
    cache.put(version("p", 1, at(0)));
    let one = cache.statistics().bytes;
    for n in 2..50 {
        cache.put(version("p", n, at(0)));
    }
    assert_eq!(cache.statistics().bytes, one);
    cache.clear();
    let empty = cache.statistics();
    assert_eq!((empty.bytes, empty.entries), (0, 0));
}

#[test]
fn a_taken_copy_is_a_miss_until_it_is_put_back() {
    let cache = LocalCache::new(LocalSettings::default());
    let player = PlayerId::new("p").unwrap();
    cache.put(version("p", 7, at(0)));
    let taken = cache.take(&player, at(1)).unwrap();
    assert_eq!((Arc::strong_count(&taken.cached), taken.since), (1, at(0)), "the only owner may change it");
    assert!(cache.take(&player, at(1)).is_none() && cache.get(&player, at(1)).is_none());
    cache.put(version("p", 6, at(1)));
    assert!(cache.get(&player, at(1)).is_none());
    cache.put(taken);
    assert_eq!(cache.get(&player, at(1)).unwrap().since, at(0), "as old as before");
}
