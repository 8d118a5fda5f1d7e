//! Single-flight loading: of several who miss the same queue at once, one loads it.
//!
//! Loading is done for many queues in one call, so a per-key loader would undo what batching gains.
//! Whoever misses claims what nobody else is loading yet, loads that in one call, and waits for the rest.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use millrace_domain::PlayerId;
use tokio::sync::watch;

/// The loads under way in this process.
#[derive(Debug, Clone, Default)]
pub struct Flights {
    under_way: Arc<Mutex<HashMap<PlayerId, watch::Receiver<()>>>>,
}

/// What a caller is to load itself, and what it waits for.
#[derive(Debug)]
pub struct Claim {
    /// To be loaded by the caller. Others wait until this claim is dropped.
    pub lead: Vec<PlayerId>,
    /// Being loaded by others.
    pub follow: Vec<PlayerId>,
    waits: Vec<watch::Receiver<()>>,
    flights: Flights,
    // Dropped with the claim, whether the load succeeded, failed or was cancelled: nobody hangs.
    landing: watch::Sender<()>,
}

impl Flights {
    /// Claims `players` for loading.
    pub fn claim(&self, players: impl IntoIterator<Item = PlayerId>) -> Claim {
        let (landing, landed) = watch::channel(());
        let mut claim =
            Claim { lead: Vec::new(), follow: Vec::new(), waits: Vec::new(), flights: self.clone(), landing };
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        for player in players {
            match under_way.get(&player) {
                Some(wait) => {
                    claim.waits.push(wait.clone());
                    claim.follow.push(player);
                }
                None => {
                    under_way.insert(player.clone(), landed.clone());
                    claim.lead.push(player);
                }
            }
        }
        claim
    }
}

impl Claim {
    /// Whether somebody waits for a load of this claim.
    pub fn is_followed(&self) -> bool {
        self.landing.receiver_count() > self.lead.len()
    }

    /// Ends this caller's own load, then waits until those of others have ended, well or not; look again
    /// then. In this order, because two callers may each wait for what the other loads.
    pub async fn others(mut self) {
        let waits = std::mem::take(&mut self.waits);
        drop(self);
        for mut wait in waits {
            // Nothing is ever sent: the error that the sender is gone is the signal.
            while wait.changed().await.is_ok() {}
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        for player in &self.lead {
            under_way.remove(player);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn players(names: &[&str]) -> Vec<PlayerId> {
        names.iter().map(|name| PlayerId::new(name).unwrap()).collect()
    }

    #[tokio::test]
    async fn one_loads_and_the_others_wait_for_it() {
        let flights = Flights::default();
        let first = flights.claim(players(&["a", "b"]));
        let second = flights.claim(players(&["b", "c"]));
        assert_eq!(first.lead, players(&["a", "b"]));
        assert_eq!((&second.lead, &second.follow), (&players(&["c"]), &players(&["b"])));
        assert!(first.is_followed() && !second.is_followed());
        let waiting = tokio::spawn(second.others());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        drop(first);
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_claim_lands_before_it_waits() {
        // A follower's own players are free while it waits, or two that cross would wait for ever.
        let flights = Flights::default();
        let first = flights.claim(players(&["a"]));
        let second = flights.claim(players(&["a", "b"]));
        let third = flights.claim(players(&["b"]));
        let waiting = tokio::spawn(second.others());
        tokio::time::timeout(Duration::from_secs(5), third.others()).await.unwrap();
        assert!(!waiting.is_finished(), "it still waits for the first");
        assert_eq!(flights.claim(players(&["b"])).lead, players(&["b"]));
        drop(first);
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_claim_that_is_dropped_unloaded_frees_its_players() {
        let flights = Flights::default();
        drop(flights.claim(players(&["a"])));
        assert_eq!(flights.claim(players(&["a"])).lead, players(&["a"]));
    }
}
