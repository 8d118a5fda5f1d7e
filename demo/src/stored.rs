//! Prints queues and history from the store.

use std::path::Path;

use millrace_domain::{
    PlayerId, Queue, Resources, Rules, Timestamp, Work, codec,
    record::HistoryRecord,
    view::{QueueView, Status, TaskView},
};
use millrace_store::{QueueStore, RecordStore, StoreError, sqlite};
use serde_json::Value;

use crate::text::{Style, count, duration, table};

/// The most finished tasks that are shown.
const HISTORY: usize = 20;

/// Why the store cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    #[error(transparent)]
    Open(#[from] sqlite::OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{player}: {source}")]
    Codec { player: PlayerId, source: codec::CodecError },
    #[error("{player} has no queue")]
    Missing { player: PlayerId },
}

/// The embedded store of a demonstration.
pub struct Stored {
    store: sqlite::SqliteStore,
}

impl Stored {
    /// Opens the store's file.
    pub async fn open(path: &Path, prefix: &str) -> Result<Self, StoredError> {
        let settings = sqlite::SqliteSettings { prefix: prefix.to_owned(), ..sqlite::SqliteSettings::default() };
        Ok(Self { store: sqlite::SqliteStore::open(path, settings).await? })
    }

    /// The last committed queue of a player.
    async fn queue(&self, player: &PlayerId) -> Result<Queue, StoredError> {
        let row = self.store.load(std::slice::from_ref(player), &[], &[]).await.take_queue(player)?;
        let row = row.ok_or_else(|| StoredError::Missing { player: player.clone() })?;
        codec::decode(&row.queue).map_err(|source| StoredError::Codec { player: player.clone(), source })
    }

    /// The queue of a player as of now.
    pub async fn queue_lines(
        &self,
        player: &PlayerId,
        now: Timestamp,
        style: Style,
    ) -> Result<Vec<String>, StoredError> {
        let queue = self.queue(player).await?;
        Ok(view_lines(&QueueView::new(&queue, now, Rules::default()), style))
    }

    /// The finished tasks of a player, newest first.
    pub async fn history_lines(&self, player: &PlayerId, style: Style) -> Result<Vec<String>, StoredError> {
        let page = self.store.history(player, HISTORY, None).await?;
        let mut lines =
            vec![style.heading(&format!("History of {player}: {}", count(page.items.len() as u64, "finished task")))];
        let rows: Vec<[String; 5]> = page.items.iter().map(history_row).collect();
        lines.extend(table(2, &rows));
        Ok(lines)
    }
}

fn view_lines(view: &QueueView, style: Style) -> Vec<String> {
    let status = match view.status {
        Status::Running => "running",
        Status::Paused => "paused",
    };
    let mut lines = vec![style.heading(&format!("Queue of {} as of {}", view.player_id, view.as_of))];
    let totals = &view.totals;
    lines.extend(table(
        2,
        &[
            [
                "state".to_owned(),
                format!(
                    "{status}, version {}, {}, at most {}",
                    view.version,
                    count(view.slots.into(), "slot"),
                    count(view.max_tasks.into(), "task")
                ),
            ],
            ["balances".to_owned(), resources(&view.balances)],
            [
                "totals".to_owned(),
                format!(
                    "{} completed, {} failed, {} cancelled; {} of work; rewards: {}",
                    totals.completed,
                    totals.failed,
                    totals.cancelled,
                    duration(totals.time_spent_ms),
                    resources(&totals.rewards)
                ),
            ],
            ["tasks".to_owned(), if view.tasks.is_empty() { "none" } else { "" }.to_owned()],
        ],
    ));
    let rows: Vec<[String; 5]> = view.tasks.iter().map(task_row).collect();
    lines.extend(table(4, &rows));
    lines
}

fn task_row(task: &TaskView) -> [String; 5] {
    // The JSON has the names that clients of the API see.
    let task_json = serde_json::to_value(task).unwrap_or_default();
    let text = |name: &str| task_json[name].as_str().unwrap_or_default().to_owned();
    let progress = match (task_json["progress"].as_f64(), task.units_done) {
        (Some(share), Some(units)) => format!("{:.0} %, {}", share * 100.0, count(units, "unit")),
        (Some(share), None) => format!("{:.0} %", share * 100.0),
        (None, _) => String::new(),
    };
    let blocked: Vec<&str> =
        task_json["blockedBy"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let finish = match (&task.finish_at, &task.estimated_finish_at, blocked.as_slice()) {
        (Some(at), _, _) => format!("finishes {at}"),
        (None, _, []) => "finishes when all units are reported".to_owned(),
        (None, Some(at), blocked) => format!("waits for {}; estimated finish {at}", blocked.join(", ")),
        (None, None, blocked) => format!("waits for {}", blocked.join(", ")),
    };
    [text("taskId"), text("priority"), text("state"), progress, finish]
}

fn history_row(row: &HistoryRecord) -> [String; 5] {
    let work = match row.work {
        Work::DurationMs(_) => duration(row.time_spent_ms),
        Work::Units { units, .. } => format!("{} of {}", row.units_done, count(units, "unit")),
    };
    let mut notes = Vec::new();
    if let Some(reason) = &row.reason {
        notes.push(reason.clone());
    }
    if row.attempts > 0 {
        notes.push(format!("failed {}", count(row.attempts.into(), "time")));
    }
    for (what, amounts) in [("cost", &row.costs), ("refunded", &row.refunded), ("earned", &row.rewards)] {
        if !amounts.is_empty() {
            notes.push(format!("{what} {}", resources(amounts)));
        }
    }
    [row.finished_at.to_string(), row.task_id.to_string(), row.outcome.as_str().to_owned(), work, notes.join("; ")]
}

fn resources(amounts: &Resources) -> String {
    if amounts.is_empty() {
        return "nothing".to_owned();
    }
    amounts.iter().map(|(name, amount)| format!("{amount} {name}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use millrace_domain::{Command, CommandId, Delivery, Sender, json};

    use super::*;

    #[test]
    fn a_queue_is_printed_as_a_table() {
        let body = r#"{"type":"enqueueTasks","playerId":"p","tasks":[
            {"taskId":"a","kind":"k","work":{"durationMs":60000}},{"taskId":"b","kind":"k","work":{"units":5}}]}"#;
        let Ok(json::Message::Commands(commands)) = json::parse_message(body) else { panic!("malformed") };
        let command: Command = commands[0].as_ref().unwrap().command.clone();
        let start = Timestamp::from_millis(1_768_467_600_000);
        let player_id = PlayerId::new("p").unwrap();
        let mut queue = Queue::new(player_id.clone(), start);
        let command_id = CommandId::new("c").unwrap();
        queue.deliver(
            &Delivery { player_id, command_id, sender: Sender::Trusted, sent_at: start, fifo: None, command },
            start,
            Rules::default(),
            &mut Vec::new(),
        );
        let lines = view_lines(&QueueView::new(&queue, start + 15_000, Rules::default()), Style::plain());
        assert_eq!(
            lines,
            [
                "Queue of p as of 2026-01-15T09:00:15.000Z",
                "  state     running, version 0, 1 slot, at most 50 tasks",
                "  balances  nothing",
                "  totals    0 completed, 0 failed, 0 cancelled; 0 ms of work; rewards: nothing",
                "  tasks",
                "    a  normal  active   25 %  finishes 2026-01-15T09:01:00.000Z",
                "    b  normal  pending        waits for slot",
            ]
        );
    }
}
