//! Measures the costs of the Redis cache. Needs `redis-server`.
//!
//! The tables show bytes and time of a value by the size of its queue, plain and compressed, and
//! the time of a call by its number of players. Times are CPU time of this process unless the
//! column says otherwise, because build machines are noisy.
//!
//! ```sh
//! cargo run --release -p millrace-cache --example redis_costs
//! ```

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use cpu_time::ProcessTime;
use millrace_cache::{
    CachedCopy, DataKind, LocalCache, LocalSettings, SharedCache,
    redis::{RedisCache, RedisCacheSettings, value},
};
use millrace_domain::{
    Command, CommandId, Delivery, PlayerId, Queue, Rules, TaskSpec, Timestamp,
    codec::{self, CachedQueue},
};
use millrace_servers::Redis;
use serde_json::json;

const BEGIN: u64 = 1_768_471_200_000;

fn main() {
    values();
    local();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(connections());
    runtime.block_on(calls());
}

/// A queue with finished and unfinished tasks.
fn queue(player: &str, finished: usize, tasks: usize) -> CachedQueue {
    let mut random = fastrand::Rng::with_seed(7);
    let id = PlayerId::new(player).expect("an id");
    let mut queue = Queue::new(id.clone(), Timestamp::from_millis(BEGIN));
    let mut events = Vec::new();
    let mut deliver = |queue: &mut Queue, n: usize, command: Command| {
        let at = Timestamp::from_millis(BEGIN + 1_000 * n as u64);
        let command_id = CommandId::new(&format!("{:032x}:0", random.u128(..))).expect("an id");
        let delivery = Delivery { player_id: id.clone(), command_id, sent_at: at, position: None, command };
        let (verdict, _) = queue.deliver(&delivery, at, Rules::default(), &mut events);
        assert!(matches!(verdict, millrace_domain::Verdict::Applied), "{verdict:?}");
    };
    deliver(&mut queue, 0, Command::ConfigureQueue { slots: Some(1), max_tasks: Some(200) });
    for n in 0..finished + tasks {
        let work = match n {
            // The first unfinished task takes an hour, so the others stay unfinished.
            _ if n < finished => json!({"durationMs": 500}),
            _ if n == finished => json!({"durationMs": 3_600_000}),
            _ if n % 3 == 0 => json!({"units": 100}),
            _ => json!({"durationMs": 1_000 * (n % 60 + 1)}),
        };
        let spec: TaskSpec = serde_json::from_value(json!({
            "taskId": format!("task-{:08x}", 0x5bd1_e995_u32.wrapping_mul(n as u32 + 1)),
            "kind": (["harvest.wood", "harvest.stone", "build.house", "research.metal"][n % 4]),
            "work": work,
            "priority": (["normal", "normal", "high", "low"][n % 4]),
            "rewards": {(["wood", "stone", "gold", "metal"][n % 4]): n % 50 + 1},
        }))
        .expect("a task");
        deliver(&mut queue, n + 1, Command::EnqueueTasks { tasks: vec![spec] });
    }
    queue.version = 1 + finished as u64 + tasks as u64;
    assert_eq!(queue.tasks.len(), tasks);
    CachedQueue { progress_known: !queue.has_partial_progress(), queue }
}

