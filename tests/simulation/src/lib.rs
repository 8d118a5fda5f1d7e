//! The shipped pipeline, queries and due finder on a store, a shared cache and a clock in memory.
//!
//! The tests of this crate drive them as the functions do, with faults that no real server makes on
//! demand. [`Process`] is one process; several share rows, copies and the clock.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by a panic")]

pub mod shared_cache;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use millrace_cache::{LocalSettings, LocalTier, Tiers};
use millrace_domain::{FeatureSwitch, PlayerId, Queue, Timestamp, codec, record::HistoryRecord};
use millrace_due::{AdvanceError, Advanced, TickTarget, TicksQueue, advance};
use millrace_pipeline::{
    Answer, CommandsAnswer, Invocation, PipelineSettings, Platform, PlatformParts, PlayerCommands, ProcessError,
    applied::ApplyFn, process, steps::apply::apply_items,
};
use millrace_queries::{
    PageRead, PageRequest, QueueRead, ReadError, performance::PerformanceReport, read_history, read_queue,
};
use millrace_store::{BatchWriter, BatchWriterSettings, QueueWrite, Store, due_shard, memory::MemoryStore};
use serde_json::{Value, json};
use shared_cache::FakeSharedCache;
use tokio::time::Instant;

/// The time at which tests begin.
pub const BEGIN: u64 = 1_768_471_200_000;

/// A process with its own local cache, on rows that others share.
pub struct Process {
    /// What the process is made of.
    pub platform: Platform,
    /// Its handle on the rows.
    pub store: Arc<MemoryStore>,
    /// The time, in milliseconds since the Unix epoch.
    pub clock: Arc<AtomicU64>,
}

/// What differs from one process to another.
#[derive(Clone)]
pub struct Options {
    /// The settings of the pipeline.
    pub settings: PipelineSettings,
    /// The settings of the local cache.
    pub local: LocalSettings,
    /// The players who have a local cache.
    pub local_switch: FeatureSwitch,
    /// The shared cache, if there is one.
    pub remote: Option<Arc<FakeSharedCache>>,
    /// How items are applied.
    pub apply: ApplyFn,
    /// The resident memory of the process, in bytes.
    pub resident: fn() -> Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: PipelineSettings::default(),
            local: LocalSettings::default(),
            local_switch: FeatureSwitch::ON,
            remote: None,
            apply: apply_items,
            resident: || Some(1 << 20),
        }
    }
}

impl Default for Process {
    fn default() -> Self {
        Self::on(MemoryStore::new(), Arc::new(AtomicU64::new(BEGIN)), Options::default())
    }
}

impl Process {
    /// The first process on new rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// A process on given rows.
    pub fn on(store: MemoryStore, clock: Arc<AtomicU64>, options: Options) -> Self {
        let store = Arc::new(store);
        let time = Arc::clone(&clock);
        let cache = Tiers::local_only(LocalTier::new(options.local), options.local_switch);
        let cache = match options.remote {
            Some(remote) => cache.with_remote(remote, FeatureSwitch::ON),
            None => cache,
        };
        let platform = Platform::new(PlatformParts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            batch_writer: BatchWriter::new(
                Arc::clone(&store) as _,
                BatchWriterSettings { seed: options.settings.seed, ..BatchWriterSettings::default() },
            ),
            cache,
            clock: Arc::new(move || Timestamp::from_millis(time.load(Ordering::Relaxed))),
            resident_bytes: options.resident,
            apply: options.apply,
            settings: options.settings,
        });
        Self { platform, store, clock }
    }

    /// Another process on the same rows and the same clock.
    pub fn another(&self, options: Options) -> Self {
        Self::on(self.store.handle(), Arc::clone(&self.clock), options)
    }

    /// Lets time pass.
    pub fn wait(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    /// Processes a payload.
    ///
    /// # Errors
    /// [`ProcessError`] where it fails as a whole.
    pub async fn process(&self, payload: &[u8], invocation: &Invocation) -> Result<Answer, ProcessError> {
        process(&self.platform, payload, invocation).await
    }

    /// Advances what is due; with `ticks`, by ticks that look 65 seconds ahead.
    ///
    /// # Errors
    /// [`AdvanceError`] where nothing could be done.
    pub async fn advance(
        &self,
        ticks: Option<&dyn TicksQueue>,
        invocation: &Invocation,
    ) -> Result<Advanced, AdvanceError> {
        let target = ticks.map(|queue| TickTarget { queue, look_ahead: Duration::from_secs(65) });
        advance(&self.platform, target, invocation).await
    }

    /// Applies commands of a caller for one player.
    pub async fn apply_commands(&self, player: &PlayerId, commands: &Value, invocation: &Invocation) -> CommandsAnswer {
        PlayerCommands::decode(&self.platform, player, commands.to_string().as_bytes(), invocation).apply().await
    }

    /// Reads a queue of at least a version.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_queue(
        &self,
        player: &PlayerId,
        at_least: u64,
        invocation: &Invocation,
    ) -> Result<QueueRead, ReadError> {
        read_queue(&self.platform, player, at_least, invocation).await
    }

    /// Reads the first page of ten finished tasks.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_history(
        &self,
        player_id: &PlayerId,
        at_least: u64,
        invocation: &Invocation,
    ) -> Result<PageRead<HistoryRecord>, ReadError> {
        let request = PageRequest { player_id, limit: 10, after: None, at_least };
        read_history(&self.platform, request, invocation).await
    }

    /// What the invocations of this process took.
    pub fn performance(&self) -> PerformanceReport {
        millrace_queries::performance::performance(&self.platform)
    }

    /// Processes a payload with ten seconds until the time-out.
    ///
    /// # Errors
    /// [`ProcessError`] where it fails as a whole.
    pub async fn try_invoke(&self, payload: &Value) -> Result<Answer, ProcessError> {
        self.process(payload.to_string().as_bytes(), &invocation(10)).await
    }

    /// The same for payloads that do not fail as a whole.
    pub async fn invoke(&self, payload: &Value) -> Answer {
        self.try_invoke(payload).await.unwrap()
    }

    /// A player's queue as stored.
    pub fn queue(&self, player: &str) -> Queue {
        let player = PlayerId::new(player).unwrap();
        let (_, row) = self.store.queues().into_iter().find(|(id, _)| *id == player).expect("the player has a queue");
        codec::decode(&row.queue).unwrap()
    }

    /// A player's version as stored, 0 where there is no row.
    pub fn version(&self, player: &str) -> u64 {
        let player = PlayerId::new(player).unwrap();
        self.store.queues().into_iter().find(|(id, _)| *id == player).map_or(0, |(_, row)| row.version)
    }
}

