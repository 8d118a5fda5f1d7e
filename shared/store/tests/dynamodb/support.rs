//! Stores, tables and proxies to test with.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region},
};
use millrace_domain::{PlayerId, Record, record::Table};
use millrace_servers::{AwsProxy, MiniStack};
use millrace_store::{
    QueueStore, QueueWrite, StoreError,
    conformance::sample,
    dynamodb::{DynamoDbSettings, DynamoDbStore, create_tables},
};

/// The configuration of a client without credentials.
pub fn without_credentials(endpoint: &str) -> Builder {
    Builder::default()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(millrace_servers::REGION))
        .endpoint_url(endpoint)
}

/// The configuration of a client.
pub fn config(endpoint: &str) -> Builder {
    let (key, secret) = (millrace_servers::ACCESS_KEY_ID, millrace_servers::SECRET_ACCESS_KEY);
    without_credentials(endpoint).credentials_provider(Credentials::new(key, secret, None, None, "test"))
}

/// A client of the server, without the store.
pub fn client(endpoint: &str) -> Client {
    Client::from_conf(config(endpoint).build())
}

/// Settings with a prefix, and with time-outs that suffice on a loaded machine.
pub fn settings(prefix: &str) -> DynamoDbSettings {
    DynamoDbSettings {
        prefix: prefix.to_owned(),
        call_timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(10),
        ..DynamoDbSettings::default()
    }
}

/// A prefix that no other test of this process has.
pub fn prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}.", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// New tables in MiniStack, behind a proxy.
pub struct Proxied {
    pub proxy: AwsProxy,
    pub prefix: String,
}

impl Proxied {
    pub async fn start() -> Self {
        let server = MiniStack::shared().await;
        let prefix = prefix();
        create_tables(&client(&server.endpoint()), &prefix).await.unwrap();
        Self { proxy: AwsProxy::start(server.endpoint()).await, prefix }
    }

    pub fn settings(&self) -> DynamoDbSettings {
        settings(&self.prefix)
    }

    pub fn store(&self) -> DynamoDbStore {
        self.store_with(self.settings())
    }

    pub fn store_with(&self, settings: DynamoDbSettings) -> DynamoDbStore {
        DynamoDbStore::new(config(&self.proxy.endpoint()), settings)
    }

    pub fn name(&self, table: Table) -> String {
        format!("{}{}", self.prefix, table.as_str())
    }

    pub fn throttled(&self, table: Table) -> StoreError {
        StoreError::Throttled { table: self.name(table) }
    }
}

pub fn players(count: usize) -> Vec<PlayerId> {
    std::iter::repeat_with(sample::player).take(count).collect()
}

/// First commits of new players.
pub fn writes(count: usize) -> Vec<QueueWrite> {
    players(count).iter().map(|player| sample::write(player, 0)).collect()
}

/// Rows of one player's history.
pub fn history(player: &PlayerId, count: usize) -> Vec<Record> {
    let start = sample::now();
    let row = |at| sample::history(player, &format!("t-{at}"), start + at as u64);
    (0..count).map(|at| Record::History(Box::new(row(at)))).collect()
}

/// The versions of the rows in the table for the players of `writes`; 0 if there is no row.
pub async fn versions(store: &dyn QueueStore, writes: &[QueueWrite]) -> Vec<u64> {
    let players: Vec<_> = writes.iter().map(|write| write.player_id.clone()).collect();
    let mut loaded = store.load(&players, &[], &[]).await;
    players.iter().map(|player| loaded.take_queue(player).unwrap().map_or(0, |row| row.version)).collect()
}
