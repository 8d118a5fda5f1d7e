//! Compares ways to reach the copies of 100 players on a Redis cluster of three nodes.
//!
//! All contenders read and write the same copies in turns within one run, and medians are printed.
//!
//! "Hand-routed" sends one pipeline to each node by its own slot map, which is the least that
//! another client can cost. The servers are on this machine: a round trip costs almost nothing, and
//! the differences are the CPU time of the clients. Needs `redis-server`.
//!
//! ```sh
//! cargo run --release -p millrace-cache --example cluster_clients
//! ```

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use millrace_cache::{
    SharedCache,
    redis::{RedisCache, RedisCacheSettings, RedisMode, value},
};
use millrace_domain::{PlayerId, Queue, Task, TaskSpec, Timestamp, codec::CachedQueue};
use millrace_servers::RedisCluster;
use redis::{
    Cmd, Pipeline, Script, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::Slot,
};

const PLAYERS: usize = 100;
const TASKS: usize = 40;
const RUNS: usize = 301;

/// A compare-and-set of the size and shape of the one that the cache uses.
const PUT: &str = "local current = redis.pcall('GETRANGE', KEYS[1], 0, 32)
if type(current) == 'string' and #current == 33 and current > string.sub(ARGV[1], 1, 33) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cluster = RedisCluster::start().await;
    let players: Vec<PlayerId> =
        (0..PLAYERS).map(|n| PlayerId::new(&format!("player-{n}")).expect("a valid id")).collect();
    let copies: Vec<Arc<CachedQueue>> = players.iter().map(|player| Arc::new(copy(player))).collect();
    println!("{PLAYERS} players, {} bytes a copy, 3 nodes, {RUNS} runs", value::encode(&copies[0]).len());

    let settings = RedisCacheSettings {
        mode: RedisMode::Cluster,
        response_timeout: Duration::from_secs(5),
        ..RedisCacheSettings::new(cluster.url())
    };
    let cache = RedisCache::connect(settings, None).await.expect("the URL is valid");
    let client = ClusterClient::builder(cluster.urls()).build().expect("the URLs are valid");
    let library = client.get_async_connection().await.expect("the cluster answers");
    let hand_routed = HandRouted::connect(&cluster).await;
    load_script(&library).await;

    let mut times: [Vec<Duration>; 7] = Default::default();
    for _ in 0..RUNS {
        let put = timed(async || assert_eq!(cache.put(&copies, Timestamp::from_millis(0)).await, 0)).await;
        times[0].push(put);
        times[1].push(timed(async || hand_routed.put(&players, &copies).await).await);
        times[2].push(timed(async || concurrent_put(&library, &players, &copies).await).await);
        let get = timed(async || assert_eq!(cache.get(&players).await.0.iter().flatten().count(), PLAYERS)).await;
        times[3].push(get);
        times[4].push(timed(async || hand_routed.get(&players).await).await);
        times[5].push(timed(async || concurrent_get(&library, &players).await).await);
        times[6].push(timed(async || split_get(&library, &players).await).await);
    }
    println!("| contender | put, µs | get, µs |\n|---|---:|---:|");
    let [cache_put, hand_put, library_put, cache_get, hand_get, library_get, mget] = times.map(median);
    println!("| the Redis cache of this crate | {cache_put} | {cache_get} |");
    println!("| hand-routed, one pipeline a node | {hand_put} | {hand_get} |");
    println!("| redis-rs, one command a player | {library_put} | {library_get} |");
    println!("| redis-rs, one MGET split by slot | | {mget} |");
}

/// A copy of some kilobytes.
fn copy(player: &PlayerId) -> CachedQueue {
    let now = Timestamp::from_millis(1_000);
    let mut queue = Queue::new(player.clone(), now);
    queue.version = 7;
    for n in 0..TASKS {
        let spec = format!(r#"{{"taskId": "task-{n:08x}", "kind": "harvest.wood", "work": {{"units": 100}}}}"#);
        let spec: TaskSpec = serde_json::from_str(&spec).expect("a valid task");
        queue.tasks.push(Task::new(&spec, Vec::new(), now));
    }
    CachedQueue { queue, progress_known: true }
}

fn key(player: &PlayerId) -> String {
    format!("bench:{player}")
}

fn put_command(player: &PlayerId, copy: &CachedQueue) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(Script::new(PUT).get_hash()).arg(1).arg(key(player)).arg(value::encode(copy)).arg(300_000);
    command
}

