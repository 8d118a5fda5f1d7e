//! What a command costs, from the event's bytes to the answer, and what the domain costs under it.
//!
//! CPU time is measured, not the clock on the wall: it decides what a function costs, and machines that
//! build things are noisy. A service lives through many batches, as a sandbox does: each batch is new,
//! and queues stay at about ten tasks because as many end as are queued. Beside each batch
//! stand two references from the same run: the same work with cache and batching switched off, and the
//! mere reading of the event into a JSON tree. All medians come out in one table at the end.

use std::{
    collections::VecDeque,
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cpu_time::ProcessTime;
use criterion::{
    BatchSize, Criterion, Throughput,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use millrace_cache::{LocalSettings, LocalTier, Tiers};
use millrace_domain::{
    CommandId, Delivery, FeatureSwitch, PlayerId, Queue, Rules, Timestamp,
    codec::{decode, encode},
    json::{Message, parse_message},
};
use millrace_pipeline::{Answer, Invocation, Parts, Service, ServiceSettings};
use millrace_store::{BatchWriter, BatchWriterSettings, QueueRow, Store, memory::MemoryStore};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::Instant};

/// The allocator of the functions.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BEGIN: u64 = 1_768_471_200_000;
const NOW: u64 = BEGIN + 60_000;
const TASKS: usize = 10;

/// CPU time of the process, all threads.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = ProcessTime;
    type Value = Duration;
    fn start(&self) -> ProcessTime {
        ProcessTime::now()
    }
    fn end(&self, begun: ProcessTime) -> Duration {
        begun.elapsed()
    }
    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }
    fn zero(&self) -> Duration {
        Duration::ZERO
    }
    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Delivers one JSON command to a queue.
fn deliver(queue: &mut Queue, id: &str, body: &Value) {
    let Ok(Message::Commands(mut commands)) = parse_message(&body.to_string()) else { panic!("no command: {body}") };
    let request = commands.remove(0).expect("a well-formed command");
    let delivery = Delivery {
        player_id: request.player_id,
        command_id: CommandId::new(id).expect("an id"),
        sent_at: Timestamp::from_millis(BEGIN),
        position: None,
        command: request.command,
    };
    let (verdict, _) = queue.deliver(&delivery, Timestamp::from_millis(BEGIN), Rules::default(), &mut Vec::new());
    assert_eq!(verdict, millrace_domain::Verdict::Applied, "{body}");
}

/// A queue of ten tasks as a game would fill it (a long timed task, reported ones behind it, costs and
/// rewards), and so many commands remembered.
fn queue(player: &str, remembered: usize) -> Queue {
    let mut queue = Queue::new(PlayerId::new(player).expect("an id"), Timestamp::from_millis(BEGIN));
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
    json!({"taskId": format!("t-{n}"), "kind": "harvest.wood", "work": work, "costs": {"gold": 5}, "rewards": {"wood": 10}})
}

fn player(n: usize) -> String {
    format!("player-{n:06}")
}

