//! An in-memory shared cache with outages that tests can switch on.

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

/// The newest known version, and the copy unless it was invalidated.
type CachedEntry = (u64, Option<Arc<CachedQueue>>);

/// The copies that all processes share.
#[derive(Default)]
pub struct Copies {
    entries: Mutex<HashMap<PlayerId, CachedEntry>>,
}

impl Copies {
    /// The version of a player's copy, or `None` if there is no valid copy.
    pub fn version(&self, player: &str) -> Option<u64> {
        let entries = self.entries.lock().unwrap();
        let (_, cached) = entries.get(&PlayerId::new(player).unwrap())?;
        cached.as_ref().map(|cached| cached.queue.version)
    }
}

/// The connection of one process to the shared copies.
#[derive(Default)]
pub struct FakeSharedCache {
    /// The copies that this connection reads and writes.
    pub copies: Arc<Copies>,
    /// Whether every write fails without an effect.
    pub loses_writes: AtomicBool,
    /// Whether calls never return.
    pub hangs: AtomicBool,
    /// The emergency mode that this process has read from the shared cache.
    pub emergency: Mutex<Option<Emergency>>,
    /// The number of calls of `get`.
    pub gets: AtomicU64,
    /// The number of calls of `put`.
    pub puts: AtomicU64,
    /// The number of calls of `forget`.
    pub forgets: AtomicU64,
}

impl FakeSharedCache {
    /// Opens the connection of another process to the same copies.
    pub fn connect(&self) -> Arc<Self> {
        Arc::new(Self { copies: Arc::clone(&self.copies), ..Self::default() })
    }

    /// Opens another connection, on which every write fails without an effect.
    pub fn connect_losing_writes(&self) -> Arc<Self> {
        let connection = self.connect();
        connection.loses_writes.store(true, Ordering::Relaxed);
        connection
    }

    async fn count_call(&self, calls: &AtomicU64) {
        calls.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl SharedCache for FakeSharedCache {
    fn state(&self) -> SharedCacheState {
        SharedCacheState::Up
    }

    async fn get(&self, players: &[PlayerId]) -> (Vec<Option<Arc<CachedQueue>>>, u64) {
        self.count_call(&self.gets).await;
        let entries = self.copies.entries.lock().unwrap();
        (players.iter().map(|player| entries.get(player).and_then(|(_, cached)| cached.clone())).collect(), 0)
    }

    async fn put(&self, copies: &[Arc<CachedQueue>], _now: Timestamp) -> u64 {
        self.count_call(&self.puts).await;
        if self.loses_writes.load(Ordering::Relaxed) {
            return copies.len() as u64;
        }
        let mut entries = self.copies.entries.lock().unwrap();
        for cached in copies {
            let (player, version) = (cached.queue.player_id.clone(), cached.queue.version);
            let entry = entries.entry(player).or_default();
            if entry.0 <= version {
                *entry = (version, Some(Arc::clone(cached)));
            }
        }
        0
    }

    async fn forget(&self, players: &[PlayerId]) -> u64 {
        self.count_call(&self.forgets).await;
        if self.loses_writes.load(Ordering::Relaxed) {
            return players.len() as u64;
        }
        let mut entries = self.copies.entries.lock().unwrap();
        for player in players {
            entries.entry(player.clone()).or_default().1 = None;
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
