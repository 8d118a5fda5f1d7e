//! The linger window: writes that arrive while it is open share calls.
//!
//! The first write opens a window, and others join until it closes. Each of them polls the same
//! shared future, which makes the calls of all. Dropping one write does not stop the others, and
//! the future ends when all writes are dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use millrace_domain::record::RecordKey;
use tokio::{sync::Notify, time::Instant};

use super::{call::Call, packer::CallPacker, rows::PendingRow};

/// A future that makes the calls of a window. Each write of the window polls a clone.
pub(super) type WindowRun = Shared<BoxFuture<'static, ()>>;

/// A write that joins or opens a window.
pub(super) struct NewWrite {
    pub(super) rows: Vec<(RecordKey, PendingRow)>,
    /// Until when rows that do not fill a call wait for others.
    pub(super) closes_at: Instant,
    pub(super) deadline: Instant,
}

/// Rows of several writes that share calls.
pub(super) struct LingerWindow {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// Until when calls that are not full wait for more rows; `None` if the window is closed.
    closes_at: Option<Instant>,
    /// The latest deadline of all writes.
    deadline: Instant,
    packer: CallPacker,
}

/// The calls that are ready, and until when the window accepts more.
pub(super) struct ReadyCalls {
    pub(super) calls: Vec<Call>,
    pub(super) closes_at: Option<Instant>,
    pub(super) deadline: Instant,
}

impl LingerWindow {
    pub(super) fn new(max_items: usize, write: NewWrite) -> Self {
        let mut packer = CallPacker::new(max_items);
        write.rows.into_iter().for_each(|(key, row)| packer.add(key, row));
        let state = State { closes_at: Some(write.closes_at), deadline: write.deadline, packer };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Adds the rows of another write. Returns the write if the window is closed.
    fn join(&self, write: NewWrite) -> Result<(), NewWrite> {
        let mut state = self.state();
        let Some(closes_at) = state.closes_at else { return Err(write) };
        state.closes_at = Some(closes_at.min(write.closes_at));
        state.deadline = state.deadline.max(write.deadline);
        write.rows.into_iter().for_each(|(key, row)| state.packer.add(key, row));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes the calls that are full, and all calls once it is time to close.
    pub(super) fn take_ready(&self, now: Instant) -> ReadyCalls {
        let mut state = self.state();
        let calls = match state.closes_at {
            Some(closes_at) if now < closes_at => state.packer.take_full(),
            _ => {
                state.closes_at = None;
                state.packer.take_all()
            }
        };
        ReadyCalls { calls, closes_at: state.closes_at, deadline: state.deadline }
    }

    /// Waits until a write joins.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Refuses further writes.
    pub(super) fn close(&self) {
        self.state().closes_at = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Rows are added one by one, so a poisoned state has no row that is half added.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The window that new writes join, if it is still open.
#[derive(Default)]
pub(super) struct CurrentWindow(Mutex<Option<RunningWindow>>);

/// A window and its run, for as long as one of its writes waits.
struct RunningWindow {
    window: Weak<LingerWindow>,
    run: WeakShared<BoxFuture<'static, ()>>,
}

impl CurrentWindow {
    /// Joins the current window, or starts a new one.
    pub(super) fn join_or_open(
        &self,
        write: NewWrite,
        open: impl FnOnce(NewWrite) -> (Arc<LingerWindow>, BoxFuture<'static, ()>),
    ) -> WindowRun {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = current.as_ref().and_then(|running| Some((running.window.upgrade()?, running.run.upgrade()?)));
        let write = match running {
            Some((window, run)) => match window.join(write) {
                Ok(()) => return run,
                Err(write) => write,
            },
            None => write,
        };
        let (window, run) = open(write);
        let run = run.shared();
        *current = run.downgrade().map(|run| RunningWindow { window: Arc::downgrade(&window), run });
        run
    }
}