/// A game that sends commands: 30 % enqueue, 50 % progress (one of five completes the task), 20 % others.
/// It knows which task of each player is active, so that all its commands are applied.
struct Game {
    /// Reported tasks of each player in their order, and units done of the first.
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
        let first = |tasks: &VecDeque<usize>| format!("t-{}", tasks.front().expect("a task"));
        match turn % 10 {
            0 | 3 | 6 => {
                self.tasks += 1;
                tasks.push_back(self.tasks);
                json!({"type": "enqueueTasks", "playerId": player, "tasks": [task(self.tasks, &json!({"units": 1000}))]})
            }
            1 | 2 | 4 | 7 => {
                *units_done += 20;
                json!({"type": "reportProgress", "playerId": player, "taskId": first(tasks), "unitsDone": units_done})
            }
            5 => {
                let command =
                    json!({"type": "reportProgress", "playerId": player, "taskId": first(tasks), "unitsDone": 1000});
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

    /// An SQS event of one command each for all players, with all the fields that AWS sends.
    fn batch(&mut self) -> Vec<u8> {
        let batch = self.batches;
        let records: Vec<Value> = (0..self.players.len())
            .map(|n| {
                json!({
                    "messageId": format!("059f36b4-87a3-44ab-{batch:04}-{n:012}"),
                    "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0aQebk5BRxYpTZ6mR8CLEHMaN5Cw0JbkR9PQ==",
                    "body": self.command(n).to_string(),
                    "attributes": {
                        "ApproximateReceiveCount": "1", "SentTimestamp": (BEGIN + 30_000).to_string(),
                        "SequenceNumber": format!("188494964{batch:06}{n:05}"), "MessageGroupId": player(n),
                        "SenderId": "AIDAIENQZJOLO23YVJ4VO", "MessageDeduplicationId": format!("d-{batch}-{n}"),
                        "ApproximateFirstReceiveTimestamp": (BEGIN + 30_001).to_string(),
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

/// A service on rows of so many players.
fn service(players: usize, rows: &[(PlayerId, QueueRow)], local: FeatureSwitch, batching: FeatureSwitch) -> Service {
    let store = Arc::new(MemoryStore::new());
    for (player, row) in &rows[..players] {
        store.plant_queue(player, row.clone());
    }
    Service::new(Parts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        batcher: BatchWriter::new(store as _, BatchWriterSettings::default()),
        cache: Tiers::local_only(LocalTier::new(LocalSettings::default()), local),
        clock: Arc::new(|| Timestamp::from_millis(NOW)),
        resident_bytes: || None,
        settings: ServiceSettings { batching, ..ServiceSettings::default() },
    })
}

async fn process(service: &Service, event: &[u8]) -> Answer {
    let invocation = Invocation {
        request_id: "8f5c9a3e-2f0e-4e56-9f32-6d3c0b3b7a11".to_owned(),
        times_out_at: Instant::now() + Duration::from_secs(60),
        cold_start: false,
    };
    service.process(event, &invocation).await.expect("an answer")
}

/// A service and the game that sends to it.
struct Sandbox {
    service: Service,
    game: Game,
}

impl Sandbox {
    fn new(
        players: usize,
        rows: &[(PlayerId, QueueRow)],
        local: FeatureSwitch,
        batching: FeatureSwitch,
        runtime: &Runtime,
    ) -> Self {
        let mut sandbox = Self { service: service(players, rows, local, batching), game: Game::new(players) };
        // Every kind of command once, so that the heap and the caches are what they stay.
        for _ in 0..10 {
            sandbox.run(runtime);
        }
        sandbox
    }

    /// One batch, from the event's bytes to those of the answer.
    fn run(&mut self, runtime: &Runtime) -> Duration {
        let event = self.game.batch();
        let begun = ProcessTime::now();
        let answer = runtime.block_on(process(&self.service, black_box(&event)));
        let bytes = serde_json::to_vec(&answer).expect("JSON");
        let took = begun.elapsed();
        // A figure is worth nothing where the work is not done.
        assert_eq!(answer.report.commands.applied, self.game.players.len() as u64, "{:?}", answer.results);
        black_box(bytes);
        took
    }
}

fn batches(criterion: &mut Criterion<CpuTime>, runtime: &Runtime) {
    let rows: Vec<_> = (0..1_000)
        .map(|n| {
            let queue = queue(&player(n), 64);
            (queue.player_id.clone(), QueueRow { version: 1, queue: encode(&queue), outbox: None, due_at: None })
        })
        .collect();
    let (on, off) = (FeatureSwitch::ON, FeatureSwitch::OFF);
    for messages in [10, 1_000] {
        let mut group = criterion.benchmark_group(format!("batch-{messages}"));
        group.throughput(Throughput::Elements(messages as u64));
        group.sample_size(if messages > 100 { 40 } else { 100 });
        for (name, local, batching) in [("cached", on, on), ("loaded", off, on), ("off", off, off)] {
            group.bench_function(name, |bencher| {
                let mut sandbox = Sandbox::new(messages, &rows, local, batching, runtime);
                let mut run = || {
                    // The records of a store in memory pile up; a new one now and then keeps it small.
                    if sandbox.game.batches > 50 {
                        sandbox = Sandbox::new(messages, &rows, local, batching, runtime);
                    }
                    sandbox.run(runtime)
                };
                bencher.iter_custom(|iterations| (0..iterations).map(|_| run()).sum());
            });
        }
        group.bench_function("json-tree", |bencher| {
            let event = Game::new(messages).batch();
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(&event)).expect("JSON"));
        });
        group.finish();
    }
}

fn domain(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("domain");
    let ten = queue("player-000001", 64);
    let bytes = encode(&ten);
    group.bench_function("advance-idle", |bencher| {
        let mut queue = ten.clone();
        let mut events = Vec::new();
        // Always to the same moment: the way is the same, and the day of the timed task never ends.
        let now = queue.advanced_to + 1;
        bencher.iter(|| black_box(&mut queue).advance(black_box(now), Rules::default(), &mut events));
        assert!(events.is_empty(), "nothing was due");
    });
    group.bench_function("catch-up-200", |bencher| {
        let full = full_queue();
        bencher.iter_batched(
            || full.clone(),
            |mut queue| {
                let mut events = Vec::new();
                queue.advance(queue.advanced_to + 30 * 86_400_000, Rules::default(), &mut events);
                assert_eq!(queue.totals.completed, 200);
                (queue, events)
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("encode", |bencher| bencher.iter(|| encode(black_box(&ten))));
    group.bench_function("decode", |bencher| bencher.iter(|| decode::<Queue>(black_box(&bytes)).expect("a queue")));
    group.finish();
}

/// 200 timed tasks of 50 minutes each: seven days of work.
fn full_queue() -> Queue {
    let mut queue = Queue::new(PlayerId::new("player-000001").expect("an id"), Timestamp::from_millis(BEGIN));
    deliver(&mut queue, "c-configure", &json!({"type": "configureQueue", "playerId": "p", "maxTasks": 200}));
    for n in 0..4 {
        let tasks: Vec<Value> = (0..50)
            .map(|m| json!({"taskId": format!("t-{n}-{m}"), "kind": "build", "work": {"durationMs": 3_000_000}, "rewards": {"gold": 1}}))
            .collect();
        deliver(&mut queue, &format!("c-{n}"), &json!({"type": "enqueueTasks", "playerId": "p", "tasks": tasks}));
    }
    queue
}

/// The median of a benchmark, in nanoseconds, as criterion has written it.
fn median(folder: &Path, name: &str) -> Option<f64> {
    let text = fs::read_to_string(folder.join(name).join("new/estimates.json")).ok()?;
    let estimates: Value = serde_json::from_str(&text).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

fn table(folder: &Path) {
    let per = |name: &str, count: f64| match median(folder, name) {
        Some(nanos) => format!("{:.2} µs", nanos / count / 1_000.0),
        None => "not run".to_owned(),
    };
    let rows = [
        ("command in a batch of 1,000, queues cached", per("batch-1000/cached", 1e3), "10 µs"),
        ("command in a batch of 1,000, queues from the store", per("batch-1000/loaded", 1e3), ""),
        ("  baseline: cache and batching off", per("batch-1000/off", 1e3), ""),
        ("  reference: the event read into a JSON tree", per("batch-1000/json-tree", 1e3), ""),
        ("command in a batch of 10, queues cached", per("batch-10/cached", 10.0), ""),
        ("command in a batch of 10, queues from the store", per("batch-10/loaded", 10.0), ""),
        ("  baseline: cache and batching off", per("batch-10/off", 10.0), ""),
        ("  reference: the event read into a JSON tree", per("batch-10/json-tree", 10.0), ""),
        ("advancing a queue of 10 tasks, nothing due", per("domain/advance-idle", 1.0), "1 µs"),
        ("advancing 30 days with 200 tasks due", per("domain/catch-up-200", 1.0), ""),
        ("writing the bytes of a queue of 10 tasks", per("domain/encode", 1.0), ""),
        ("reading them", per("domain/decode", 1.0), ""),
        (
            "size of a queue of 10 tasks, 12 commands remembered",
            format!("{} bytes", encode(&queue("player-000001", 0)).len()),
            "",
        ),
        (
            "size of a queue of 10 tasks, 64 commands remembered",
            format!("{} bytes", encode(&queue("player-000001", 64)).len()),
            "",
        ),
    ];
    println!("\n| CPU time (median) or size | measured | at most |");
    println!("|---|---:|---:|");
    for (what, measured, target) in rows {
        println!("| {what} | {measured} | {target} |");
    }
}

fn main() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/criterion"));
    let mut criterion =
        Criterion::default().with_measurement(CpuTime).output_directory(&folder).without_plots().configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    batches(&mut criterion, &runtime);
    domain(&mut criterion);
    criterion.final_summary();
    table(&folder);
}
