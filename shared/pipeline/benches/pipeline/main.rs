//! CPU time of a command from the bytes of the payload to the answer, and of the domain alone.
//!
//! The benchmarks measure CPU time because it determines the cost of a function, and because wall
//! time is noisy on build machines. Each platform processes many batches, as a Lambda sandbox does.
//! Every batch is new. Queues stay at about ten tasks because as many tasks end as are enqueued.
//!
//! Each batch size has two references from the same run: the same work with cache and batching
//! off, and parsing the payload into a JSON tree. The last step prints all medians as one table.

mod cpu_time;
mod table;
mod telemetry;

use std::{collections::VecDeque, hint::black_box, path::PathBuf, sync::Arc, time::Duration};

use ::cpu_time::ProcessTime;
use criterion::{BatchSize, Criterion, Throughput};
use millrace_cache::{LocalCache, LocalSettings, Tiers};
use millrace_domain::{
    CommandId, Delivery, FeatureSwitch, PlayerId, Queue, Rules, Sender, Timestamp,
    codec::{decode, encode},
    json::{Message, parse_message},
};
use millrace_performance::ProcessHistory;
use millrace_pipeline::{
    Answer, Invocation, PipelineSettings, Platform, PlatformParts, Publishing, process, steps::apply::apply_items,
};
use millrace_store::{BatchWriter, BatchWriterSettings, MeteredStore, QueueRow, Store, memory::MemoryStore};
use millrace_telemetry::{
    InvocationRecord,
    emf::{EmfSettings, Ending, RecordWriter},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::Instant};

use crate::{cpu_time::CpuTime, table::print_table, telemetry::Telemetry};

// The functions use the same allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// When the queues were created, in milliseconds since the Unix epoch.
const START_MS: u64 = 1_768_471_200_000;
/// The time of every batch.
const NOW_MS: u64 = START_MS + 60_000;
/// The number of commands of a batch whose telemetry is measured.
const TELEMETRY_BATCH: usize = 10;
/// The number of tasks of a new queue.
const TASKS: usize = 10;

/// Applies one JSON command to a queue. Panics if the command is rejected.
fn deliver(queue: &mut Queue, id: &str, body: &Value) {
    let Ok(Message::Commands(mut commands)) = parse_message(&body.to_string()) else { panic!("not a command: {body}") };
    let request = commands.remove(0).expect("a well-formed command");
    let delivery = Delivery {
        player_id: request.player_id,
        command_id: CommandId::new(id).expect("an id"),
        sender: Sender::Trusted,
        sent_at: Timestamp::from_millis(START_MS),
        fifo: None,
        command: request.command,
    };
    let (verdict, _) = queue.deliver(&delivery, Timestamp::from_millis(START_MS), Rules::default(), &mut Vec::new());
    assert_eq!(verdict, millrace_domain::Verdict::Applied, "{body}");
}

/// A typical queue with ten tasks and at least `remembered` remembered commands.
///
/// The first task is a long timed task, the others are reported. All have costs and rewards.
fn queue(player: &str, remembered: usize) -> Queue {
    let mut queue = Queue::new(PlayerId::new(player).expect("an id"), Timestamp::from_millis(START_MS));
    let setup = [
        json!({"type": "grantResources", "playerId": player, "resources": {"gold": 1_000_000_000, "wood": 80}}),
        json!({"type": "configureQueue", "playerId": player, "slots": 2}),
    ];
    for (n, command) in setup.iter().enumerate() {
        deliver(&mut queue, &format!("c-setup-{n}"), command);
    }
    for n in 0..TASKS {
        let work = if n == 0 { json!({"durationMs": 86_400_000}) } else { json!({"units": 1000}) };
        let tasks = json!([task(n, &work)]);
        deliver(
            &mut queue,
            &format!("c-task-{n}"),
            &json!({"type": "enqueueTasks", "playerId": player, "tasks": tasks}),
        );
    }
    for n in queue.command_memory.len()..remembered {
        let grant = json!({"type": "grantResources", "playerId": player, "resources": {"gold": 1}});
        deliver(&mut queue, &format!("c-{n}"), &grant);
    }
    queue.version = 1;
    queue
}

