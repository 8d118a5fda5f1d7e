//! The shared cache tier in memory, with an outage that tests switch on.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use millrace_cache::{Emergency, SharedCache, SharedCacheState};
use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};

/// A version, and the copy unless it was forgotten.
type Value = (u64, Option<Arc<CachedQueue>>);

/// What all processes share.
#[derive(Default)]
pub struct Copies {
    values: Mutex<HashMap<PlayerId, Value>>,
}

impl Copies {
    /// The version of the copy held.
    pub fn version(&self, player: &str) -> Option<u64> {
        let values = self.values.lock().unwrap();
        let (_, cached) = values.get(&PlayerId::new(player).unwrap())?;
        cached.as_ref().map(|cached| cached.queue.version)
    }
}

/// One process's way to them.
#[derive(Default)]
pub struct Remote {
    pub copies: Arc<Copies>,
    /// Whatever is written gets lost on the way.
    pub deaf: AtomicBool,
    /// Nothing is ever answered.
    pub hangs: AtomicBool,
    pub emergency: Mutex<Option<Emergency>>,
    pub gets: AtomicU64,
    pub puts: AtomicU64,
    pub forgets: AtomicU64,
}

impl Remote {
    /// Another process's way to the same copies.
    pub fn another(&self) -> Arc<Self> {
        Arc::new(Self { copies: Arc::clone(&self.copies), ..Self::default() })
    }

    /// The same, where whatever is written gets lost.
    pub fn deaf(&self) -> Arc<Self> {
        let remote = self.another();
        remote.deaf.store(true, Ordering::Relaxed);
        remote
    }

    async fn count(&self, calls: &AtomicU64) {
        calls.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl SharedCache for Remote {
    fn state(&self) -> SharedCacheState {
        SharedCacheState::Up
    }

    async fn get(&self, players: &[PlayerId]) -> (Vec<Option<Arc<CachedQueue>>>, u64) {
        self.count(&self.gets).await;
        let values = self.copies.values.lock().unwrap();
        (players.iter().map(|player| values.get(player).and_then(|(_, cached)| cached.clone())).collect(), 0)
    }

    async fn put(&self, copies: &[Arc<CachedQueue>], _now: Timestamp) -> u64 {
        self.count(&self.puts).await;
        if self.deaf.load(Ordering::Relaxed) {
            return copies.len() as u64;
        }
        let mut values = self.copies.values.lock().unwrap();
        for cached in copies {
            let (player, version) = (cached.queue.player_id.clone(), cached.queue.version);
            let held = values.entry(player).or_default();
            if held.0 <= version {
                *held = (version, Some(Arc::clone(cached)));
            }
        }
        0
    }

    async fn forget(&self, players: &[PlayerId]) -> u64 {
        self.count(&self.forgets).await;
        if self.deaf.load(Ordering::Relaxed) {
            return players.len() as u64;
        }
        let mut values = self.copies.values.lock().unwrap();
        for player in players {
            values.entry(player.clone()).or_default().1 = None;
        }
        0
    }

    async fn ping(&self) -> bool {
        true
    }

    fn emergency(&self) -> Option<Emergency> {
        *self.emergency.lock().unwrap()
    }
}
