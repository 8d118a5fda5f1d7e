//! Redis and Valkey servers: alone, with passwords, with TLS, replicated, in a cluster.

use std::fs;
use std::time::Duration;

use millrace_servers::{Redis, RedisCluster, RedisProgram, WriteRefusal};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::{AsyncCommands, Client, ErrorKind, RedisResult, ServerErrorKind, TlsCertificates};

async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    Client::open(url)?.get_multiplexed_async_connection().await
}

#[tokio::test]
async fn a_killed_server_refuses_connections_and_is_empty_after_a_restart() {
    let redis = Redis::start().await;
    let mut connection = connect(&redis.url()).await.unwrap();
    connection.set::<_, _, ()>("key", "value").await.unwrap();
    assert_eq!(redis.cli::<String>(&["GET", "key"]).await, "value");

    redis.kill();
    assert!(connection.get::<_, String>("key").await.is_err());
    assert!(connect(&redis.url()).await.is_err());

    redis.restart().await;
    let mut connection = connect(&redis.url()).await.unwrap();
    let value: Option<String> = connection.get("key").await.unwrap();
    assert_eq!(value, None);

    let url = redis.url();
    drop(redis);
    assert!(connect(&url).await.is_err());
}

#[tokio::test]
async fn a_paused_server_does_not_answer() {
    let redis = Redis::start().await;
    let mut connection = connect(&redis.url()).await.unwrap();
    redis.pause();
    let answer = tokio::time::timeout(Duration::from_millis(300), connection.get::<_, Option<String>>("key"));
    assert!(answer.await.is_err(), "a paused server answered");
    redis.resume();
    connection.set::<_, _, ()>("key", "value").await.unwrap();
}

#[tokio::test]
async fn a_full_server_refuses_writes_or_evicts_keys() {
    let full = Redis::builder().maxmemory("2mb", "noeviction").start().await;
    let evicting = Redis::builder().maxmemory("2mb", "allkeys-lru").start().await;
    let value = "x".repeat(100_000);
    let mut refusal = None;
    for number in 0..40 {
        let command = ["SET", &number.to_string(), &value];
        if let Err(error) = full.try_cli::<()>(&command).await {
            refusal = Some(error);
        }
        evicting.cli::<()>(&command).await;
    }
    let refusal = refusal.expect("a write is refused");
    assert_eq!(refusal.code(), Some("OOM"));
    assert_ne!(evicting.info("evicted_keys").await, "0");
}

#[tokio::test]
async fn clients_without_the_right_password_are_refused() {
    let redis = Redis::builder().requirepass("secret").user("reader", "on >word ~* +@read +@connection").start().await;
    let mut anonymous = connect(&redis.url()).await.unwrap();
    let refusal = anonymous.get::<_, Option<String>>("key").await.unwrap_err();
    assert_eq!(refusal.code(), Some("NOAUTH"));

    let mut owner = connect(&redis.url_as("default", "secret")).await.unwrap();
    owner.set::<_, _, ()>("key", "value").await.unwrap();
    let mut reader = connect(&redis.url_as("reader", "word")).await.unwrap();
    assert_eq!(reader.get::<_, String>("key").await.unwrap(), "value");
    let refusal = reader.set::<_, _, ()>("key", "x").await.unwrap_err();
    assert_eq!(refusal.code(), Some("NOPERM"));
    assert!(connect(&redis.url_as("reader", "wrong")).await.is_err());
}

#[tokio::test]
async fn tls_connections_need_the_certificate_of_the_test_authority() {
    let redis = Redis::builder().tls().start().await;
    let authority = fs::read(redis.ca_file().unwrap()).unwrap();
    let certificates = |root_cert| TlsCertificates { client_tls: None, root_cert };
    let trusting = Client::build_with_tls(redis.url(), certificates(Some(authority))).unwrap();
    let mut connection = trusting.get_multiplexed_async_connection().await.unwrap();
    connection.set::<_, _, ()>("key", "value").await.unwrap();
    assert_eq!(redis.cli::<String>(&["GET", "key"]).await, "value");

    let other = Redis::builder().tls().start().await;
    let authority = fs::read(other.ca_file().unwrap()).unwrap();
    let wrong_authority = Client::build_with_tls(redis.url(), certificates(Some(authority))).unwrap();
    assert!(wrong_authority.get_multiplexed_async_connection().await.is_err());
    let plain = redis.url().replace("rediss:", "redis:");
    assert!(connect(&plain).await.is_err(), "it spoke without TLS");
}