fn task(n: usize, work: &Value) -> Value {
    json!({"taskId": format!("t-{n}"), "kind": "harvest.wood", "work": work,
        "costs": {"gold": 5}, "rewards": {"wood": 10}})
}

fn player(n: usize) -> String {
    format!("player-{n:06}")
}

/// Generates the commands of a game: 30 % enqueue, 50 % report progress and 20 % cancel a task.
///
/// One of five reports completes its task. The generator tracks the active task of each player, so
/// that every command is applied.
struct Game {
    /// Per player: the reported tasks in queue order, and the units done of the first one.
    players: Vec<(VecDeque<usize>, u64)>,
    batches: usize,
    tasks: usize,
}

impl Game {
    fn new(players: usize) -> Self {
        let players = (0..players).map(|_| ((1..TASKS).collect(), 0)).collect();
        Self { players, batches: 0, tasks: TASKS }
    }

    fn command(&mut self, n: usize) -> Value {
        let turn = n + self.batches;
        let (tasks, units_done) = &mut self.players[n];
        let player = player(n);
        let report = |tasks: &VecDeque<usize>, units_done: u64| {
            let active_task = format!("t-{}", tasks.front().expect("a task"));
            json!({"type": "reportProgress", "playerId": player, "taskId": active_task, "unitsDone": units_done})
        };
        match turn % 10 {
            0 | 3 | 6 => {
                self.tasks += 1;
                tasks.push_back(self.tasks);
                let task = task(self.tasks, &json!({"units": 1000}));
                json!({"type": "enqueueTasks", "playerId": player, "tasks": [task]})
            }
            1 | 2 | 4 | 7 => {
                *units_done += 20;
                report(tasks, *units_done)
            }
            5 => {
                let command = report(tasks, 1000);
                tasks.pop_front();
                *units_done = 0;
                command
            }
            _ => {
                let last = tasks.pop_back().expect("a task");
                json!({"type": "cancelTask", "playerId": player, "taskId": format!("t-{last}")})
            }
        }
    }

    /// The SQS payload of one command for each player, with all the fields that AWS sends.
    fn batch(&mut self) -> Vec<u8> {
        let batch = self.batches;
        let records: Vec<Value> = (0..self.players.len())
            .map(|n| {
                json!({
                    "messageId": format!("059f36b4-87a3-44ab-{batch:04}-{n:012}"),
                    "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0aQebk5BRxYpTZ6mR8CLEHMaN5Cw0JbkR9PQ==",
                    "body": self.command(n).to_string(),
                    "attributes": {
                        "ApproximateReceiveCount": "1", "SentTimestamp": (START_MS + 30_000).to_string(),
                        "SequenceNumber": format!("188494964{batch:06}{n:05}"), "MessageGroupId": player(n),
                        "SenderId": "AIDAIENQZJOLO23YVJ4VO", "MessageDeduplicationId": format!("d-{batch}-{n}"),
                        "ApproximateFirstReceiveTimestamp": (START_MS + 30_001).to_string(),
                    },
                    "messageAttributes": {},
                    "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                    "eventSource": "aws:sqs",
                    "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:millrace-commands.fifo",
                    "awsRegion": "us-east-1",
                })
            })
            .collect();
        self.batches += 1;
        json!({ "Records": records }).to_string().into_bytes()
    }
}

/// What is switched on.
#[derive(Clone, Copy)]
struct Features {
    local: FeatureSwitch,
    batching: FeatureSwitch,
    /// Whether the events table gets all events.
    events_table: bool,
    telemetry: Telemetry,
}

const CACHED: Features = Features {
    local: FeatureSwitch::ON,
    batching: FeatureSwitch::ON,
    events_table: false,
    telemetry: Telemetry::Nothing,
};

/// The rows of the first `players` players.
fn rows(players: usize) -> Vec<(PlayerId, QueueRow)> {
    let row = |n| {
        let queue = queue(&player(n), 64);
        (queue.player_id.clone(), QueueRow { version: 1, queue: encode(&queue), outbox: None, due_at: None })
    };
    (0..players).map(row).collect()
}

