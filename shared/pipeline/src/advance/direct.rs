//! Advances what is due through the pipeline, where there is no queue for ticks.
//!
//! Nobody delivers again what a crash cuts short here, so a commit leaves its queue in the index of what is
//! due until its records are written ([`settle`](crate::settle)).

use millrace_domain::Timestamp;
use millrace_store::DueQueue;
use tokio::time::Instant;

use super::{
    answer::{AdvanceReport, Mode},
    due::DueQueues,
};
use crate::{
    decode::{Decoded, Item, MessageInfo, Source, Task},
    group::group,
    player::Player,
    report::Figures,
    service::{Invocation, Service},
    status::{Failure, Status},
};

/// Queues advanced at once, at most: what bounds the memory of a run.
const MOST_AT_ONCE: usize = 500;
/// Queues advanced at once in the beginning, doubled each time: however slow the store and short the time,
/// a run finishes some.
const FEWEST_AT_ONCE: usize = 50;

impl Service {
    /// Advances all that `due` holds, oldest first; also how many players that were.
    pub(super) async fn advance_due(
        &self,
        due: &mut DueQueues<'_>,
        invocation: &Invocation,
        deadline: Instant,
        figures: &mut Figures,
    ) -> (AdvanceReport, u64) {
        let mut report = AdvanceReport::new(Mode::Direct);
        let (mut players, mut at_once) = (0, FEWEST_AT_ONCE);
        while Instant::now() < deadline && !report.has_left() {
            let found = due.take(at_once).await;
            at_once = (2 * at_once).min(MOST_AT_ONCE);
            if found.is_empty() {
                break;
            }
            report.due += found.len() as u64;
            players += self.advance_some(found, invocation, deadline, figures, &mut report).await;
        }
        (report, players)
    }

    async fn advance_some(
        &self,
        due: Vec<DueQueue>,
        invocation: &Invocation,
        deadline: Instant,
        figures: &mut Figures,
        report: &mut AdvanceReport,
    ) -> u64 {
        let now = self.clock.now();
        let due_at: Vec<Timestamp> = due.iter().map(|due| due.due_at).collect();
        let item = |due: DueQueue| Item { message: 0, task: Task::Tick(due.player_id) };
        let decoded = Decoded {
            source: Source::Direct,
            messages: vec![MessageInfo { id: invocation.request_id.clone(), fifo_group: None }],
            items: due.into_iter().map(item).collect(),
            refused: Vec::new(),
        };
        let mut statuses = vec![Status::Open; decoded.items.len()];
        let mut players: Vec<Player> = group(&decoded.items).into_iter().map(Player::new).collect();
        let mut first = true;
        while first || players.iter().any(Player::is_open) {
            self.round(&decoded, &mut players, &mut statuses, &mut [], first, now, deadline, figures).await;
            first = false;
        }
        // A store that does not answer in time fails with an error of its own.
        let late = Instant::now() >= deadline;
        for ((item, status), due_at) in decoded.items.iter().zip(statuses).zip(due_at) {
            let failure = match status {
                Status::Failed(failure) => failure,
                Status::Open => Failure::deadline(),
                _ => {
                    report.ticks += 1;
                    continue;
                }
            };
            report.failed += 1;
            if late || failure.is_deadline() {
                report.leave(due_at);
            }
            if !failure.is_deadline() {
                let player_id = item.task.player_id().as_str();
                tracing::warn!(player_id, reason = failure.code, detail = %failure.detail, "not advanced");
            }
            report.failure.get_or_insert(failure);
        }
        let (settled, unsettled) = self.settle(&mut players, deadline, figures).await;
        report.settled += settled;
        report.unsettled += unsettled;
        // Found with nothing due, but not taken out of the index: that is left to the next run.
        let undone = players.iter().filter(|player| player.outdated && !player.failed && !player.committed).count();
        report.ticks -= undone as u64;
        report.failed += undone as u64;
        self.refresh(&mut players, now, deadline, figures).await;
        players.len() as u64
    }
}
