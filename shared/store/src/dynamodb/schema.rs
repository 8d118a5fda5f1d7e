//! Creates the tables for tests, benchmarks and local use. In production the infrastructure creates
//! the same tables.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::create_table::builders::CreateTableFluentBuilder,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
        ScalarAttributeType, TableStatus, TimeToLiveSpecification,
    },
};
use millrace_domain::record::Table;

use super::{
    error::{CallFailure, CallTarget},
    items::attribute,
};
use crate::error::StoreError;

/// The name of the due index of the queues table. Its keys are `dueShard` and `dueAt`; it contains
/// keys only.
pub const DUE_INDEX: &str = "due";
/// The TTL attribute of the history and rejections tables, in seconds since 1970.
pub const TTL_ATTRIBUTE: &str = attribute::EXPIRES_AT;

/// The time-out until all tables are active.
const ACTIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Creates the tables with on-demand capacity, the due index and the expiry of rows, and waits
/// until they are active. Existing tables are not changed.
///
/// # Errors
/// [`StoreError`] if a table cannot be created or does not become active.
pub async fn create_tables(client: &Client, prefix: &str) -> Result<(), StoreError> {
    for table in Table::ALL {
        let name = format!("{prefix}{}", table.as_str());
        let invalid = |error: BuildError| StoreError::InvalidBatch { table: name.clone(), detail: error.to_string() };
        let create = definition(client, table, &name).map_err(invalid)?;
        match create.send().await {
            Err(SdkError::ServiceError(answer)) if answer.err().is_resource_in_use_exception() => {}
            outcome => drop(outcome.map_err(|error| failed(&error, &name))?),
        }
    }
    let deadline = Instant::now() + ACTIVE_TIMEOUT;
    for table in Table::ALL {
        let name = format!("{prefix}{}", table.as_str());
        wait_until_active(client, &name, deadline).await?;
        if table.sort_key().is_some() {
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

async fn wait_until_active(client: &Client, name: &str, deadline: Instant) -> Result<(), StoreError> {
    loop {
        let answer = client.describe_table().table_name(name).send().await.map_err(|error| failed(&error, name))?;
        if answer.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(StoreError::timed_out(ACTIVE_TIMEOUT));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn enable_expiry(client: &Client, name: &str) -> Result<(), StoreError> {
    let described =
        client.describe_time_to_live().table_name(name).send().await.map_err(|error| failed(&error, name))?;
    let attribute = described.time_to_live_description.and_then(|description| description.attribute_name);
    if attribute.as_deref() == Some(TTL_ATTRIBUTE) {
        return Ok(());
    }
    let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL_ATTRIBUTE).build();
    let invalid = |error: BuildError| StoreError::InvalidBatch { table: name.to_owned(), detail: error.to_string() };
    let update =
        client.update_time_to_live().table_name(name).time_to_live_specification(specification.map_err(invalid)?);
    update.send().await.map(drop).map_err(|error| failed(&error, name))
}

fn failed<E>(error: &SdkError<E, aws_sdk_dynamodb::config::http::HttpResponse>, name: &str) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    CallFailure::from_sdk(error, CallTarget::read(name), Duration::ZERO).error
}
