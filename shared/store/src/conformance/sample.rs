//! Rows to test with. Their keys are random, so that tests do not share rows.

use std::time::{SystemTime, UNIX_EPOCH};

use millrace_domain::{
    CommandId, EventsRecord, PlayerId, Priority, RejectionReason, Resources, SerializedEvent, TaskId, TaskKind,
    Timestamp, Work,
    attempt::FailedAttempt,
    queue::Totals,
    record::{HistoryRecord, ProgressRecord, RejectionRecord, StatsRecord, TaskProgress},
    task::Outcome,
};

use crate::port::{DUE_SHARDS, QueueWrite, due_shard};

/// A new player.
pub fn player() -> PlayerId {
    PlayerId::new(&format!("conformance-{:016x}", fastrand::u64(..))).expect("the id is allowed")
}

/// New players of one shard, and the shard.
pub fn players_of_one_shard(count: usize) -> (u8, Vec<PlayerId>) {
    let shard = fastrand::u8(..DUE_SHARDS);
    (shard, std::iter::repeat_with(player).filter(|player| due_shard(player) == shard).take(count).collect())
}

/// The current time. Rows with an older time may have expired.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    Timestamp::from_millis(u64::try_from(since.as_millis()).expect("the time fits"))
}

/// A commit of version `expected + 1` with bytes that identify it.
pub fn write(player: &PlayerId, expected: u64) -> QueueWrite {
    QueueWrite {
        player_id: player.clone(),
        expected,
        version: expected + 1,
        queue: format!("queue {player} {} \0\u{ff}", expected + 1).into_bytes(),
        outbox: None,
        due_at: None,
        due_before: None,
    }
}

/// A finished task. Tasks with other names have other sequence numbers.
pub fn history(player: &PlayerId, task: &str, finished_at: Timestamp) -> HistoryRecord {
    let amount = |name: &str, amount| {
        Resources::from_iter([(millrace_domain::ResourceName::new(name).expect("the name is allowed"), amount)])
    };
    HistoryRecord {
        player_id: player.clone(),
        task_id: TaskId::new(task).expect("the name is allowed"),
        sequence: task.bytes().fold(0, |sequence: u64, byte| (31 * sequence + u64::from(byte)) % 1_000_000_000_000),
        kind: TaskKind::new("harvest.wood").expect("the name is allowed"),
        priority: Priority::High,
        outcome: Outcome::Completed,
        reason: None,
        attempts: 1,
        work: Work::DurationMs(30_000),
        units_done: 0,
        enqueued_at: finished_at,
        started_at: Some(finished_at),
        finished_at,
        time_spent_ms: 30_000,
        costs: amount("gold", 5),
        refunded: Resources::new(),
        rewards: amount("wood", 9_007_199_254_740_991),
        lost: Resources::new(),
        result: Some("{\"found\":[1,\"x\"]}".parse().expect("JSON")),
        failures: vec![FailedAttempt::new(1, "heartbeat_lost", finished_at)],
    }
}

/// A refused command of a partition.
pub fn rejection(partition: &str, command: &str, received_at: Timestamp) -> RejectionRecord {
    RejectionRecord {
        partition: partition.to_owned(),
        received_at,
        command_id: CommandId::new(command).expect("the name is allowed"),
        reason: RejectionReason::UnknownTask,
        detail: "taskId: `t-9` is not an unfinished task of this queue".to_owned(),
        command_type: Some("cancelTask".to_owned()),
        task_id: Some(TaskId::new("t-9").expect("the name is allowed")),
        body: None,
        entry: format!("4.{command}"),
    }
}

/// The events of one commit.
pub fn events(player: &PlayerId, sequences: impl IntoIterator<Item = u64>) -> EventsRecord {
    let event = |sequence| SerializedEvent {
        sequence,
        event_type: "taskStarted".into(),
        json: format!(r#"{{"eventId":"{player}/{sequence}","task":{{"kind":"\u00e4 \"quoted\""}}}}"#),
    };
    EventsRecord { player_id: player.clone(), events: sequences.into_iter().map(event).collect() }
}

/// A player's totals.
pub fn stats(player: &PlayerId, version: u64) -> StatsRecord {
    let totals = Totals { completed: version, failed: 1, cancelled: 2, time_spent_ms: 90_000, ..Totals::default() };
    StatsRecord { player_id: player.clone(), version, as_of: now(), totals, published: version.is_multiple_of(2) }
}

/// Progress of one task.
pub fn progress(player: &PlayerId, units_done: u64) -> ProgressRecord {
    let task_id = TaskId::new("t-1").expect("the name is allowed");
    let tasks = vec![TaskProgress { task_id, started_at: now(), attempts: 1, units_done, reported_ms: 7 }];
    ProgressRecord { player_id: player.clone(), version: 3, tasks }
}
