use super::*;

fn held(player: &str, version: u64, since: Timestamp) -> CachedCopy {
    let mut queue = Queue::new(PlayerId::new(player).unwrap(), Timestamp::from_millis(0));
    queue.version = version;
    CachedCopy { cached: Arc::new(CachedQueue { queue, progress_known: true }), since }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn a_copy_is_fresh_for_its_time_by_the_clock_that_is_given() {
    let tier = LocalTier::new(LocalSettings { freshness_ms: 1_000, ..LocalSettings::default() });
    let player = PlayerId::new("p").unwrap();
    tier.put(held("p", 1, at(5_000)));
    assert!(tier.get(&player, at(6_000)).is_some());
    assert!(tier.get(&player, at(6_001)).is_none(), "older than fresh");
    assert!(tier.get(&player, at(4_999)).is_none(), "the clock went back");
    let usage = tier.usage();
    assert_eq!((usage.hits, usage.misses, usage.sets), (1, 2, 1));
}

#[test]
fn a_copy_that_is_too_old_is_dropped_when_it_is_asked_for_and_its_version_is_known_still() {
    let tier = LocalTier::new(LocalSettings::default());
    let old = held("p", 7, at(0));
    let copy = Arc::clone(&old.cached);
    tier.put(old);
    assert_eq!(Arc::strong_count(&copy), 2);
    assert!(tier.get(&copy.queue.player_id, at(1_001)).is_none());
    assert_eq!(Arc::strong_count(&copy), 1);
    let knows_newer = |copy: &CachedQueue| tier.knows_newer(copy, at(1_001));
    assert!(knows_newer(&held("p", 6, at(0)).cached) && !knows_newer(&copy));
    tier.put(held("p", 6, at(1_001)));
    assert!(tier.get(&copy.queue.player_id, at(1_001)).is_none(), "an older one does not take its place");
}

/// Only where the table was restored to an older version is there anything to forget.
#[test]
fn a_version_that_was_seen_is_forgotten_after_an_hour() {
    let tier = LocalTier::new(LocalSettings::default());
    let player = PlayerId::new("p").unwrap();
    let (begin, hour) = (10_000_000, 3_600_000);
    tier.put(held("p", 100, at(begin)));
    let restored = |millis| held("p", 50, at(millis));
    let knows_newer = |millis| tier.knows_newer(&restored(millis).cached, at(millis));
    assert!(knows_newer(begin) && knows_newer(begin + hour) && knows_newer(begin - hour));
    assert!(!knows_newer(begin + hour + 1));
    assert!(!knows_newer(begin - hour - 1), "by a clock that went back since");
    tier.put(restored(begin + hour));
    assert!(tier.get(&player, at(begin + hour)).is_none());
    tier.put(restored(begin + hour + 1));
    let copy = tier.get(&player, at(begin + hour + 1)).unwrap();
    assert_eq!(copy.cached.queue.version, 50);
    // The same for a copy that does not fit into the place of the one before.
    let mut large = restored(begin + 3 * hour);
    let queue = &mut Arc::make_mut(&mut large.cached).queue;
    queue.version = 20;
    queue.tasks.reserve(1_000);
    tier.put(large);
    let copy = tier.get(&player, at(begin + 3 * hour)).unwrap();
    assert_eq!(copy.cached.queue.version, 20);
}

#[test]
fn a_version_never_moves_backwards() {
    let tier = LocalTier::new(LocalSettings::default());
    tier.put(held("p", 7, at(0)));
    tier.put(held("p", 6, at(1)));
    let newest = tier.get(&PlayerId::new("p").unwrap(), at(1)).unwrap();
    assert_eq!(newest.cached.queue.version, 7);
}

#[test]
fn entries_and_bytes_are_bounded() {
    let tier = LocalTier::new(LocalSettings { max_entries: 10, max_bytes: 1 << 20, ..LocalSettings::default() });
    for n in 0..100 {
        tier.put(held(&format!("p-{n}"), 1, at(n)));
    }
    let usage = tier.usage();
    assert!(usage.entries <= 10, "{usage:?}");
    assert!(usage.evictions >= 90, "{usage:?}");

    let tier = LocalTier::new(LocalSettings { max_entries: 1_000, max_bytes: 10_000, ..LocalSettings::default() });
    for n in 0..100 {
        tier.put(held(&format!("p-{n}"), 1, at(n)));
    }
    let usage = tier.usage();
    assert!(usage.bytes <= 10_000 && usage.entries > 0, "{usage:?}");
}

#[test]
fn shrinking_halves_the_content_oldest_first() {
    let tier = LocalTier::new(LocalSettings::default());
    for n in 0..100 {
        tier.put(held(&format!("p-{n}"), 1, at(n)));
    }
    let before = tier.usage();
    assert_eq!(tier.shrink(), 50);
    let after = tier.usage();
    assert_eq!((after.entries, after.bytes), (50, before.bytes / 2));
    assert!(tier.get(&PlayerId::new("p-0").unwrap(), at(99)).is_none());
    assert!(tier.get(&PlayerId::new("p-99").unwrap(), at(99)).is_some());
}

#[test]
fn replaced_copies_give_their_bytes_back() {
    let tier = LocalTier::new(LocalSettings::default());
    tier.put(held("p", 1, at(0)));
    let one = tier.usage().bytes;
    for version in 2..50 {
        tier.put(held("p", version, at(0)));
    }
    assert_eq!(tier.usage().bytes, one);
    tier.clear();
    assert_eq!((tier.usage().bytes, tier.usage().entries), (0, 0));
}

#[test]
fn a_copy_that_is_taken_is_missed_until_it_is_put_back_and_no_older_one_takes_its_place() {
    let tier = LocalTier::new(LocalSettings::default());
    let player = PlayerId::new("p").unwrap();
    tier.put(held("p", 7, at(0)));
    let taken = tier.take(&player, at(1)).unwrap();
    assert_eq!((Arc::strong_count(&taken.cached), taken.since), (1, at(0)), "its only owner may change it");
    assert!(tier.take(&player, at(1)).is_none() && tier.get(&player, at(1)).is_none());
    tier.put(held("p", 6, at(1)));
    assert!(tier.get(&player, at(1)).is_none());
    tier.put(taken);
    assert_eq!(tier.get(&player, at(1)).unwrap().since, at(0), "as old as before");
}
