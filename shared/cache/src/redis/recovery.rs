//! Opens the circuit breaker after failed calls, and closes it after a probe that succeeded and
//! after all pending invalidations were sent.
//!
//! Calls start probes. While invalidations are pending, probes also start without calls: other
//! processes may read the stale copies as soon as Redis works again. A frozen sandbox has no
//! timers, so there the first call after the thaw starts the probe.

use std::{
    sync::{Arc, MutexGuard, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use millrace_domain::PlayerId;

use super::{cache::Core, call::Call, command::Forget, reply::Failure};
use crate::{
    breaker::{Breaker, FailureKind},
    state::SharedCacheState,
};

/// How long the background task waits at least before it looks again whether to probe.
const MIN_WAIT: Duration = Duration::from_millis(250);

impl Core {
    pub(super) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the breaker is closed. Starts a probe if one is due.
    pub(super) fn state_and_probe(&self) -> SharedCacheState {
        if self.breaker().is_closed() {
            return SharedCacheState::Up;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && let Some(probe) = self.claim_probe()
        {
            runtime.spawn(probe.run());
        }
        SharedCacheState::Down
    }

    fn claim_probe(&self) -> Option<Probe> {
        let core = self.itself.upgrade()?;
        let claimed = self.breaker().claim_probe(self.moment());
        claimed.then(|| Probe { core, finished: false })
    }

    /// Counts an answered call.
    pub(super) fn succeeded(&self) {
        self.breaker().success();
    }

    /// Counts an unanswered call.
    pub(super) fn failed(&self, failure: &Failure) {
        if !self.breaker().failure(failure.kind, self.moment()) {
            tracing::debug!(reason = %failure, "a call to Redis failed");
            return;
        }
        // The cluster client would go on to reconnect in the background.
        self.client.disconnect();
        let opening = self.openings.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(probe_while_pending(self.itself.clone(), opening));
        }
        tracing::warn!(reason = %failure, "calls to Redis fail; continuing without it for a while");
    }

    /// Adds pending invalidations if the breaker is open. Returns whether it is.
    pub(super) fn add_pending_while_down(&self, invalidations: &[(PlayerId, Forget)]) -> bool {
        // Locked while they are added, so that the breaker does not close without sending them.
        let breaker = self.breaker();
        let down = !breaker.is_closed();
        if down {
            self.pending.add(invalidations.iter().cloned());
        }
        down
    }

    /// Sends all pending invalidations, then closes the breaker.
    async fn send_pending_and_close(&self) -> Result<(), FailureKind> {
        loop {
            {
                let mut breaker = self.breaker();
                if self.pending.is_empty() {
                    breaker.probed(Ok(()), self.moment());
                    return Ok(());
                }
            }
            if let (_, Some(failure)) = self.call(&self.forget, Vec::new(), Call::default()).await {
                return Err(failure.kind);
            }
        }
    }
}

/// Probes while the breaker is open and invalidations are pending. Ends when the breaker closes or
/// the cache is dropped.
async fn probe_while_pending(core: Weak<Core>, opening: u64) {
    let time_to_probe = |core: &Core| core.breaker().time_to_probe(core.moment());
    while let Some(wait) = core.upgrade().and_then(|core| time_to_probe(&core)) {
        tokio::time::sleep(wait.max(MIN_WAIT)).await;
        let Some(core) = core.upgrade() else { return };
        // Each opening has its task.
        if core.openings.load(Ordering::Relaxed) != opening {
            return;
        }
        if !core.pending.is_empty()
            && let Some(probe) = core.claim_probe()
        {
            probe.run().await;
        }
    }
}

/// A running probe. One that is dropped has failed, so that another one can start.
struct Probe {
    core: Arc<Core>,
    finished: bool,
}

impl Probe {
    async fn run(mut self) {
        let core = Arc::clone(&self.core);
        // A new connection, to where the name leads now.
        core.client.disconnect();
        let result = match core.client.probe(&core.settings, core.moment()).await {
            Ok(()) => core.send_pending_and_close().await,
            Err(failure) => {
                tracing::debug!(reason = %failure, "the probe of Redis failed");
                Err(failure.kind)
            }
        };
        self.finished = true;
        match result {
            Ok(()) => tracing::info!("Redis answers again"),
            Err(kind) => core.breaker().probed(Err(kind), core.moment()),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.finished {
            self.core.breaker().probed(Err(FailureKind::NotServed), self.core.moment());
        }
    }
}
