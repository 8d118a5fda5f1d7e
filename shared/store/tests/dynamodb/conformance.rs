//! The conformance suite on each server that implements DynamoDB's protocol.

use millrace_domain::{Record, record::Table};
use millrace_servers::{DynamoDbLocal, MiniStack};
use millrace_store::{
    CommitError, QueueStore, RecordStore, StoreError,
    conformance::{SharedStore, sample, write_records},
    dynamodb::{DynamoDbStore, create_tables},
};
use tokio::sync::OnceCell;

use crate::support::{client, config, prefix, settings, versions, writes};

const PREFIX: &str = "conformance.";

/// A store on the tables of all tests. Each test needs a store, because connections belong to the
/// runtime of a test.
async fn store_at(endpoint: &str, tables: &OnceCell<()>) -> DynamoDbStore {
    let create = async || create_tables(&client(endpoint), PREFIX).await.unwrap();
    tables.get_or_init(create).await;
    DynamoDbStore::new(config(endpoint), settings(PREFIX))
}

async fn ministack() -> DynamoDbStore {
    static TABLES: OnceCell<()> = OnceCell::const_new();
    store_at(&MiniStack::shared().await.endpoint(), &TABLES).await
}

async fn dynamodb_local() -> DynamoDbStore {
    static TABLES: OnceCell<()> = OnceCell::const_new();
    store_at(&DynamoDbLocal::shared().await.endpoint(), &TABLES).await
}

async fn ministack_in_batches() -> (SharedStore, ()) {
    (SharedStore::new(ministack().await), ())
}

async fn ministack_one_by_one() -> (SharedStore, ()) {
    (SharedStore::one_by_one(ministack().await), ())
}

async fn dynamodb_local_one_by_one() -> (SharedStore, ()) {
    (SharedStore::one_by_one(dynamodb_local().await), ())
}

mod on_ministack {
    millrace_store::conformance_tests!(super::ministack_in_batches);
}

mod on_ministack_one_by_one {
    millrace_store::conformance_tests!(super::ministack_one_by_one);
}

mod on_dynamodb_local_one_by_one {
    millrace_store::conformance_tests!(super::dynamodb_local_one_by_one);
}

#[tokio::test]
async fn error_says_that_the_server_does_not_support_partiql() {
    let store = dynamodb_local().await;
    let writes = writes(2);
    for outcome in store.commit(&writes).await.outcomes {
        match outcome {
            Err(CommitError::Store(StoreError::InvalidBatch { table, detail })) => {
                assert_eq!(table, "conformance.queues");
                assert!(detail.contains("UnknownOperation"), "{detail}");
                assert!(detail.ends_with("the endpoint must support PartiQL (BatchExecuteStatement)"), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
    // A single write does not need PartiQL.
    assert_eq!(store.commit(&writes[..1]).await.outcomes, vec![Ok(())]);
}

#[tokio::test]
async fn dynamodb_local_refuses_empty_strings_and_ministack_stores_them() {
    let player = sample::player();
    let mut row = sample::history(&player, "t-1", sample::now());
    row.reason = Some(String::new());
    let records = [Record::History(Box::new(row.clone()))];
    let error = write_records(&dynamodb_local().await, Table::History, &records).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::InvalidBatch { table, detail }
            if table == "conformance.history" && detail.contains("empty")),
        "{error:?}"
    );

    let store = ministack().await;
    assert_eq!(write_records(&store, Table::History, &records).await, Ok(vec![]));
    assert_eq!(store.history(&player, 1, None).await.unwrap().items, vec![row]);
}

#[tokio::test]
async fn existing_tables_are_not_changed() {
    for endpoint in [MiniStack::shared().await.endpoint(), DynamoDbLocal::shared().await.endpoint()] {
        let (client, prefix) = (client(&endpoint), prefix());
        create_tables(&client, &prefix).await.unwrap();
        let store = DynamoDbStore::new(config(&endpoint), settings(&prefix));
        let write = writes(1);
        assert_eq!(store.commit(&write).await.outcomes, vec![Ok(())]);
        create_tables(&client, &prefix).await.unwrap();
        assert_eq!(versions(&store, &write).await, [1], "the row is gone");
        for table in [Table::History, Table::Rejections, Table::Events] {
            let name = format!("{prefix}{}", table.as_str());
            let described = client.describe_time_to_live().table_name(name).send().await.unwrap();
            let description = described.time_to_live_description.unwrap();
            assert_eq!(description.attribute_name.as_deref(), Some("expiresAt"));
        }
    }
}
