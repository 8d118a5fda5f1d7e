//! A queue in plain types, from which prost, bilrost and postcard derive their code, and
//! conversions.
//!
//! prost and bilrost support neither validated identifiers nor enums with values, so a store would
//! need such types too. Finished tasks and remembered commands are byte strings of the real size.

use millrace_domain::{
    PlayerId, Priority, Queue, ResourceName, Resources, Task, TaskId, TaskKind, Timestamp, Work, queue::Totals,
    task::TaskState,
};

#[derive(Clone, PartialEq, prost::Message, bilrost::Message, serde::Serialize, serde::Deserialize)]
pub struct PlainAmount {
    #[prost(string, tag = "1")]
    #[bilrost(1)]
    pub name: String,
    #[prost(uint64, tag = "2")]
    #[bilrost(2)]
    pub amount: u64,
}

#[derive(Clone, PartialEq, prost::Message, bilrost::Message, serde::Serialize, serde::Deserialize)]
pub struct PlainTotals {
    #[prost(uint64, tag = "1")]
    #[bilrost(1)]
    pub completed: u64,
    #[prost(uint64, tag = "2")]
    #[bilrost(2)]
    pub failed: u64,
    #[prost(uint64, tag = "3")]
    #[bilrost(3)]
    pub cancelled: u64,
    #[prost(uint64, tag = "4")]
    #[bilrost(4)]
    pub time_spent_ms: u64,
    #[prost(message, repeated, tag = "5")]
    #[bilrost(5)]
    pub rewards: Vec<PlainAmount>,
}

#[derive(Clone, PartialEq, prost::Message, bilrost::Message, serde::Serialize, serde::Deserialize)]
pub struct PlainTask {
    #[prost(string, tag = "1")]
    #[bilrost(1)]
    pub id: String,
    #[prost(string, tag = "2")]
    #[bilrost(2)]
    pub kind: String,
    #[prost(uint32, tag = "3")]
    #[bilrost(3)]
    pub priority: u32,
    #[prost(uint64, optional, tag = "4")]
    #[bilrost(4)]
    pub duration_ms: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    #[bilrost(5)]
    pub units: Option<u64>,
    #[prost(uint64, tag = "6")]
    #[bilrost(6)]
    pub units_done: u64,
    #[prost(uint64, optional, tag = "7")]
    #[bilrost(7)]
    pub not_before: Option<u64>,
    #[prost(string, repeated, tag = "8")]
    #[bilrost(8)]
    pub open_prerequisites: Vec<String>,
    #[prost(message, repeated, tag = "9")]
    #[bilrost(9)]
    pub costs: Vec<PlainAmount>,
    #[prost(message, repeated, tag = "10")]
    #[bilrost(10)]
    pub rewards: Vec<PlainAmount>,
    #[prost(uint32, tag = "11")]
    #[bilrost(11)]
    pub max_retries: u32,
    #[prost(uint32, tag = "12")]
    #[bilrost(12)]
    pub retry_delay_ms: u32,
    #[prost(uint32, tag = "13")]
    #[bilrost(13)]
    pub attempts: u32,
    #[prost(bool, tag = "14")]
    #[bilrost(14)]
    pub paid: bool,
    #[prost(uint64, tag = "15")]
    #[bilrost(15)]
    pub enqueued_at: u64,
    #[prost(uint64, optional, tag = "16")]
    #[bilrost(16)]
    pub started_at: Option<u64>,
    #[prost(uint64, tag = "17")]
    #[bilrost(17)]
    pub paused_ms: u64,
}

#[derive(Clone, PartialEq, prost::Message, bilrost::Message, serde::Serialize, serde::Deserialize)]
pub struct PlainQueue {
    #[prost(string, tag = "1")]
    #[bilrost(1)]
    pub player_id: String,
    #[prost(uint64, tag = "2")]
    #[bilrost(2)]
    pub version: u64,
    #[prost(uint64, tag = "3")]
    #[bilrost(3)]
    pub advanced_to: u64,
    #[prost(uint64, tag = "4")]
    #[bilrost(4)]
    pub active_at: u64,
    #[prost(uint64, optional, tag = "5")]
    #[bilrost(5)]
    pub paused_at: Option<u64>,
    #[prost(uint32, tag = "6")]
    #[bilrost(6)]
    pub slots: u32,
    #[prost(uint32, tag = "7")]
    #[bilrost(7)]
    pub max_tasks: u32,
    #[prost(message, repeated, tag = "8")]
    #[bilrost(8)]
    pub balances: Vec<PlainAmount>,
    #[prost(message, required, tag = "9")]
    #[bilrost(9)]
    pub totals: PlainTotals,
    #[prost(message, repeated, tag = "10")]
    #[bilrost(10)]
    pub tasks: Vec<PlainTask>,
    #[prost(bytes = "vec", tag = "11")]
    #[bilrost(tag(11), encoding(plainbytes))]
    #[serde(with = "byte_string")]
    pub finished_tasks: Vec<u8>,
    #[prost(bytes = "vec", tag = "12")]
    #[bilrost(tag(12), encoding(plainbytes))]
    #[serde(with = "byte_string")]
    pub commands: Vec<u8>,
}