fn get_command(player: &PlayerId) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key(player));
    command
}

fn decoded(value: Value) -> CachedQueue {
    let Value::BulkString(bytes) = value else { panic!("{value:?}") };
    value::decode(&bytes).expect("readable").expect("a copy")
}

async fn load_script(connection: &ClusterConnection) {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(PUT);
    connection.clone().req_packed_command(&command).await.expect("the script is loaded");
}

async fn concurrent_put(connection: &ClusterConnection, players: &[PlayerId], copies: &[Arc<CachedQueue>]) {
    let commands: Vec<Cmd> = players.iter().zip(copies).map(|(player, copy)| put_command(player, copy)).collect();
    let answers = join_all(commands.iter().map(async |command| connection.clone().req_packed_command(command).await));
    assert!(answers.await.into_iter().all(|answer| answer == Ok(Value::Int(1))));
}

async fn concurrent_get(connection: &ClusterConnection, players: &[PlayerId]) {
    let commands: Vec<Cmd> = players.iter().map(get_command).collect();
    let answers = join_all(commands.iter().map(async |command| connection.clone().req_packed_command(command).await));
    let copies = answers.await.into_iter().map(|answer| decoded(answer.expect("an answer")));
    assert_eq!(copies.count(), PLAYERS);
}

async fn split_get(connection: &ClusterConnection, players: &[PlayerId]) {
    let mut command = redis::cmd("MGET");
    players.iter().for_each(|player| {
        command.arg(key(player));
    });
    let Ok(Value::Array(values)) = connection.clone().req_packed_command(&command).await else { panic!("no array") };
    assert_eq!(values.into_iter().map(decoded).count(), PLAYERS);
}

/// One connection a node, and the node of each slot.
struct HandRouted {
    nodes: Vec<MultiplexedConnection>,
    slots: HashMap<Slot, usize>,
}

impl HandRouted {
    async fn connect(cluster: &RedisCluster) -> Self {
        let mut nodes = Vec::new();
        for node in cluster.nodes() {
            let client = redis::Client::open(node.url()).expect("the URL is valid");
            nodes.push(client.get_multiplexed_async_connection().await.expect("the node answers"));
        }
        // Each of the three nodes has a third of the slots, in order.
        let slots = (0..16_384).filter_map(|slot| Some((Slot::new(slot)?, usize::from(slot / 5_462))));
        Self { nodes, slots: slots.collect() }
    }

    async fn put(&self, players: &[PlayerId], copies: &[Arc<CachedQueue>]) {
        let commands = players.iter().zip(copies).map(|(player, copy)| (key(player), put_command(player, copy)));
        assert!(self.send(commands).await.into_iter().all(|answer| answer == Value::Int(1)));
    }

    async fn get(&self, players: &[PlayerId]) {
        let commands = players.iter().map(|player| (key(player), get_command(player)));
        assert_eq!(self.send(commands).await.into_iter().map(decoded).count(), PLAYERS);
    }

    async fn send(&self, commands: impl Iterator<Item = (String, Cmd)>) -> Vec<Value> {
        let mut pipelines: Vec<Pipeline> = self.nodes.iter().map(|_| Pipeline::new()).collect();
        for (key, command) in commands {
            pipelines[self.slots[&Slot::for_key(&key)]].add_command(command);
        }
        let sent = self.nodes.iter().zip(&pipelines).map(async |(connection, pipeline)| {
            connection.clone().req_packed_commands(pipeline, 0, pipeline.len()).await.expect("answers")
        });
        join_all(sent).await.into_iter().flatten().collect()
    }
}

async fn timed(work: impl AsyncFnOnce()) -> Duration {
    let started = Instant::now();
    work().await;
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> u128 {
    times.sort_unstable();
    times[times.len() / 2].as_micros()
}
