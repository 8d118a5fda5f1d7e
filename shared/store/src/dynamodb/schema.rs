//! Creates the tables for tests, benchmarks and local use. In production the infrastructure creates
//! the same tables.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{
    Client,
    error::{BoxError, BuildError, SdkError},
    operation::create_table::builders::CreateTableFluentBuilder,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
        ScalarAttributeType, TableStatus, TimeToLiveSpecification,
    },
};
use millrace_domain::record::Table;

use super::items::attribute;

/// The name of the due index of the queues table. Its keys are `dueShard` and `dueAt`; it contains
/// keys only.
pub(super) const DUE_INDEX: &str = "due";

/// The time-out until a table is active.
const ACTIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Creates the tables with on-demand capacity, the due index and the expiry of rows, and waits
/// until they are active. Existing tables are not changed.
///
/// # Errors
/// The error of the server if a table cannot be created or does not become active.
pub async fn create_tables(client: &Client, prefix: &str) -> Result<(), BoxError> {
    for table in Table::ALL {
        let name = format!("{prefix}{}", table.as_str());
        let is_new = match definition(client, table, &name)?.send().await {
            Err(SdkError::ServiceError(answer)) if answer.err().is_resource_in_use_exception() => false,
            created => created.map(|_| true)?,
        };
        wait_until_active(client, &name).await?;
        if is_new && table.sort_key().is_some() {
            enable_expiry(client, &name).await?;
        }
    }
    Ok(())
}

fn definition(client: &Client, table: Table, name: &str) -> Result<CreateTableFluentBuilder, BuildError> {
    let attribute = |name: &str, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let mut create = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(attribute::PLAYER_ID, ScalarAttributeType::S)?)
        .key_schema(key(attribute::PLAYER_ID, KeyType::Hash)?);
    if let Some(sort) = table.sort_key() {
        create = create
            .attribute_definitions(attribute(sort, ScalarAttributeType::S)?)
            .key_schema(key(sort, KeyType::Range)?);
    }
    if table == Table::Queues {
        let index = GlobalSecondaryIndex::builder()
            .index_name(DUE_INDEX)
            .key_schema(key(attribute::DUE_SHARD, KeyType::Hash)?)
            .key_schema(key(attribute::DUE_AT, KeyType::Range)?)
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
            .build()?;
        create = create
            .attribute_definitions(attribute(attribute::DUE_SHARD, ScalarAttributeType::N)?)
            .attribute_definitions(attribute(attribute::DUE_AT, ScalarAttributeType::N)?)
            .global_secondary_indexes(index);
    }
    Ok(create)
}

async fn wait_until_active(client: &Client, name: &str) -> Result<(), BoxError> {
    let started = Instant::now();
    loop {
        let answer = client.describe_table().table_name(name).send().await?;
        if answer.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
            return Ok(());
        }
        if started.elapsed() > ACTIVE_TIMEOUT {
            return Err(format!("table {name} is not active after {} s", ACTIVE_TIMEOUT.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Lets the server delete the rows of a table once they have expired.
async fn enable_expiry(client: &Client, name: &str) -> Result<(), BoxError> {
    let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute::EXPIRES_AT).build()?;
    client.update_time_to_live().table_name(name).time_to_live_specification(expiry).send().await?;
    Ok(())
}