/// By default serde takes a vector of bytes for a list of numbers.
mod byte_string {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        <&[u8]>::deserialize(deserializer).map(<[u8]>::to_vec)
    }
}

fn amounts(resources: &Resources) -> Vec<PlainAmount> {
    resources.iter().map(|(name, amount)| PlainAmount { name: name.to_string(), amount }).collect()
}

impl From<&Queue> for PlainQueue {
    fn from(queue: &Queue) -> Self {
        Self {
            player_id: queue.player_id.to_string(),
            version: queue.version,
            advanced_to: queue.advanced_to.as_millis(),
            active_at: queue.active_at.as_millis(),
            paused_at: queue.paused_at.map(Timestamp::as_millis),
            slots: queue.slots.into(),
            max_tasks: queue.max_tasks.into(),
            balances: amounts(&queue.balances),
            totals: PlainTotals {
                completed: queue.totals.completed,
                failed: queue.totals.failed,
                cancelled: queue.totals.cancelled,
                time_spent_ms: queue.totals.time_spent_ms,
                rewards: amounts(&queue.totals.rewards),
            },
            tasks: queue.tasks.iter().map(PlainTask::from).collect(),
            finished_tasks: vec![7; 21 * queue.finished_tasks.len()],
            commands: vec![7; 17 * queue.command_memory.len()],
        }
    }
}

impl From<&Task> for PlainTask {
    fn from(task: &Task) -> Self {
        let (duration_ms, units) = match task.work {
            Work::DurationMs(duration_ms) => (Some(duration_ms), None),
            Work::Units { units, .. } => (None, Some(units)),
        };
        let (started_at, paused_ms) = match task.state {
            TaskState::Pending => (None, 0),
            TaskState::Active { started_at, paused_ms, .. } => (Some(started_at.as_millis()), paused_ms),
        };
        Self {
            id: task.id.to_string(),
            kind: task.kind.to_string(),
            priority: task.priority as u32,
            duration_ms,
            units,
            units_done: task.units_done,
            not_before: task.not_before.map(Timestamp::as_millis),
            open_prerequisites: task.open_prerequisites.iter().map(TaskId::to_string).collect(),
            costs: amounts(&task.costs),
            rewards: amounts(&task.rewards),
            max_retries: task.max_retries.into(),
            retry_delay_ms: task.retry_delay_ms,
            attempts: task.attempts.into(),
            paid: task.paid,
            enqueued_at: task.enqueued_at.as_millis(),
            started_at,
            paused_ms,
        }
    }
}

fn resources(amounts: &[PlainAmount]) -> Resources {
    amounts.iter().map(|PlainAmount { name, amount }| (ResourceName::new(name).unwrap(), *amount)).collect()
}

impl PlainQueue {
    /// The queue, and the byte strings of its finished tasks and of its remembered commands.
    pub fn into_queue(self) -> (Queue, Vec<u8>, Vec<u8>) {
        let at = Timestamp::from_millis;
        let mut queue = Queue::new(PlayerId::new(&self.player_id).unwrap(), at(self.advanced_to));
        queue.version = self.version;
        queue.active_at = at(self.active_at);
        queue.paused_at = self.paused_at.map(at);
        (queue.slots, queue.max_tasks) = (self.slots as u8, self.max_tasks as u16);
        queue.balances = resources(&self.balances);
        let PlainTotals { completed, failed, cancelled, time_spent_ms, rewards } = &self.totals;
        let (completed, failed, cancelled, time_spent_ms) = (*completed, *failed, *cancelled, *time_spent_ms);
        queue.totals = Totals { completed, failed, cancelled, time_spent_ms, rewards: resources(rewards) };
        queue.tasks = self.tasks.into_iter().map(PlainTask::into_task).collect();
        (queue, self.finished_tasks, self.commands)
    }
}

impl PlainTask {
    fn into_task(self) -> Task {
        let at = Timestamp::from_millis;
        Task {
            id: TaskId::new(&self.id).unwrap(),
            kind: TaskKind::new(&self.kind).unwrap(),
            priority: [Priority::Low, Priority::Normal, Priority::High, Priority::Critical][self.priority as usize],
            work: self.duration_ms.map(Work::DurationMs).or(self.units.map(Work::units)).unwrap(),
            units_done: self.units_done,
            not_before: self.not_before.map(at),
            open_prerequisites: self.open_prerequisites.iter().map(|id| TaskId::new(id).unwrap()).collect(),
            costs: resources(&self.costs),
            rewards: resources(&self.rewards),
            max_retries: self.max_retries as u8,
            retry_delay_ms: self.retry_delay_ms,
            attempts: self.attempts as u8,
            paid: self.paid,
            enqueued_at: at(self.enqueued_at),
            state: self.started_at.map_or(TaskState::Pending, |started_at| TaskState::Active {
                started_at: at(started_at),
                paused_ms: self.paused_ms,
                reported_ms: 0,
            }),
            payload: None,
            result: None,
            failures: Vec::new(),
        }
    }
}
