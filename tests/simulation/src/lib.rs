//! Runs the pipeline, the queries and the due finder on an in-memory store, shared cache and clock.
//!
//! The tests call them as the functions do. The fakes inject faults that a real server does not
//! produce on demand. A [`Process`] is one simulated process. Several processes can share the
//! store, the shared cache and the clock.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a panic fails the test")]

pub mod destination;
pub mod payloads;
pub mod published_events;
pub mod shared_cache;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use millrace_cache::{LocalCache, LocalSettings, Tiers};
use millrace_domain::{FeatureSwitch, PlayerId, Queue, Sender, Timestamp, codec, record::HistoryRecord};
use millrace_due::{AdvanceError, Advanced, TickTarget, TicksQueue, advance};
use millrace_performance::{HistoryStore, ProcessHistory, Span};
use millrace_pipeline::{
    Answer, CommandsAnswer, Invocation, PipelineSettings, Platform, PlatformParts, PlayerCommands, ProcessError,
    Publishing, applied::ApplyFn, process, steps::apply::apply_items,
};
use millrace_queries::{
    PageRead, PageRequest, QueueRead, ReadError, performance::PerformanceReport, read_history, read_queue,
};
use millrace_store::{
    BatchWriter, BatchWriterSettings, MeteredStore, QueueWrite, Store, StoreError, due_shard,
    memory::{Fault, MemoryStore, Operation},
};
use serde_json::{Value, json};
use shared_cache::FakeSharedCache;
use tokio::time::Instant;

pub use payloads::{START_MS, SqsMessage, eventbridge_payload, fifo_message, sqs_payload, standard_message};

/// A simulated process. It has a private local cache, and its store can be shared with others.
pub struct Process {
    /// The platform that the process passes to the pipeline.
    pub platform: Platform,
    /// A handle on the shared rows. Faults that are set on it affect this process only.
    pub store: Arc<MemoryStore>,
    /// The current time, in milliseconds since the Unix epoch.
    pub clock: Arc<AtomicU64>,
}

/// The options of one process.
#[derive(Clone)]
pub struct Options {
    /// The settings of the pipeline.
    pub settings: PipelineSettings,
    /// The settings of the local cache.
    pub local_cache: LocalSettings,
    /// The players for whom the local cache is on.
    pub local_cache_switch: FeatureSwitch,
    /// The connection to the shared cache. `None` runs without a shared cache.
    pub shared_cache: Option<Arc<FakeSharedCache>>,
    /// The performance history.
    pub history: Arc<dyn HistoryStore>,
    /// Where events are published. `None` runs without events.
    pub publishing: Option<Publishing>,
    /// The function that applies items to a queue.
    pub apply: ApplyFn,
    /// Returns the resident memory of the process, in bytes.
    pub resident_bytes: fn() -> Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: PipelineSettings::default(),
            local_cache: LocalSettings::default(),
            local_cache_switch: FeatureSwitch::ON,
            shared_cache: None,
            history: Arc::new(ProcessHistory::default()),
            publishing: None,
            apply: apply_items,
            resident_bytes: || Some(1 << 20),
        }
    }
}

impl Default for Process {
    fn default() -> Self {
        Self::on_store(MemoryStore::new(), Arc::new(AtomicU64::new(START_MS)), Options::default())
    }
}

impl Process {
    /// Starts a process with default options on an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a process with a shared cache on an empty store.
    pub fn with_shared_cache() -> (Self, Arc<FakeSharedCache>) {
        let shared_cache = Arc::new(FakeSharedCache::default());
        (Self::new().start_with_connection(Arc::clone(&shared_cache)), shared_cache)
    }

    /// Starts a process on the given store.
    pub fn on_store(store: MemoryStore, clock: Arc<AtomicU64>, options: Options) -> Self {
        let store = Arc::new(store);
        let time = Arc::clone(&clock);
        let cache = Tiers::local_only(LocalCache::new(options.local_cache), options.local_cache_switch);
        let cache = match options.shared_cache {
            Some(shared_cache) => cache.with_shared(shared_cache, FeatureSwitch::ON),
            None => cache,
        };
        let metered: Arc<dyn Store> = Arc::new(MeteredStore::new(Arc::clone(&store) as _));
        let platform = Platform::new(PlatformParts {
            store: Arc::clone(&metered),
            batch_writer: BatchWriter::new(
                metered,
                BatchWriterSettings { seed: options.settings.seed, ..BatchWriterSettings::default() },
            ),
            cache,
            publishing: options.publishing,
            history: options.history,
            clock: Arc::new(move || Timestamp::from_millis(time.load(Ordering::Relaxed))),
            resident_bytes: options.resident_bytes,
            apply: options.apply,
            settings: options.settings,
        });
        Self { platform, store, clock }
    }

