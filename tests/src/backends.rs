//! The backends of production. The services of AWS are behind a proxy that counts requests and
//! injects errors. Redis is behind a proxy that delays and breaks connections.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::Select,
};
use millrace_domain::{PlayerId, Queue, record::HistoryRecord};
use millrace_servers::{ACCESS_KEY_ID, AwsProxy, MiniStack, REGION, Redis, SECRET_ACCESS_KEY, TcpProxy};
use millrace_store::dynamodb::{DynamoDbSettings, DynamoDbStore, create_tables};

use crate::{
    function::{Function, FunctionBuilder},
    store_contents,
};

/// A Redis server, and new tables in the DynamoDB that all tests of the process share.
pub struct Backends {
    /// The proxy in front of DynamoDB, SQS and EventBridge: counts requests and injects errors.
    pub aws_proxy: AwsProxy,
    /// The Redis server.
    pub redis: Redis,
    /// The proxy in front of Redis: delays, cuts, refuses or swallows.
    pub redis_proxy: TcpProxy,
    prefix: String,
    client: Client,
    store: DynamoDbStore,
}

impl Backends {
    /// Starts backends with empty tables and an empty cache.
    pub async fn start() -> Self {
        Self::with_redis(Redis::start().await).await
    }

    /// Starts backends that use this Redis server.
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
        create_tables(&client, &prefix).await.expect("the tables are created");
        // This store bypasses the proxy, so that reads of a test are not counted and do not fail.
        let settings = DynamoDbSettings { prefix: prefix.clone(), ..DynamoDbSettings::default() };
        let store = DynamoDbStore::new(config.to_builder(), settings);
        let aws_proxy = AwsProxy::start(&endpoint).await;
        let redis_proxy = TcpProxy::start(redis.address()).await;
        Self { aws_proxy, redis, redis_proxy, prefix, client, store }
    }

    /// The prefix of tables and of keys in Redis.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `process-tasks` with DynamoDB and Redis, through their proxies.
    pub fn process_tasks(&self) -> FunctionBuilder {
        self.function_with_redis("process-tasks")
    }

    /// `maintain-cache` with DynamoDB and Redis, through their proxies.
    pub fn maintain_cache(&self) -> FunctionBuilder {
        self.function_with_redis("maintain-cache")
    }

    /// `queue-api` with DynamoDB and Redis, through their proxies.
    pub fn queue_api(&self) -> FunctionBuilder {
        self.function_with_redis("queue-api")
    }

    fn function_with_redis(&self, function: &str) -> FunctionBuilder {
        self.function(function).env("MILLRACE_REDIS_URL", format!("redis://{}", self.redis_proxy.address()))
    }

    /// The function `name` with DynamoDB and without Redis.
    pub fn function(&self, name: &str) -> FunctionBuilder {
        let setup = Function::builder(name)
            .env("MILLRACE_STORE", "dynamodb")
            .env("MILLRACE_TABLE_PREFIX", &self.prefix)
            // Tests run in parallel on few processors. A test of time-outs sets shorter ones.
            .env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "2000")
            .env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "2000");
        self.aws_proxy.env().into_iter().fold(setup, |setup, (name, value)| setup.env(name, value))
    }

    /// The store, without the proxy.
    pub fn store(&self) -> &DynamoDbStore {
        &self.store
    }

    /// The number of rows in a table, which is named without the prefix.
    ///
    /// # Panics
    /// If the table cannot be read.
    pub async fn count_rows(&self, table: &str) -> usize {
        let (mut rows, mut start) = (0, None);
        loop {
            let name = format!("{}{table}", self.prefix);
            let scan = self.client.scan().table_name(name).select(Select::Count).set_exclusive_start_key(start);
            let answer = scan.send().await.expect("the table is read");
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
    /// If there is no row.
    pub async fn queue(&self, id: &str) -> Queue {
        store_contents::queue(&self.store, id).await.unwrap_or_else(|| panic!("{id} has no row"))
    }

    /// The queues of several players, in the order of `players`.
    ///
    /// # Panics
    /// If a player has no row.
    pub async fn queues(&self, players: &[PlayerId]) -> Vec<Queue> {
        let queues = store_contents::queues(&self.store, players).await.into_iter().zip(players);
        queues.map(|(queue, player)| queue.unwrap_or_else(|| panic!("{player} has no row"))).collect()
    }

    /// A player's finished tasks, oldest first.
    pub async fn history(&self, id: &str) -> Vec<HistoryRecord> {
        store_contents::history(&self.store, id).await
    }
}
