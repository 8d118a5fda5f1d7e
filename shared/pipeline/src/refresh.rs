//! Refresh: the caches learn of every changed queue, once its records are written, and forget whatever they
//! may hold of queues that failed on the way. Its failure fails nothing.

use millrace_cache::CachedCopy;
use millrace_domain::{PlayerId, Timestamp};
use tokio::time::{Instant, timeout_at};

use crate::{
    player::{Fresh, Player},
    report::Figures,
    service::Service,
};

impl Service {
    /// Puts all copies in one round trip, and in another at the same time forgets what may be out of date.
    pub(crate) async fn refresh(
        &self,
        players: &mut [Player],
        now: Timestamp,
        deadline: Instant,
        figures: &mut Figures,
    ) {
        let (mut changed, mut outdated): (Vec<CachedCopy>, Vec<PlayerId>) = (Vec::new(), Vec::new());
        // Then an old copy is better for others than none: the table may not be there to make a new one.
        let emergency = self.cache.emergency(now).is_some();
        for player in players {
            let fresh = player.fresh.take();
            if player.outdated {
                if emergency {
                    self.cache.forget_local(&player.work.player_id);
                } else {
                    outdated.push(player.work.player_id.clone());
                }
                continue;
            }
            match fresh {
                Some(Fresh { held, everywhere: true }) => changed.push(held),
                Some(Fresh { held, everywhere: false }) => self.cache.put_local(held),
                None => {}
            }
        }
        if changed.is_empty() && outdated.is_empty() {
            return;
        }
        let put = async { if changed.is_empty() { 0 } else { self.cache.put(&changed, now).await } };
        let forget = async { if outdated.is_empty() { 0 } else { self.cache.forget(&outdated).await } };
        // Where work was cut off by the deadline, the caches are still told: that is what the margin is for.
        let until = deadline.max(Instant::now() + self.settings.deadline_margin / 4);
        match timeout_at(until, async { tokio::join!(put, forget) }).await {
            Ok((put, forgotten)) => figures.cache.shared_errors += put + forgotten,
            Err(_) => figures.cache.shared_errors += 1,
        }
    }
}