    /// Starts another process on the same rows and the same clock.
    pub fn start_another(&self, options: Options) -> Self {
        Self::on_store(self.store.handle(), Arc::clone(&self.clock), options)
    }

    /// Starts another process whose invocations are not redelivered, such as one that serves HTTP
    /// callers or advances due queues.
    pub fn start_without_redelivery(&self, settings: PipelineSettings) -> Self {
        let settings = PipelineSettings { is_redelivered: false, ..settings };
        self.start_another(Options { settings, ..Options::default() })
    }

    /// Starts another process with the given connection to the shared cache.
    pub fn start_with_connection(&self, shared_cache: Arc<FakeSharedCache>) -> Self {
        self.start_another(Options { shared_cache: Some(shared_cache), ..Options::default() })
    }

    /// Injects a fault into the operations of this process that `applies` chooses, instead of
    /// earlier faults.
    pub fn inject(&self, fault: Fault, applies: impl Fn(&Operation<'_>) -> bool + Send + Sync + 'static) {
        self.store.set_faults(Arc::new(move |operation| if applies(operation) { fault.clone() } else { Fault::None }));
    }

    /// Lets another process handle a command right before this process commits. `skip` commits are
    /// skipped first.
    pub fn interleave(&self, skip: u64, other: Self, command: Value) {
        let commits = AtomicU64::new(0);
        self.store.set_faults(Arc::new(move |operation| {
            if matches!(operation, Operation::Commit { .. }) && commits.fetch_add(1, Ordering::Relaxed) == skip {
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                        let answer = runtime.block_on(other.send("interleaved", &command));
                        assert_eq!(answer.report.commands.applied, 1);
                    });
                });
            }
            Fault::None
        }));
    }

    /// Moves the clock forward by `millis` milliseconds.
    pub fn advance_clock(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    /// Processes an invocation payload.
    ///
    /// # Errors
    /// [`ProcessError`] if the invocation fails as a whole.
    pub async fn process(&self, payload: &[u8], invocation: &Invocation) -> Result<Answer, ProcessError> {
        process(&self.platform, payload, invocation).await
    }

    /// Advances due queues. With `ticks`, it sends ticks for the next 65 seconds instead.
    ///
    /// # Errors
    /// [`AdvanceError`] if the run could do nothing at all.
    pub async fn advance(
        &self,
        ticks: Option<&dyn TicksQueue>,
        invocation: &Invocation,
    ) -> Result<Advanced, AdvanceError> {
        let target = ticks.map(|queue| TickTarget { queue, look_ahead: Duration::from_secs(65) });
        advance(&self.platform, target, invocation).await
    }

    /// Applies the commands of a trusted HTTP caller for one player.
    pub async fn apply_commands(&self, player: &PlayerId, commands: &Value, invocation: &Invocation) -> CommandsAnswer {
        self.apply_commands_of(Sender::Trusted, player, commands, invocation).await
    }

    /// Applies the commands of an HTTP caller for one player.
    pub async fn apply_commands_of(
        &self,
        sender: Sender,
        player: &PlayerId,
        commands: &Value,
        invocation: &Invocation,
    ) -> CommandsAnswer {
        let payload = commands.to_string();
        PlayerCommands::decode(&self.platform, player, sender, None, payload.as_bytes(), invocation).apply().await
    }

    /// Reads a queue whose version is `at_least` or newer.
    ///
    /// # Errors
    /// [`ReadError`] if the player is unknown, the version is not reached or the read fails.
    pub async fn read_queue(
        &self,
        player: &PlayerId,
        at_least: u64,
        invocation: &Invocation,
    ) -> Result<QueueRead, ReadError> {
        read_queue(&self.platform, player, at_least, invocation).await
    }

    /// Reads the first page of the history, with at most ten finished tasks.
    ///
    /// # Errors
    /// [`ReadError`] if the version is not reached or the read fails.
    pub async fn read_history(
        &self,
        player_id: &PlayerId,
        at_least: u64,
        invocation: &Invocation,
    ) -> Result<PageRead<HistoryRecord>, ReadError> {
        let request = PageRequest { player_id, limit: 10, after: None, at_least };
        read_history(&self.platform, request, invocation).await
    }

    /// The performance report with the history of the last hour.
    pub async fn performance(&self) -> PerformanceReport {
        let span = Span::new(None, None, None, self.platform.clock.now()).unwrap();
        millrace_queries::performance::performance(&self.platform, span, &invocation(10)).await
    }

    /// Processes a payload with ten seconds until the time-out.
    ///
    /// # Errors
    /// [`ProcessError`] if the invocation fails as a whole.
    pub async fn try_invoke(&self, payload: &Value) -> Result<Answer, ProcessError> {
        self.process(payload.to_string().as_bytes(), &invocation(10)).await
    }

    /// Processes a payload with ten seconds until the time-out. Panics if the invocation fails.
    pub async fn invoke(&self, payload: &Value) -> Answer {
        self.try_invoke(payload).await.unwrap()
    }

    /// Processes one command in a message of a standard queue, sent at the current time.
    pub async fn send(&self, message_id: &str, command: &Value) -> Answer {
        let sent_at = self.clock.load(Ordering::Relaxed);
        self.invoke(&sqs_payload(&[SqsMessage { sent_at, ..standard_message(message_id, command) }])).await
    }

    /// Processes a batch with one command for each of `count` players `p0`, `p1` and so on, sent at
    /// the current time. `command` gets the index and the id of the player.
    pub async fn send_to_each(&self, message_id: &str, count: usize, command: impl Fn(usize, &str) -> Value) -> Answer {
        let sent_at = self.clock.load(Ordering::Relaxed);
        let message = |index| {
            let command = command(index, &format!("p{index}"));
            SqsMessage { sent_at, ..standard_message(&format!("{message_id}{index}"), &command) }
        };
        self.invoke(&sqs_payload(&(0..count).map(message).collect::<Vec<_>>())).await
    }

    /// The stored queue of a player. Panics if the player has no queue row.
    pub fn queue(&self, player: &str) -> Queue {
        let player = PlayerId::new(player).unwrap();
        let (_, row) = self.store.queues().into_iter().find(|(id, _)| *id == player).expect("the player has a queue");
        codec::decode(&row.queue).unwrap()
    }

    /// The stored version of a player's queue, 0 if there is no row.
    pub fn version(&self, player: &str) -> u64 {
        let player = PlayerId::new(player).unwrap();
        self.store.queues().into_iter().find(|(id, _)| *id == player).map_or(0, |(_, row)| row.version)
    }
}