/// A platform whose store has the rows of the first `players` players.
fn platform(players: usize, rows: &[(PlayerId, QueueRow)], features: Features) -> Platform {
    let Features { local, batching, events_table, telemetry } = features;
    let rows_of_players = Arc::new(MemoryStore::new());
    for (player, row) in &rows[..players] {
        rows_of_players.overwrite_queue(player, row.clone());
    }
    let store: Arc<dyn Store> = match telemetry {
        Telemetry::Nothing => rows_of_players,
        _ => Arc::new(MeteredStore::new(rows_of_players)),
    };
    Platform::new(PlatformParts {
        batch_writer: BatchWriter::new(Arc::clone(&store) as _, BatchWriterSettings::default()),
        store,
        cache: Tiers::local_only(LocalCache::new(LocalSettings::default()), local),
        publishing: events_table.then(|| Publishing { destinations: Vec::new(), types: None, table: true }),
        history: Arc::new(ProcessHistory::default()),
        clock: Arc::new(|| Timestamp::from_millis(NOW_MS)),
        resident_bytes: || None,
        apply: apply_items,
        settings: PipelineSettings { batching, ..PipelineSettings::default() },
    })
}

async fn invoke(platform: &Platform, payload: &[u8], record: InvocationRecord) -> Answer {
    let invocation = Invocation {
        request_id: "8f5c9a3e-2f0e-4e56-9f32-6d3c0b3b7a11".to_owned(),
        times_out_at: Instant::now() + Duration::from_secs(60),
        cold_start: false,
        record,
    };
    process(platform, payload, &invocation).await.expect("an answer")
}

/// A platform and the game that sends commands to it.
struct Sandbox {
    platform: Platform,
    game: Game,
    /// None: no metrics are written.
    metrics: Option<RecordWriter>,
    telemetry: Telemetry,
}

impl Sandbox {
    fn new(players: usize, rows: &[(PlayerId, QueueRow)], features: Features, runtime: &Runtime) -> Self {
        let mut sandbox = Self {
            platform: platform(players, rows, features),
            game: Game::new(players),
            metrics: (features.telemetry >= Telemetry::Metrics).then(metrics_writer),
            telemetry: features.telemetry,
        };
        // Ten batches contain every kind of command. They warm up the heap and the caches.
        for _ in 0..10 {
            sandbox.run(runtime);
        }
        sandbox
    }

    /// As `run`, with a new store after 50 batches: the store in memory keeps all records.
    fn renew_and_run(&mut self, rows: &[(PlayerId, QueueRow)], features: Features, runtime: &Runtime) -> Duration {
        if self.game.batches > 50 {
            *self = Self::new(self.game.players.len(), rows, features, runtime);
        }
        self.run(runtime)
    }

    /// Processes one batch and returns the CPU time from the payload to the encoded answer.
    fn run(&mut self, runtime: &Runtime) -> Duration {
        let payload = self.game.batch();
        let started = ProcessTime::now();
        let record = if self.metrics.is_some() { InvocationRecord::empty() } else { InvocationRecord::default() };
        let answer =
            runtime.block_on(self.telemetry.record(invoke(&self.platform, black_box(&payload), record.clone())));
        if let (Some(metrics), Some(record)) = (&self.metrics, record.take()) {
            let request_id = &answer.report.request_id;
            let at = Timestamp::from_millis(NOW_MS);
            metrics.write(&record, Ending { request_id, trace_id: None, at, error: None });
        }
        let bytes = serde_json::to_vec(&answer).expect("JSON");
        let cpu_time = started.elapsed();
        // The measurement is valid only if every command was applied.
        assert_eq!(answer.report.commands.applied, self.game.players.len() as u64, "{:?}", answer.results);
        black_box(bytes);
        cpu_time
    }
}

/// Formats lines of metrics, and throws them away: what the system takes for a line is not of
/// interest here.
fn metrics_writer() -> RecordWriter {
    let settings =
        EmfSettings { namespace: Some("Millrace/bench".to_owned()), function_name: "process-tasks".to_owned() };
    RecordWriter::to(settings, |line| {
        black_box(line);
        Ok(())
    })
}

