//! The suite of every store on each server that speaks DynamoDB's protocol.

use std::sync::Arc;

use millrace_domain::{Record, record::Table};
use millrace_servers::{DynamoDbLocal, MiniStack};
use millrace_store::{
    CommitError, MAX_BATCH_ITEMS, QueueStore, RecordStore, StoreError,
    conformance::{SharedStore, sample},
    dynamodb::{CommitMode, DynamoDbSettings, DynamoDbStore, create_tables},
};
use tokio::sync::OnceCell;

use crate::support::{client, config, settings, writes};

const PREFIX: &str = "conformance.";

/// Each test has a store of its own, for connections belong to a test's runtime; they share tables.
async fn on(endpoint: &str, commits: CommitMode, tables: &OnceCell<()>) -> DynamoDbStore {
    let make = async || create_tables(&client(endpoint), PREFIX).await.unwrap();
    tables.get_or_init(make).await;
    DynamoDbStore::new(config(endpoint), DynamoDbSettings { commits, ..settings(PREFIX) })
}

async fn ministack(commits: CommitMode) -> DynamoDbStore {
    static TABLES: OnceCell<()> = OnceCell::const_new();
    on(&MiniStack::shared().await.endpoint(), commits, &TABLES).await
}

async fn dynamodb_local(commits: CommitMode) -> DynamoDbStore {
    static TABLES: OnceCell<()> = OnceCell::const_new();
    on(&DynamoDbLocal::shared().await.endpoint(), commits, &TABLES).await
}

async fn ministack_batched() -> (SharedStore, ()) {
    (Arc::new(ministack(CommitMode::Batched).await), ())
}

async fn ministack_single() -> (SharedStore, ()) {
    (Arc::new(ministack(CommitMode::Single).await), ())
}

async fn dynamodb_local_single() -> (SharedStore, ()) {
    (Arc::new(dynamodb_local(CommitMode::Single).await), ())
}

mod on_ministack_in_batches {
    millrace_store::conformance_tests!(super::ministack_batched);
}

mod on_ministack_one_by_one {
    millrace_store::conformance_tests!(super::ministack_single);
}

mod on_dynamodb_local_one_by_one {
    millrace_store::conformance_tests!(super::dynamodb_local_single);
}

#[tokio::test]
async fn dynamodb_local_has_no_partiql_and_the_error_says_what_to_do() {
    let store = dynamodb_local(CommitMode::Batched).await;
    let writes = writes(2);
    for outcome in store.commit(&writes).await.outcomes {
        match outcome {
            Err(CommitError::Store(StoreError::InvalidBatch { table, detail })) => {
                assert_eq!(table, "conformance.queues");
                assert!(detail.contains("UnknownOperation"), "{detail}");
                assert!(detail.ends_with("a store without PartiQL takes single commits only"), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
    // One write needs no PartiQL in either mode.
    assert_eq!(store.commit(&writes[..1]).await.outcomes, vec![Ok(())]);
}

#[tokio::test]
async fn dynamodb_local_refuses_empty_strings_where_others_store_them() {
    let player = sample::player();
    let mut row = sample::history(&player, "t-1", sample::now());
    row.reason = Some(String::new());
    let records = [Record::History(Box::new(row.clone()))];
    let error = dynamodb_local(CommitMode::Single).await.write(Table::History, &records).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::InvalidBatch { table, detail }
            if table == "conformance.history" && detail.contains("empty")),
        "{error:?}"
    );

    let store = ministack(CommitMode::Single).await;
    assert_eq!(store.write(Table::History, &records).await, Ok(vec![]));
    assert_eq!(store.history(&player, 1, None).await.unwrap().items, vec![row]);
}

#[tokio::test]
async fn tables_are_made_once() {
    for endpoint in [MiniStack::shared().await.endpoint(), DynamoDbLocal::shared().await.endpoint()] {
        let (client, prefix) = (client(&endpoint), crate::support::prefix());
        create_tables(&client, &prefix).await.unwrap();
        let store = DynamoDbStore::new(config(&endpoint), settings(&prefix));
        let write = writes(1);
        assert_eq!(store.commit(&write).await.outcomes, vec![Ok(())]);
        create_tables(&client, &prefix).await.unwrap();
        assert_eq!(crate::support::versions(&store, &write).await, [1], "the row is gone");
        for table in [Table::History, Table::Rejections] {
            let name = format!("{prefix}{}", table.as_str());
            let described = client.describe_time_to_live().table_name(name).send().await.unwrap();
            let description = described.time_to_live_description.unwrap();
            assert_eq!(description.attribute_name.as_deref(), Some("expiresAt"));
        }
    }
}

#[tokio::test]
async fn a_commit_of_more_than_a_call_is_split_on_every_server() {
    let store = dynamodb_local(CommitMode::Single).await;
    let committed = store.commit(&writes(MAX_BATCH_ITEMS + 1)).await;
    assert_eq!(committed.outcomes, vec![Ok(()); MAX_BATCH_ITEMS + 1]);
    assert_eq!(committed.calls, 26);
}
