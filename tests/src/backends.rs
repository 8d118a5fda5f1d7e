//! The production back ends as a function sees them: DynamoDB behind a proxy that counts and fails,
//! Redis behind one that delays and cuts.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::Select,
};
use millrace_domain::{PlayerId, Queue, record::HistoryRecord};
use millrace_servers::{ACCESS_KEY_ID, DynamoProxy, MiniStack, REGION, Redis, SECRET_ACCESS_KEY, TcpProxy};
use millrace_store::dynamodb::{DynamoDbSettings, DynamoDbStore, create_tables};

use crate::{
    function::{Function, Setup},
    stored,
};

/// Tables of their own in a DynamoDB that the process shares, and a Redis of their own.
pub struct BackEnds {
    /// Before DynamoDB: counts its requests, and makes them fail.
    pub dynamodb: DynamoProxy,
    /// The Redis server.
    pub redis: Redis,
    /// Before Redis: delays, cuts, refuses, swallows.
    pub wire: TcpProxy,
    prefix: String,
    client: Client,
    store: DynamoDbStore,
}

impl BackEnds {
    /// Starts them, with empty tables and an empty cache.
    pub async fn start() -> Self {
        Self::with_redis(Redis::start().await).await
    }

    /// The same with this Redis.
    pub async fn with_redis(redis: Redis) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("t{}-", NUMBER.fetch_add(1, Ordering::Relaxed));
        let endpoint = MiniStack::shared().await.endpoint();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test"))
            .endpoint_url(&endpoint)
            .build();
        let client = Client::from_conf(config.clone());
        create_tables(&client, &prefix).await.expect("the tables can be made");
        // Past the proxy: what the tests look at is neither counted nor failed.
        let settings = DynamoDbSettings { prefix: prefix.clone(), ..DynamoDbSettings::default() };
        let store = DynamoDbStore::new(config.to_builder(), settings);
        let dynamodb = DynamoProxy::start(&endpoint).await;
        let wire = TcpProxy::start(redis.address()).await;
        Self { dynamodb, redis, wire, prefix, client, store }
    }

    /// What tables and keys are named with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `process-tasks` on both, by their proxies.
    pub fn process_tasks(&self) -> Setup {
        self.with_both("process-tasks")
    }

    /// `maintain-cache` on both, likewise.
    pub fn maintain_cache(&self) -> Setup {
        self.with_both("maintain-cache")
    }

    /// `queue-api` on both, likewise.
    pub fn queue_api(&self) -> Setup {
        self.with_both("queue-api")
    }

    /// `process-tasks` on DynamoDB alone.
    pub fn without_redis(&self) -> Setup {
        self.function("process-tasks")
    }

    fn with_both(&self, function: &str) -> Setup {
        self.function(function).env("MILLRACE_REDIS_URL", format!("redis://{}", self.wire.address()))
    }

    /// A function on DynamoDB alone.
    pub fn function(&self, name: &str) -> Setup {
        let setup = Function::named(name)
            .env("MILLRACE_STORE", "dynamodb")
            .env("MILLRACE_TABLE_PREFIX", &self.prefix)
            // Many tests share two processors; a test of time-outs sets its own.
            .env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "2000")
            .env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "2000");
        self.dynamodb.env().into_iter().fold(setup, |setup, (name, value)| setup.env(name, value))
    }

    /// The store, past the proxy.
    pub fn store(&self) -> &DynamoDbStore {
        &self.store
    }

    /// How many rows a table has, by its name without the prefix.
    ///
    /// # Panics
    /// Where it cannot be read.
    pub async fn rows(&self, table: &str) -> usize {
        let (mut rows, mut start) = (0, None);
        loop {
            let name = format!("{}{table}", self.prefix);
            let scan = self.client.scan().table_name(name).select(Select::Count).set_exclusive_start_key(start);
            let answer = scan.send().await.expect("the table can be read");
            rows += usize::try_from(answer.count).expect("a count");
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return rows;
            }
        }
    }

    /// A player's queue as stored, with its progress between milestones.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn queue(&self, id: &str) -> Queue {
        stored::queue(&self.store, id).await.unwrap_or_else(|| panic!("{id} has no row"))
    }

    /// The queues of players, likewise.
    pub async fn queues(&self, players: &[PlayerId]) -> Vec<Queue> {
        let queues = stored::queues(&self.store, players).await.into_iter().zip(players);
        queues.map(|(queue, player)| queue.unwrap_or_else(|| panic!("{player} has no row"))).collect()
    }

    /// A player's finished tasks, oldest first.
    pub async fn history(&self, id: &str) -> Vec<HistoryRecord> {
        stored::history(&self.store, id).await
    }
}
