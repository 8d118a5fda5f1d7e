//! What a command does, in words.

use millrace_domain::{Command, Resources, Work, task::TaskSpec};

use crate::text::{count, duration};

/// The most tasks that are named.
const MAX_NAMED: usize = 3;

/// What the command does, such as `queues 2 tasks: tower (10 s), wall (4 units)`.
pub fn describe(command: &Command) -> String {
    match command {
        Command::EnqueueTasks { tasks } => {
            let named: Vec<String> = tasks.iter().take(MAX_NAMED).map(task).collect();
            let rest = if tasks.len() > MAX_NAMED { ", ..." } else { "" };
            format!("queues {}: {}{rest}", count(tasks.len() as u64, "task"), named.join(", "))
        }
        Command::ReportProgress { task_id, units_done, attempt } => {
            format!("reports {} of {task_id}{}", count(*units_done, "unit"), of_attempt(*attempt))
        }
        Command::CompleteTask { task_id, attempt, .. } => format!("completes {task_id}{}", of_attempt(*attempt)),
        Command::FailTask { task_id, reason, attempt, retry } => {
            let for_good = if *retry { "" } else { " for good" };
            format!("fails {task_id}{}{for_good}: {reason}", of_attempt(*attempt))
        }
        Command::CancelTask { task_id } => format!("cancels {task_id}"),
        Command::SetPriority { task_id, priority } => format!("sets the priority of {task_id} to {}", name(priority)),
        Command::MoveToFront { task_id } => format!("moves {task_id} to the front of its priority"),
        Command::PauseQueue => "pauses the queue".to_owned(),
        Command::ResumeQueue => "resumes the queue".to_owned(),
        Command::ClearQueue => "cancels all unfinished tasks".to_owned(),
        Command::GrantResources { resources } => format!("grants {}", amounts(resources)),
        Command::ConfigureQueue { slots, max_tasks } => {
            let slots = slots.map(|slots| format!("slots to {slots}"));
            let tasks = max_tasks.map(|tasks| format!("maxTasks to {tasks}"));
            let both: Vec<String> = slots.into_iter().chain(tasks).collect();
            if both.is_empty() { "sets no limit".to_owned() } else { format!("sets {}", both.join(" and ")) }
        }
        // The enum is non-exhaustive.
        other => other.type_name().to_owned(),
    }
}

fn task(task: &TaskSpec) -> String {
    let work = match task.work {
        Work::DurationMs(millis) => duration(millis),
        Work::Units { units, .. } => count(units, "unit"),
    };
    format!("{} ({work})", task.task_id)
}

fn of_attempt(attempt: Option<u64>) -> String {
    attempt.map_or_else(String::new, |attempt| format!(", attempt {attempt}"))
}

fn amounts(resources: &Resources) -> String {
    let amounts = serde_json::to_value(resources).ok().and_then(|value| serde_json::from_value(value).ok());
    crate::text::amounts(&amounts.unwrap_or_default())
}

fn name(priority: &impl serde::Serialize) -> String {
    serde_json::to_value(priority).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use millrace_domain::json::{Message, parse_message};

    use super::*;

    #[test]
    fn each_command_is_described() {
        for (fields, expected) in [
            (
                r#""type": "enqueueTasks", "tasks": [{"taskId": "a", "kind": "k", "work": {"durationMs": 90000}},
              {"taskId": "b", "kind": "k", "work": {"units": 1}}]"#,
                "queues 2 tasks: a (1 min 30 s), b (1 unit)",
            ),
            (
                r#""type": "reportProgress", "taskId": "a", "unitsDone": 3, "attempt": 2"#,
                "reports 3 units of a, attempt 2",
            ),
            (r#""type": "completeTask", "taskId": "a""#, "completes a"),
            (r#""type": "failTask", "taskId": "a", "reason": "lost", "retry": false"#, "fails a for good: lost"),
            (r#""type": "cancelTask", "taskId": "a""#, "cancels a"),
            (r#""type": "setPriority", "taskId": "a", "priority": "high""#, "sets the priority of a to high"),
            (r#""type": "moveToFront", "taskId": "a""#, "moves a to the front of its priority"),
            (r#""type": "pauseQueue""#, "pauses the queue"),
            (r#""type": "resumeQueue""#, "resumes the queue"),
            (r#""type": "clearQueue""#, "cancels all unfinished tasks"),
            (r#""type": "grantResources", "resources": {"gold": 5}"#, "grants gold 5"),
            (r#""type": "configureQueue", "slots": 2, "maxTasks": 9"#, "sets slots to 2 and maxTasks to 9"),
        ] {
            let text = format!(r#"{{"playerId": "p", {fields}}}"#);
            let Ok(Message::Commands(mut commands)) = parse_message(&text) else { panic!("{text}") };
            assert_eq!(describe(&commands.remove(0).unwrap().command), expected);
        }
    }
}
