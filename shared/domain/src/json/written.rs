//! Commands as the JSON that they are parsed from.

use serde::Serialize;

use crate::model::{
    command::Command,
    ids::{CommandId, PlayerId, TaskId, TaskKind},
    json_text::JsonText,
    resources::Resources,
    task::{Priority, TaskSpec},
    time::Timestamp,
    work::Work,
};

/// The fields of all commands. Those that a command does not have are left out.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(rename = "type")]
    type_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    player_id: Option<&'a PlayerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<&'a CommandId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<WrittenTask<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    units_done: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<&'a Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tasks: Option<u16>,
}

/// A task of `enqueueTasks`, with its defaults.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenTask<'a> {
    task_id: &'a TaskId,
    kind: &'a TaskKind,
    priority: Priority,
    work: Work,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "<[TaskId]>::is_empty")]
    prerequisites: &'a [TaskId],
    #[serde(skip_serializing_if = "Resources::is_empty")]
    costs: &'a Resources,
    #[serde(skip_serializing_if = "Resources::is_empty")]
    rewards: &'a Resources,
    max_retries: u8,
    retry_delay_ms: u32,
}

impl<'a> From<&'a TaskSpec> for WrittenTask<'a> {
    fn from(task: &'a TaskSpec) -> Self {
        Self {
            task_id: &task.task_id,
            kind: &task.kind,
            priority: task.priority,
            work: task.work,
            payload: task.payload.as_ref(),
            not_before: task.not_before,
            prerequisites: &task.prerequisites,
            costs: &task.costs,
            rewards: &task.rewards,
            max_retries: task.max_retries,
            retry_delay_ms: task.retry_delay_ms,
        }
    }
}

/// The command as JSON. Parsed again, it is the same command.
pub fn write_command(player_id: &PlayerId, command_id: &CommandId, command: &Command) -> String {
    let written = Written {
        type_name: command.type_name(),
        player_id: Some(player_id),
        command_id: Some(command_id),
        task_id: command.task_id(),
        ..Written::default()
    };
    let written = match command {
        Command::EnqueueTasks { tasks } => {
            Written { tasks: Some(tasks.iter().map(WrittenTask::from).collect()), ..written }
        }
        Command::ReportProgress { units_done, attempt, .. } => {
            Written { units_done: Some(*units_done), attempt: *attempt, ..written }
        }
        Command::CompleteTask { attempt, result, .. } => {
            Written { attempt: *attempt, result: result.as_ref(), ..written }
        }
        Command::FailTask { reason, attempt, retry, .. } => {
            Written { reason: Some(reason), attempt: *attempt, retry: Some(*retry), ..written }
        }
        Command::SetPriority { priority, .. } => Written { priority: Some(*priority), ..written },
        Command::GrantResources { resources } => Written { resources: Some(resources), ..written },
        Command::ConfigureQueue { slots, max_tasks } => Written { slots: *slots, max_tasks: *max_tasks, ..written },
        Command::CancelTask { .. }
        | Command::MoveToFront { .. }
        | Command::PauseQueue
        | Command::ResumeQueue
        | Command::ClearQueue => written,
    };
    // Values of these types can always be serialized.
    serde_json::to_string(&written).unwrap_or_default()
}
