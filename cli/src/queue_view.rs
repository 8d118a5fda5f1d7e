//! A queue as text: a heading, the tasks as a table, balances, and what ended recently.

use crate::{
    answers::{Queue, Task},
    tables::{bar, render as render_table, table},
    text::{amounts, count, printable},
};

/// The finished tasks that are shown, the last ones.
const RECENT_SHOWN: usize = 5;

/// The queue as text of several lines.
pub fn render(queue: &Queue) -> String {
    let active = queue.tasks.iter().filter(|task| task.state == "active").count();
    let mut lines = vec![
        format!("{}  {}  version {}  as of {}", queue.player_id, queue.status, queue.version, queue.as_of),
        format!(
            "{active} of {} in use, {} of at most {}",
            count(queue.slots, "slot"),
            count(queue.tasks.len() as u64, "task"),
            queue.max_tasks
        ),
        format!("balances: {}", amounts(&queue.balances)),
    ];
    let totals = &queue.totals;
    lines.push(format!(
        "ended:    {} completed, {} failed, {} cancelled; rewards: {}",
        totals.completed,
        totals.failed,
        totals.cancelled,
        amounts(&totals.rewards)
    ));
    if !queue.tasks.is_empty() {
        lines.push(String::new());
        lines.push(tasks(&queue.tasks));
    }
    if !queue.recent.is_empty() {
        lines.push(String::new());
        let mut recent = table(&["recent", "outcome", "at"]);
        for task in queue.recent.iter().take(RECENT_SHOWN) {
            recent.add_row([&task.task_id, &task.outcome, &task.finished_at]);
        }
        lines.push(render_table(&recent));
    }
    lines.iter().map(|line| line.lines().map(printable).collect::<Vec<_>>().join("\n")).collect::<Vec<_>>().join("\n")
}

fn tasks(tasks: &[Task]) -> String {
    let mut rows = table(&["task", "kind", "priority", "state", "progress", "failed", "ends or waits"]);
    for task in tasks {
        let progress = task.progress.map(bar).unwrap_or_default();
        let attempts = if task.attempts > 0 { count(task.attempts, "time") } else { String::new() };
        rows.add_row([&task.task_id, &task.kind, &task.priority, &task.state, &progress, &attempts, &outlook(task)]);
    }
    render_table(&rows)
}

/// When a task ends, or why it waits.
fn outlook(task: &Task) -> String {
    let estimate = task.estimated_finish_at.as_deref();
    if task.state == "active" {
        return match (&task.finish_at, &task.deadline, task.units_done) {
            (Some(at), ..) => format!("completes at {at}"),
            (None, Some(at), Some(units)) => {
                format!("{} reported, fails at {at} without a report", count(units, "unit"))
            }
            (None, None, Some(units)) => format!("{} reported", count(units, "unit")),
            _ => "stands still: the queue is paused".to_owned(),
        };
    }
    let reasons: Vec<&str> = task.blocked_by.iter().map(|reason| explain(reason)).collect();
    let reasons = if reasons.is_empty() { "about to start".to_owned() } else { reasons.join(", ") };
    match estimate {
        Some(at) => format!("{reasons}; completes about {at}"),
        None => reasons,
    }
}

fn explain(reason: &str) -> &str {
    match reason {
        "slot" => "no slot is free",
        "notBefore" => "its start or retry time has not come",
        "prerequisites" => "prerequisites are not completed",
        "costs" => "the balances do not cover its costs",
        "paused" => "the queue is paused",
        other => other,
    }
}
