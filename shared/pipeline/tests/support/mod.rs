//! A service on a store in memory, a clock that tests move, and SQS events.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod remote;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use millrace_cache::{LocalCache, LocalSettings, Tiers};
use millrace_domain::{FeatureSwitch, PlayerId, Queue, Timestamp, codec};
use millrace_pipeline::{Answer, Invocation, Parts, ProcessError, Service, ServiceSettings, apply::ApplyFn};
use millrace_store::{BatchWriter, BatchWriterSettings, QueueWrite, Store, due_shard, memory::MemoryStore};
use remote::Remote;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The time at which tests begin.
pub const BEGIN: u64 = 1_768_471_200_000;

/// A process: a service with its own cache on rows that others share.
pub struct Process {
    pub service: Service,
    pub store: Arc<MemoryStore>,
    pub clock: Arc<AtomicU64>,
}

/// What differs from one process to another.
#[derive(Clone)]
pub struct Options {
    pub settings: ServiceSettings,
    pub local: LocalSettings,
    pub local_switch: FeatureSwitch,
    /// The cache tier that processes share; none where there is none.
    pub remote: Option<Arc<Remote>>,
    pub apply: Option<ApplyFn>,
    pub resident: fn() -> Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: ServiceSettings::default(),
            local: LocalSettings::default(),
            local_switch: FeatureSwitch::ON,
            remote: None,
            apply: None,
            resident: || Some(1 << 20),
        }
    }
}

impl Process {
    /// A process on rows of its own.
    pub fn new() -> Self {
        Self::on(MemoryStore::new(), Arc::new(AtomicU64::new(BEGIN)), Options::default())
    }

    /// A process on given rows.
    pub fn on(store: MemoryStore, clock: Arc<AtomicU64>, options: Options) -> Self {
        let store = Arc::new(store);
        let time = Arc::clone(&clock);
        let cache = Tiers::local_only(LocalCache::new(options.local), options.local_switch);
        let cache = match options.remote {
            Some(remote) => cache.with_shared(remote, FeatureSwitch::ON),
            None => cache,
        };
        let service = Service::new(Parts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            batcher: BatchWriter::new(
                Arc::clone(&store) as _,
                BatchWriterSettings { seed: options.settings.seed, ..BatchWriterSettings::default() },
            ),
            cache,
            clock: Arc::new(move || Timestamp::from_millis(time.load(Ordering::Relaxed))),
            resident_bytes: options.resident,
            settings: options.settings,
        });
        let service = match options.apply {
            Some(apply) => service.with_apply(apply),
            None => service,
        };
        Self { service, store, clock }
    }

    /// Another process on the same rows and the same clock.
    pub fn another(&self, options: Options) -> Self {
        Self::on(self.store.handle(), Arc::clone(&self.clock), options)
    }

    /// Lets time pass.
    pub fn wait(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    /// Invokes the service with ten seconds until its time-out.
    pub async fn try_invoke(&self, event: &Value) -> Result<Answer, ProcessError> {
        self.service.process(event.to_string().as_bytes(), &invocation(10)).await
    }

    /// The same, for events that do not fail as a whole.
    pub async fn invoke(&self, event: &Value) -> Answer {
        self.try_invoke(event).await.unwrap()
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

/// A call with so many seconds until its time-out.
pub fn invocation(seconds: u64) -> Invocation {
    let times_out_at = Instant::now() + Duration::from_secs(seconds);
    Invocation { request_id: "r-1".to_owned(), times_out_at, cold_start: false }
}

/// A message of an SQS event.
#[derive(Clone)]
pub struct Sent {
    pub id: String,
    pub body: String,
    pub sent_at: u64,
    /// Group and sequence number, of a FIFO queue.
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

/// An SQS event.
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

/// The ids of the messages that are to be delivered again.
pub fn failures(answer: &Answer) -> Vec<&str> {
    answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect()
}

/// Queues a task for each of `count` players, due so many milliseconds after the beginning.
pub async fn queue_tasks(process: &Process, count: usize, millis: impl Fn(usize) -> u64) {
    let messages: Vec<Sent> = (0..count)
        .map(|at| standard(&format!("m{at}"), &enqueue(&format!("p{at}"), "t", json!({"durationMs": millis(at)}))))
        .collect();
    let answer = process.invoke(&sqs(&messages)).await;
    assert_eq!(answer.report.commands.applied, count as u64);
}

/// The row of a queue with nothing due, by its bytes no queue.
pub fn idle_row(player: &str) -> QueueWrite {
    let player_id = PlayerId::new(player).unwrap();
    QueueWrite { player_id, expected: 0, version: 1, queue: b"idle".to_vec(), outbox: None, due_at: None }
}

/// The shard of the index that the player `p<at>` belongs to.
pub fn shard_of(at: usize) -> u8 {
    due_shard(&PlayerId::new(&format!("p{at}")).unwrap())
}