/// Measures batches of 10 and of 1,000 messages.
fn bench_batches(criterion: &mut Criterion<CpuTime>, runtime: &Runtime) {
    let rows = rows(1_000);
    let off = FeatureSwitch::OFF;
    let cached = CACHED;
    let variants = [
        ("cached", cached),
        ("cached-events", Features { events_table: true, ..cached }),
        ("loaded", Features { local: off, ..cached }),
        ("off", Features { local: off, batching: off, ..cached }),
    ];
    for messages in [10, 1_000] {
        let mut group = criterion.benchmark_group(format!("batch-{messages}"));
        group.throughput(Throughput::Elements(messages as u64));
        group.sample_size(if messages > 100 { 40 } else { 100 });
        for (name, features) in variants {
            group.bench_function(name, |bencher| {
                let mut sandbox = Sandbox::new(messages, &rows, features, runtime);
                let mut run = || sandbox.renew_and_run(&rows, features, runtime);
                bencher.iter_custom(|iterations| (0..iterations).map(|_| run()).sum());
            });
        }
        group.bench_function("json-tree", |bencher| {
            let payload = Game::new(messages).batch();
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(&payload)).expect("JSON"));
        });
        group.finish();
    }
}

/// Measures the domain without the pipeline.
fn bench_domain(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("domain");
    let ten_tasks = queue("player-000001", 64);
    let bytes = encode(&ten_tasks);
    group.bench_function("advance-idle", |bencher| {
        let mut queue = ten_tasks.clone();
        let mut events = Vec::new();
        // The target time is fixed, so each iteration does the same work and no task becomes due.
        let now = queue.advanced_to + 1;
        bencher.iter(|| black_box(&mut queue).advance(black_box(now), Rules::default(), &mut events));
        assert!(events.is_empty(), "no task is due");
    });
    group.bench_function("catch-up-200", |bencher| {
        let template = full_queue();
        bencher.iter_batched(
            || template.clone(),
            |mut queue| {
                let mut events = Vec::new();
                queue.advance(queue.advanced_to + 30 * 86_400_000, Rules::default(), &mut events);
                assert_eq!(queue.totals.completed, 200);
                (queue, events)
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("encode", |bencher| bencher.iter(|| encode(black_box(&ten_tasks))));
    group.bench_function("decode", |bencher| bencher.iter(|| decode::<Queue>(black_box(&bytes)).expect("a queue")));
    group.finish();
}

/// A queue of 200 timed tasks of 50 minutes each, about seven days of work.
fn full_queue() -> Queue {
    let mut queue = Queue::new(PlayerId::new("player-000001").expect("an id"), Timestamp::from_millis(START_MS));
    deliver(&mut queue, "c-configure", &json!({"type": "configureQueue", "playerId": "p", "maxTasks": 200}));
    for n in 0..4 {
        let tasks: Vec<Value> = (0..50)
            .map(|m| {
                json!({"taskId": format!("t-{n}-{m}"), "kind": "build",
                    "work": {"durationMs": 3_000_000}, "rewards": {"gold": 1}})
            })
            .collect();
        deliver(&mut queue, &format!("c-{n}"), &json!({"type": "enqueueTasks", "playerId": "p", "tasks": tasks}));
    }
    queue
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    if let Some(telemetry) = Telemetry::of_this_round() {
        let (rows, features) = (rows(TELEMETRY_BATCH), Features { telemetry, ..CACHED });
        let mut sandbox = Sandbox::new(TELEMETRY_BATCH, &rows, features, &runtime);
        telemetry.print_round(|| sandbox.renew_and_run(&rows, features, &runtime));
        return;
    }
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/criterion"));
    let mut criterion =
        Criterion::default().with_measurement(CpuTime).output_directory(&folder).without_plots().configure_from_args();
    bench_batches(&mut criterion, &runtime);
    bench_domain(&mut criterion);
    criterion.final_summary();
    let sizes = [0, 64].map(|remembered| encode(&queue("player-000001", remembered)).len());
    let telemetry = Telemetry::measure_in_turns().map(|nanos| nanos / TELEMETRY_BATCH as f64);
    print_table(&folder, telemetry, sizes);
}