/// An invocation with so many seconds until its time-out.
pub fn invocation(seconds: u64) -> Invocation {
    let times_out_at = Instant::now() + Duration::from_secs(seconds);
    Invocation { request_id: "r-1".to_owned(), times_out_at, cold_start: false }
}

/// A message of an SQS payload.
#[derive(Clone)]
pub struct Sent {
    /// The message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub sent_at: u64,
    /// Group and sequence number, for a FIFO queue.
    pub fifo: Option<(String, u64)>,
}

/// A message of a standard queue.
pub fn standard(id: &str, body: &Value) -> Sent {
    Sent { id: id.to_owned(), body: body.to_string(), sent_at: BEGIN, fifo: None }
}

/// A message of a FIFO queue.
pub fn fifo(id: &str, group: &str, sequence: u64, body: &Value) -> Sent {
    Sent { fifo: Some((group.to_owned(), sequence)), ..standard(id, body) }
}

/// An SQS payload.
pub fn sqs(messages: &[Sent]) -> Value {
    let record = |message: &Sent| {
        let mut attributes = json!({
            "ApproximateReceiveCount": "1",
            "SentTimestamp": message.sent_at.to_string(),
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": message.sent_at.to_string(),
        });
        let mut queue = "arn:aws:sqs:us-east-1:123456789012:progress".to_owned();
        if let Some((group, sequence)) = &message.fifo {
            attributes["MessageGroupId"] = json!(group);
            attributes["SequenceNumber"] = json!(sequence.to_string());
            queue = "arn:aws:sqs:us-east-1:123456789012:commands.fifo".to_owned();
        }
        json!({
            "messageId": message.id, "receiptHandle": "AQEB", "body": message.body, "attributes": attributes,
            "messageAttributes": {}, "md5OfBody": "d41d8cd98f00b204e9800998ecf8427e", "eventSource": "aws:sqs",
            "eventSourceARN": queue, "awsRegion": "us-east-1",
        })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

/// `grantResources` of gold.
pub fn grant(player: &str, gold: u64) -> Value {
    json!({"type": "grantResources", "playerId": player, "resources": {"gold": gold}})
}

/// `enqueueTasks` of one task.
pub fn enqueue(player: &str, task: &str, work: Value) -> Value {
    json!({"type": "enqueueTasks", "playerId": player, "tasks": [
        {"taskId": task, "kind": "work", "work": work, "rewards": {"gold": 1}}]})
}

/// `reportProgress`.
pub fn report(player: &str, task: &str, units: u64) -> Value {
    json!({"type": "reportProgress", "playerId": player, "taskId": task, "unitsDone": units})
}

/// The ids of the messages that have to be delivered again.
pub fn failures(answer: &Answer) -> Vec<&str> {
    answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect()
}

/// Queues a task for each of `count` players, due so many milliseconds after [`BEGIN`].
pub async fn queue_tasks(process: &Process, count: usize, millis: impl Fn(usize) -> u64) {
    let messages: Vec<Sent> = (0..count)
        .map(|at| standard(&format!("m{at}"), &enqueue(&format!("p{at}"), "t", json!({"durationMs": millis(at)}))))
        .collect();
    let answer = process.invoke(&sqs(&messages)).await;
    assert_eq!(answer.report.commands.applied, count as u64);
}

/// A row with nothing due, whose bytes are not a queue.
pub fn idle_row(player: &str) -> QueueWrite {
    let player_id = PlayerId::new(player).unwrap();
    QueueWrite { player_id, expected: 0, version: 1, queue: b"idle".to_vec(), outbox: None, due_at: None }
}

/// The shard of the due index that the player `p<at>` belongs to.
pub fn shard_of(at: usize) -> u8 {
    due_shard(&PlayerId::new(&format!("p{at}")).unwrap())
}
