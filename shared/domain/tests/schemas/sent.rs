//! Commands in JSON, as a client sends them.

use millrace_domain::{Command, Delivery, TaskSpec, Work, attempt::MIN_DEADLINE_MS};
use serde_json::{Value, json};

use crate::support::steps::Step;

/// The step with deadlines that a message may have. Random tasks have shorter ones too.
pub fn with_allowed_deadlines(mut step: Step) -> Step {
    if let Step::Deliver { delivery, .. } = &mut step
        && let Command::EnqueueTasks { tasks } = &mut delivery.command
    {
        for task in tasks {
            if let Work::Units { heartbeat_ms, timeout_ms, .. } = &mut task.work {
                let least = MIN_DEADLINE_MS as u32;
                [heartbeat_ms, timeout_ms]
                    .into_iter()
                    .flatten()
                    .for_each(|deadline| *deadline = (*deadline).max(least));
            }
        }
    }
    step
}

/// The command of a delivery in JSON. Fields that are absent are left out.
pub fn message(delivery: &Delivery) -> Value {
    let mut message = match &delivery.command {
        Command::EnqueueTasks { tasks } => json!({"tasks": tasks.iter().map(task).collect::<Vec<_>>()}),
        Command::ReportProgress { task_id, units_done, attempt } => {
            json!({"taskId": task_id, "unitsDone": units_done, "attempt": attempt})
        }
        Command::CompleteTask { task_id, attempt, result } => {
            json!({"taskId": task_id, "attempt": attempt, "result": result})
        }
        Command::FailTask { task_id, reason, attempt, retry } => {
            json!({"taskId": task_id, "reason": reason, "attempt": attempt, "retry": retry})
        }
        Command::CancelTask { task_id } | Command::MoveToFront { task_id } => json!({"taskId": task_id}),
        Command::SetPriority { task_id, priority } => json!({"taskId": task_id, "priority": priority}),
        Command::PauseQueue | Command::ResumeQueue | Command::ClearQueue => json!({}),
        Command::GrantResources { resources } => json!({"resources": resources}),
        Command::ConfigureQueue { slots, max_tasks } => json!({"slots": slots, "maxTasks": max_tasks}),
        other => panic!("{other:?} has no JSON here yet"),
    };
    message["type"] = delivery.command.type_name().into();
    message["playerId"] = delivery.player_id.as_str().into();
    message["commandId"] = delivery.command_id.as_str().into();
    without_nulls(message)
}

fn task(spec: &TaskSpec) -> Value {
    without_nulls(json!({
        "taskId": spec.task_id, "kind": spec.kind, "priority": spec.priority, "work": spec.work, "payload": spec.payload,
        "notBefore": spec.not_before, "prerequisites": spec.prerequisites, "costs": spec.costs, "rewards": spec.rewards,
        "maxRetries": spec.max_retries, "retryDelayMs": spec.retry_delay_ms,
    }))
}

fn without_nulls(mut object: Value) -> Value {
    object.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    object
}
