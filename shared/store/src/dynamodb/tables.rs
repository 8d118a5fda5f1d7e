//! The client and the names of the tables.

use std::sync::{Arc, atomic::AtomicU64};

use aws_sdk_dynamodb::{
    Client,
    config::{
        BehaviorVersion, Builder, SharedHttpClient, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
};
use millrace_domain::record::Table;

use super::{
    calls::CallRunner,
    error::CallTarget,
    items::{Item, attribute, string},
    pool::PooledHttpClient,
    settings::DynamoDbSettings,
};
use crate::error::StoreError;

/// What every operation of the store needs.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) client: Client,
    pub(super) calls: CallRunner,
    /// The table names with the prefix, in the order of the variants of [`Table`].
    names: [String; Table::ALL.len()],
}

impl Tables {
    pub(super) fn new(config: Builder, settings: &DynamoDbSettings) -> Self {
        let calls = CallRunner::new(settings);
        let config = config
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(SharedHttpClient::new(PooledHttpClient(Arc::clone(calls.pool()))))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(settings.connect_timeout).build())
            // Answers are small, and the whole call has a time-out.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let names = Table::ALL.map(|table| format!("{}{}", settings.prefix, table.as_str()));
        Self { client: Client::from_conf(config), calls, names }
    }

    /// The name of a table with its prefix.
    pub(super) fn name(&self, table: Table) -> &str {
        &self.names[table as usize]
    }

    /// Reads one row of a table without a sort key.
    pub(super) async fn get(&self, table: Table, partition: &str) -> Result<Option<Item>, StoreError> {
        let target = CallTarget::read("GetItem", self.name(table));
        let call = self.client.get_item().table_name(target.table).consistent_read(true);
        let call = call.key(attribute::PLAYER_ID, string(partition));
        let sent = self.calls.send_with_retries(target, &AtomicU64::new(0), || call.clone().send()).await;
        Ok(sent.map_err(|failure| failure.error)?.item)
    }
}