/// An invocation that times out after `seconds` seconds.
pub fn invocation(seconds: u64) -> Invocation {
    let times_out_at = Instant::now() + Duration::from_secs(seconds);
    Invocation { request_id: "r-1".to_owned(), times_out_at, cold_start: false, record: Default::default() }
}

/// A fault of an operation that the store refuses for good.
pub fn access_denied() -> Fault {
    Fault::Error(StoreError::AccessDenied { detail: "simulated".to_owned() })
}

/// A fault of an operation that the store refuses for now.
pub fn throttled() -> Fault {
    Fault::Error(StoreError::Throttled { table: "queues".to_owned() })
}

/// A fault of an operation that succeeds, but whose answer is lost.
pub fn answer_lost() -> Fault {
    Fault::FailAfterEffect(StoreError::Unavailable { detail: "simulated".to_owned() })
}

/// A `grantResources` command that grants gold.
pub fn grant_gold(player: &str, gold: u64) -> Value {
    json!({"type": "grantResources", "playerId": player, "resources": {"gold": gold}})
}

/// An `enqueueTasks` command with one task that rewards one gold.
pub fn enqueue_task(player: &str, task: &str, work: Value) -> Value {
    json!({"type": "enqueueTasks", "playerId": player, "tasks": [
        {"taskId": task, "kind": "work", "work": work, "rewards": {"gold": 1}}]})
}

/// A `reportProgress` command.
pub fn report_progress(player: &str, task: &str, units: u64) -> Value {
    json!({"type": "reportProgress", "playerId": player, "taskId": task, "unitsDone": units})
}

/// The ids of the messages that SQS must redeliver.
pub fn failed_message_ids(answer: &Answer) -> Vec<&str> {
    answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect()
}

/// Enqueues one task for each of `count` players `p0`, `p1` and so on.
///
/// `duration_ms` returns the duration of the task of a player, in milliseconds.
pub async fn queue_tasks(process: &Process, count: usize, duration_ms: impl Fn(usize) -> u64) {
    let enqueue = |index, player: &str| enqueue_task(player, "t", json!({"durationMs": duration_ms(index)}));
    let answer = process.send_to_each("m", count, enqueue).await;
    assert_eq!(answer.report.commands.applied, count as u64);
}

/// A queue row that is not in the due index. Its bytes do not decode to a queue.
pub fn idle_row(player: &str) -> QueueWrite {
    let player_id = PlayerId::new(player).unwrap();
    QueueWrite {
        player_id,
        expected: 0,
        version: 1,
        queue: b"idle".to_vec(),
        outbox: None,
        due_at: None,
        due_before: None,
    }
}

/// The shard of the due index that holds the player `p<index>`.
pub fn shard_of(index: usize) -> u8 {
    due_shard(&PlayerId::new(&format!("p{index}")).unwrap())
}