/// The median time of one execution, in nanoseconds.
fn nanos<T>(mut work: impl FnMut() -> T) -> u128 {
    let mut times: Vec<u128> = (0..401)
        .map(|_| {
            let started = ProcessTime::now();
            for _ in 0..10 {
                black_box(work());
            }
            started.elapsed().as_nanos() / 10
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn values() {
    println!(
        "| tasks | finished | plain, bytes | compressed, bytes | ratio | encode, ns | encode compressed, ns | decode, ns | decode compressed, ns |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (tasks, finished) in [(0, 0), (1, 0), (3, 0), (5, 5), (5, 64), (10, 0), (10, 64), (25, 64), (50, 64), (200, 64)]
    {
        let copy = queue("player-4711", finished, tasks);
        let (plain, compressed) = (value::encode_from(&copy, usize::MAX), value::encode_from(&copy, 0));
        println!(
            "| {tasks} | {finished} | {} | {} | {:.2} | {} | {} | {} | {} |",
            plain.len(),
            compressed.len(),
            compressed.len() as f64 / plain.len() as f64,
            nanos(|| value::encode_from(&copy, usize::MAX)),
            nanos(|| value::encode_from(&copy, 0)),
            nanos(|| value::decode(&plain)),
            nanos(|| value::decode(&compressed)),
        );
    }
    let copy = queue("player-4711", 64, 10);
    println!("\nThe codec alone, 10 tasks: {} ns to write.\n", nanos(|| codec::encode(&copy)));
}

/// Measures a batch of 1,000 players in the local cache.
fn local() {
    let cache = LocalCache::new(LocalSettings::default());
    let now = Timestamp::from_millis(BEGIN);
    let players: Vec<PlayerId> = (0..1_000).map(|n| PlayerId::new(&format!("player-{n}")).expect("an id")).collect();
    for player in &players {
        let cached = Arc::new(queue(player.as_str(), 64, 10));
        cache.put(CachedCopy { cached, since: now });
    }
    let each = nanos(|| {
        for player in &players {
            if let Some(copy) = cache.take(player, now) {
                cache.put(copy);
            }
        }
    }) / 1_000;
    let copy = queue("player-1", 64, 10);
    println!(
        "Local cache: {each} ns to take a copy of 10 tasks and put it back, {} of it the kind.\n",
        nanos(|| DataKind::of(&copy))
    );
}

/// Measures new connections: after a thaw, the first call waits for one.
async fn connections() {
    println!("| connection | µs |");
    println!("|---|---|");
    let plain = Redis::start().await;
    let tls = Redis::builder().tls().start().await;
    for (name, redis) in [("plain", &plain), ("TLS", &tls)] {
        let settings =
            RedisCacheSettings { ca_file: redis.ca_file().map(Into::into), ..RedisCacheSettings::new(redis.url()) };
        let mut times = Vec::new();
        for _ in 0..51 {
            let started = Instant::now();
            let cache = RedisCache::connect(settings.clone(), None).await.expect("settings that can be used");
            times.push(started.elapsed().as_micros());
            assert_eq!(cache.put(&[Arc::new(queue("player-1", 0, 1))], Timestamp::from_millis(BEGIN)).await, 0);
        }
        times.sort_unstable();
        println!("| {name} | {} |", times[25]);
    }
    println!();
}

async fn calls() {
    let redis = Redis::start().await;
    let cache = RedisCache::connect(
        RedisCacheSettings { response_timeout: Duration::from_secs(5), ..RedisCacheSettings::new(redis.url()) },
        None,
    )
    .await
    .expect("settings that can be used");
    println!(
        "| players | get, µs of CPU | put, µs of CPU | get, µs of Redis's CPU | put, µs of Redis's CPU | get, µs on the clock | put, µs on the clock |"
    );
    println!("|---|---|---|---|---|---|---|");
    for count in [1, 10, 100, 1_000] {
        let players: Vec<PlayerId> =
            (0..count).map(|n| PlayerId::new(&format!("player-{n}")).expect("an id")).collect();
        let copies: Vec<Arc<CachedQueue>> =
            players.iter().map(|player| Arc::new(queue(player.as_str(), 64, 10))).collect();
        let put = async || assert_eq!(cache.put(&copies, Timestamp::from_millis(BEGIN)).await, 0);
        let get = async || {
            let (found, errors) = cache.get(&players).await;
            assert!(errors == 0 && found.iter().all(Option::is_some));
        };
        put().await;
        let (get, put) = (measured(&redis, get).await, measured(&redis, put).await);
        println!(
            "| {count} | {} | {} | {} | {} | {} | {} |",
            get.cpu, put.cpu, get.server, put.server, get.clock, put.clock
        );
    }
}

/// Microseconds of one call.
struct Measured {
    cpu: u128,
    server: u128,
    clock: u128,
}

async fn measured(redis: &Redis, call: impl AsyncFn()) -> Measured {
    const TIMES: usize = 101;
    let server = async || {
        let mut micros = 0.0;
        for field in ["used_cpu_user", "used_cpu_sys"] {
            micros += redis.info(field).await.parse::<f64>().expect("seconds") * 1e6;
        }
        micros
    };
    let before = server().await;
    let (mut cpu, mut clock) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let (started, begun) = (Instant::now(), ProcessTime::now());
        call().await;
        cpu.push(begun.elapsed().as_micros());
        clock.push(started.elapsed().as_micros());
    }
    let server = ((server().await - before) / TIMES as f64) as u128;
    cpu.sort_unstable();
    clock.sort_unstable();
    Measured { cpu: cpu[TIMES / 2], server, clock: clock[TIMES / 2] }
}
