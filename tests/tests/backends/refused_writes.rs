//! Redis answers reads and refuses writes, so its copies stay at the version from before. No
//! process may go on serving them, not even one that only reads.

use std::time::{Duration, Instant};

use millrace_servers::{Redis, RedisCluster, RedisProgram, WriteRefusal};
use millrace_tests::{
    Function,
    backends::Backends,
    function::FunctionBuilder,
    http::{Request, Response},
};

use crate::{apply, grants, number, players};

/// How old a read may be: the default freshness of the local cache, and two seconds.
const MAX_AGE: Duration = Duration::from_secs(1 + 2);

/// One player, and a process that commits versions of its queue.
struct Fixture {
    backends: Backends,
    cluster: Option<RedisCluster>,
    /// The server with the copy of the player.
    server: Redis,
    writer: Function,
    version: u64,
}

impl Fixture {
    async fn standalone(program: RedisProgram) -> Self {
        let server = Redis::builder().program(program).start().await;
        Self::new(server, None).await
    }

    async fn cluster(program: RedisProgram) -> Self {
        let cluster = RedisCluster::start_with(Redis::builder().program(program)).await;
        Self::new(cluster.nodes()[0].clone(), Some(cluster)).await
    }

    async fn new(server: Redis, cluster: Option<RedisCluster>) -> Self {
        let backends = Backends::with_redis(server.clone()).await;
        let server = match &cluster {
            Some(cluster) => cluster.node_of(&key(&backends)).await.clone(),
            None => server,
        };
        let writer = with_cluster(backends.process_tasks(), cluster.as_ref()).started().await;
        Self { backends, cluster, server, writer, version: 0 }
    }

    /// A process that only reads.
    async fn reader(&self) -> Function {
        with_cluster(self.backends.queue_api(), self.cluster.as_ref()).started().await
    }

    async fn commit(&mut self) -> serde_json::Value {
        self.version += 1;
        apply(&self.writer, &grants(&players(1), self.version as usize)).await
    }

    /// Asserts that this process reads the newest version in time.
    async fn assert_fresh(&self, reader: &Function) {
        let began = Instant::now();
        loop {
            let asked = began.elapsed();
            let version = read(reader).await;
            if version == self.version {
                return;
            }
            assert!(asked < MAX_AGE, "version {version} was read {asked:?} after {} was committed", self.version);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Cluster mode, without the proxy in front of Redis: the nodes tell their own addresses.
fn with_cluster(function: FunctionBuilder, cluster: Option<&RedisCluster>) -> FunctionBuilder {
    match cluster {
        Some(cluster) => function.env("MILLRACE_REDIS_URL", cluster.url()).env("MILLRACE_REDIS_MODE", "cluster"),
        None => function,
    }
}

/// The key of the copy in Redis.
fn key(backends: &Backends) -> String {
    format!("{}queue:p-0", backends.prefix())
}

async fn read(reader: &Function) -> u64 {
    let answer: Response = Request::get("/players/p-0/queue").trusted().send(reader).await;
    answer.expect(200)["version"].as_u64().expect("a version")
}

/// Commits eleven versions, of which Redis gets only the first, and reads in processes that started
/// before, during and after the refusal.
async fn assert_reads_are_fresh(mut fixture: Fixture, why: WriteRefusal) {
    fixture.commit().await;
    let before = fixture.reader().await;
    assert_eq!(read(&before).await, 1);
    assert_eq!(fixture.server.cli::<u64>(&["EXISTS", &key(&fixture.backends)]).await, 1);

    fixture.server.refuse_writes(why).await;
    for _ in 0..10 {
        fixture.commit().await;
    }
    fixture.assert_fresh(&before).await;
    let during = fixture.reader().await;
    fixture.assert_fresh(&during).await;
    fixture.commit().await;
    fixture.assert_fresh(&before).await;
    fixture.assert_fresh(&during).await;

    fixture.server.accept_writes(why).await;
    let ended = Instant::now();
    let after = fixture.reader().await;
    fixture.assert_fresh(&after).await;
    tokio::time::sleep(MAX_AGE.saturating_sub(ended.elapsed())).await;
    let later = fixture.reader().await;
    for reader in [&before, &during, &after, &later] {
        assert_eq!(read(reader).await, fixture.version);
    }
    // Redis is used again.
    let answer = fixture.commit().await;
    assert_eq!(answer["report"]["cache"]["redis"]["state"], "up", "{answer:#}");
    assert_eq!(number(&answer, "/cache/redis/errors"), 0, "{answer:#}");
    fixture.assert_fresh(&later).await;
}

async fn assert_standalone_reads_are_fresh(why: WriteRefusal) {
    let on = async |program| assert_reads_are_fresh(Fixture::standalone(program).await, why).await;
    tokio::join!(on(RedisProgram::Redis), on(RedisProgram::Valkey));
}

async fn assert_cluster_reads_are_fresh(why: WriteRefusal) {
    let on = async |program| assert_reads_are_fresh(Fixture::cluster(program).await, why).await;
    tokio::join!(on(RedisProgram::Redis), on(RedisProgram::Valkey));
}

/// Origin: a Redis whose disk is full, so that its snapshot fails (`MISCONF`).
#[tokio::test]
async fn reads_are_fresh_while_redis_cannot_save() {
    assert_standalone_reads_are_fresh(WriteRefusal::FailedSnapshot).await;
}

/// Origin: a primary that lost its replicas, with `min-replicas-to-write` (`NOREPLICAS`).
#[tokio::test]
async fn reads_are_fresh_while_redis_misses_its_replicas() {
    assert_standalone_reads_are_fresh(WriteRefusal::MissingReplicas).await;
}

/// Origin: a primary that a failover demoted, and that does not reach the new one (`READONLY`).
#[tokio::test]
async fn reads_are_fresh_while_redis_is_demoted() {
    assert_standalone_reads_are_fresh(WriteRefusal::ReadOnlyReplica).await;
}

/// Origin: a Redis that is full and was configured as a database, without eviction (`OOM`).
#[tokio::test]
async fn reads_are_fresh_while_redis_has_no_memory() {
    assert_standalone_reads_are_fresh(WriteRefusal::OutOfMemory).await;
}

/// Origin: a cluster with one node whose disk is full (`MISCONF`).
#[tokio::test]
async fn reads_are_fresh_while_a_node_of_a_cluster_cannot_save() {
    assert_cluster_reads_are_fresh(WriteRefusal::FailedSnapshot).await;
}

/// Origin: a cluster in which one primary lost its replicas (`NOREPLICAS`).
#[tokio::test]
async fn reads_are_fresh_while_a_node_of_a_cluster_misses_its_replicas() {
    assert_cluster_reads_are_fresh(WriteRefusal::MissingReplicas).await;
}

/// Origin: a cluster with one full node, without eviction (`OOM`).
#[tokio::test]
async fn reads_are_fresh_while_a_node_of_a_cluster_has_no_memory() {
    assert_cluster_reads_are_fresh(WriteRefusal::OutOfMemory).await;
}