#[tokio::test]
async fn a_replica_is_read_only_until_it_is_promoted() {
    let primary = Redis::builder().requirepass("secret").start().await;
    primary.cli::<()>(&["SET", "key", "value"]).await;
    let replica = Redis::builder().replica_of(&primary).start().await;
    assert_eq!(replica.cli::<String>(&["GET", "key"]).await, "value");
    let refusal = replica.try_cli::<()>(&["SET", "key", "x"]).await;
    let read_only = ErrorKind::Server(ServerErrorKind::ReadOnly);
    assert_eq!(refusal.unwrap_err().kind(), read_only);

    replica.promote().await;
    replica.cli::<()>(&["SET", "key", "new"]).await;
    primary.demote_to_replica_of(&replica).await;
    let refusal = primary.try_cli::<()>(&["SET", "key", "x"]).await;
    assert_eq!(refusal.unwrap_err().kind(), read_only);
}

#[tokio::test]
async fn a_server_that_refuses_writes_answers_reads_and_accepts_writes_again() {
    for program in [RedisProgram::Redis, RedisProgram::Valkey] {
        let server = Redis::builder().program(program).start().await;
        server.cli::<()>(&["SET", "key", "value"]).await;
        for why in [
            WriteRefusal::FailedSnapshot,
            WriteRefusal::MissingReplicas,
            WriteRefusal::ReadOnlyReplica,
            WriteRefusal::OutOfMemory,
        ] {
            server.refuse_writes(why).await;
            let refusal = server.try_cli::<()>(&["SET", "key", "new"]).await.unwrap_err();
            assert_eq!(refusal.code(), Some(why.code()));
            assert_eq!(server.cli::<String>(&["GET", "key"]).await, "value");
            // A server without memory accepts what needs none.
            let deletion = server.try_cli::<u64>(&["DEL", "none"]).await;
            assert_eq!(deletion.is_ok(), why == WriteRefusal::OutOfMemory, "{why:?}: {deletion:?}");
            server.accept_writes(why).await;
            server.cli::<()>(&["SET", "key", "value"]).await;
        }
    }
}

#[tokio::test]
async fn the_nodes_of_a_redis_cluster_share_the_keys() {
    assert_keys_are_shared(RedisCluster::start().await).await;
}

#[tokio::test]
async fn the_nodes_of_a_valkey_cluster_share_the_keys() {
    let node = Redis::builder().program(RedisProgram::Valkey);
    assert_keys_are_shared(RedisCluster::start_with(node).await).await;
}

async fn assert_keys_are_shared(cluster: RedisCluster) {
    let mut connection = ClusterClient::new(cluster.urls()).unwrap().get_connection().unwrap();
    for number in 0..100 {
        redis::Commands::set::<_, _, ()>(&mut connection, number, number).unwrap();
    }
    for node in cluster.nodes() {
        let keys: u64 = node.cli(&["DBSIZE"]).await;
        assert!((1..100).contains(&keys), "{keys} keys");
    }
    let owner = cluster.node_of("7").await;
    assert_eq!(owner.cli::<u64>(&["GET", "7"]).await, 7);
    owner.kill();
    assert!(connect(&owner.url()).await.is_err());
}

#[tokio::test]
async fn a_valkey_server_is_valkey() {
    let server = Redis::builder().program(RedisProgram::Valkey).start().await;
    assert_eq!(server.info("server_name").await, "valkey");
    server.restart().await;
    assert_eq!(server.info("server_name").await, "valkey", "also after a restart");
}

#[tokio::test(start_paused = true)]
async fn a_server_starts_while_the_test_clock_is_paused() {
    let redis = Redis::start().await;
    assert_eq!(redis.cli::<String>(&["PING"]).await, "PONG");
}
