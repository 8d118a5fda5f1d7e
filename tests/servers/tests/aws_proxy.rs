//! The DynamoDB proxy in front of MiniStack, used through the AWS SDK.

mod support;

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    BatchStatementErrorCodeEnum, BatchStatementRequest, KeysAndAttributes, PutRequest, WriteRequest,
};
use millrace_servers::{AwsProxy, Call, Fault, MiniStack, rules};
use support::{client, create_table, key};

/// A proxy before the shared server, with tables of this test.
async fn started(tables: &[&str]) -> (AwsProxy, Client) {
    let ministack = MiniStack::shared().await;
    let proxy = AwsProxy::start(ministack.endpoint()).await;
    let direct = client(&ministack.endpoint());
    for table in tables {
        create_table(&direct, table).await;
    }
    let client = client(&proxy.endpoint());
    (proxy, client)
}

async fn put(client: &Client, table: &str, name: &str) -> Result<(), String> {
    let put = client.put_item().table_name(table);
    let answer = put.item("pk", key(name)).send().await;
    answer.map(|_| ()).map_err(|error| match error.code() {
        Some(code) => code.to_owned(),
        None => format!("no answer: {error:?}"),
    })
}

async fn has(table: &str, name: &str) -> bool {
    let direct = client(&MiniStack::shared().await.endpoint());
    let get = direct.get_item().table_name(table).consistent_read(true);
    let answer = get.key("pk", key(name)).send().await.unwrap();
    answer.item.is_some()
}

fn writes(names: std::ops::Range<u32>) -> Vec<WriteRequest> {
    names
        .map(|name| {
            let put = PutRequest::builder().item("pk", key(&name.to_string()));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        })
        .collect()
}

#[tokio::test]
async fn requests_are_counted_by_operation_table_and_entry() {
    let (proxy, client) = started(&["count-a", "count-b"]).await;
    put(&client, "count-a", "x").await.unwrap();
    put(&client, "count-a", "y").await.unwrap();
    let batch = client.batch_write_item();
    batch.request_items("count-a", writes(0..3)).request_items("count-b", writes(0..2)).send().await.unwrap();
    assert_eq!(proxy.total(), 3);
    assert_eq!(proxy.count("PutItem"), 2);
    assert_eq!(proxy.count("BatchWriteItem"), 1);
    assert_eq!(proxy.count("GetItem"), 0);
    assert_eq!(proxy.count_on("BatchWriteItem", "count-a"), 1);
    assert_eq!(proxy.count_on("PutItem", "count-b"), 0);
    assert_eq!(proxy.entries("BatchWriteItem"), 5);
    assert_eq!(proxy.connections(), 1);
    proxy.reset_counts();
    assert_eq!(proxy.total(), 0);
}

#[tokio::test]
async fn the_sdk_recognizes_the_errors() {
    let (proxy, client) = started(&["errors"]).await;
    for (fault, code) in [
        (Fault::throughput_exceeded(), "ProvisionedThroughputExceededException"),
        (Fault::throttled(), "ThrottlingException"),
        (Fault::access_denied(), "AccessDeniedException"),
        (Fault::resource_not_found(), "ResourceNotFoundException"),
        (Fault::internal_server_error(), "InternalServerError"),
        (Fault::error(400, "RequestLimitExceeded", "much"), "RequestLimitExceeded"),
    ] {
        proxy.set_rule(rules::always(fault));
        assert_eq!(put(&client, "errors", "x").await, Err(code.to_owned()));
    }
    let answer = client.put_item().table_name("errors").item("pk", key("x"));
    proxy.set_rule(rules::always(Fault::throughput_exceeded()));
    let error = answer.send().await.unwrap_err().into_service_error();
    assert!(error.is_provisioned_throughput_exceeded_exception());
    proxy.clear_rule();
    assert!(!has("errors", "x").await, "a refused put took effect");
    put(&client, "errors", "x").await.unwrap();
}

#[tokio::test]
async fn rules_choose_calls_by_operation_table_and_number() {
    let (proxy, client) = started(&["rule-a", "rule-b"]).await;
    proxy.set_rule(rules::on_table("rule-a", Fault::throttled()));
    assert!(put(&client, "rule-a", "x").await.is_err());
    put(&client, "rule-b", "x").await.unwrap();

    proxy.set_rule(rules::on_operation("GetItem", Fault::throttled()));
    put(&client, "rule-a", "x").await.unwrap();
    let get = client.get_item().table_name("rule-a").key("pk", key("x"));
    assert!(get.send().await.is_err());

    let puts = |call: &Call| call.operation == "PutItem";
    proxy.set_rule(rules::first(2, puts, Fault::throttled()));
    assert!(put(&client, "rule-a", "x").await.is_err());
    assert!(put(&client, "rule-a", "x").await.is_err());
    put(&client, "rule-a", "x").await.unwrap();

    let number = AtomicU64::new(0);
    proxy.set_rule(move |call| {
        let odd = number.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        assert_eq!(call.body["Item"]["pk"]["S"], "x");
        if odd { Fault::throttled() } else { Fault::none() }
    });
    assert!(put(&client, "rule-a", "x").await.is_err());
    put(&client, "rule-a", "x").await.unwrap();
}

#[tokio::test]
async fn items_of_a_batch_are_left_unprocessed() {
    let (proxy, client) = started(&["items-a", "items-b"]).await;
    let send = async || {
        let batch = client.batch_write_item();
        let answer = batch.request_items("items-a", writes(0..3)).request_items("items-b", writes(0..4));
        let unprocessed = answer.send().await.unwrap().unprocessed_items;
        unprocessed.unwrap_or_default()
    };
    let names = |requests: &[WriteRequest]| -> Vec<String> {
        let name = |request: &WriteRequest| request.put_request().unwrap().item()["pk"].clone();
        let names = requests.iter().map(name);
        names.map(|name| name.as_s().unwrap().clone()).collect()
    };
    proxy.set_rule(rules::always(Fault::unprocessed_every(2)));
    let unprocessed = send().await;
    assert_eq!(names(&unprocessed["items-a"]), ["1"]);
    assert_eq!(names(&unprocessed["items-b"]), ["0", "2"]);
    assert!(has("items-a", "0").await && has("items-a", "2").await);
    assert!(!has("items-a", "1").await && !has("items-b", "0").await);

    proxy.set_rule(rules::always(Fault::unprocessed(|entry| entry.table == "items-b")));
    let unprocessed = send().await;
    assert_eq!(unprocessed.len(), 1);
    assert_eq!(names(&unprocessed["items-b"]), ["0", "1", "2", "3"]);
    assert!(has("items-a", "1").await && !has("items-b", "2").await);

    proxy.set_rule(rules::always(Fault::unprocessed_every(1)));
    assert_eq!(send().await.len(), 2);
    proxy.clear_rule();
    assert!(send().await.is_empty());
    assert!(has("items-b", "2").await);
}

#[tokio::test]
async fn keys_of_a_batch_are_left_unprocessed() {
    let (proxy, client) = started(&["keys"]).await;
    for name in ["0", "1", "2"] {
        put(&client, "keys", name).await.unwrap();
    }
    let send = async || {
        let mut keys = KeysAndAttributes::builder().consistent_read(true);
        for name in ["0", "1", "2"] {
            keys = keys.keys(HashMap::from([("pk".to_owned(), key(name))]));
        }
        let batch = client.batch_get_item();
        let batch = batch.request_items("keys", keys.build().unwrap());
        let answer = batch.send().await.unwrap();
        let found = answer.responses.unwrap_or_default().remove("keys");
        let unprocessed = answer.unprocessed_keys.unwrap_or_default().remove("keys");
        (found.unwrap_or_default(), unprocessed)
    };
    proxy.set_rule(rules::always(Fault::unprocessed_every(2)));
    let (found, unprocessed) = send().await;
    assert_eq!(found.len(), 2);
    let unprocessed = unprocessed.unwrap();
    assert_eq!(unprocessed.keys(), [HashMap::from([("pk".to_owned(), key("1"))])]);
    assert_eq!(unprocessed.consistent_read(), Some(true));

    proxy.set_rule(rules::always(Fault::unprocessed_every(1)));
    let (found, unprocessed) = send().await;
    assert!(found.is_empty());
    assert_eq!(unprocessed.unwrap().keys().len(), 3);
    proxy.clear_rule();
    let (found, unprocessed) = send().await;
    assert_eq!(found.len(), 3);
    assert!(unprocessed.is_none());
}

#[tokio::test]
async fn single_statements_are_answered_with_errors() {
    let (proxy, client) = started(&["statements"]).await;
    for name in ["0", "1", "2"] {
        put(&client, "statements", name).await.unwrap();
    }
    let send = async || {
        let statements = ["0", "1", "2"].map(|name| {
            let statement = BatchStatementRequest::builder()
                .statement(r#"UPDATE "statements" SET x = 'new' WHERE pk = ?"#)
                .parameters(key(name));
            statement.build().unwrap()
        });
        let batch = client.batch_execute_statement();
        let answer = batch.set_statements(Some(statements.to_vec())).send().await;
        let responses = answer.unwrap().responses.unwrap_or_default();
        let error = |response: &aws_sdk_dynamodb::types::BatchStatementResponse| {
            response.error().and_then(|error| error.code().cloned())
        };
        responses.iter().map(error).collect::<Vec<_>>()
    };
    let throttling = Some(BatchStatementErrorCodeEnum::ThrottlingError);
    proxy.set_rule(rules::always(Fault::entry_errors_every(2, "ThrottlingError")));
    assert_eq!(send().await, [None, throttling.clone(), None]);
    let changed = async |name| {
        let get = client.get_item().table_name("statements");
        let answer = get.key("pk", key(name)).consistent_read(true).send().await;
        answer.unwrap().item.unwrap().contains_key("x")
    };
    assert!(changed("0").await && !changed("1").await && changed("2").await);
    assert_eq!(proxy.count_on("BatchExecuteStatement", "statements"), 1);

    proxy.set_rule(rules::always(Fault::entry_errors_every(1, "ThrottlingError")));
    assert_eq!(send().await, [throttling.clone(), throttling.clone(), throttling]);
    proxy.clear_rule();
    assert_eq!(send().await, [None, None, None]);
}

#[tokio::test]
async fn calls_are_delayed_lost_and_refused() {
    let (proxy, client) = started(&["lost"]).await;
    proxy.set_rule(rules::always(Fault::delay(Duration::from_millis(200))));
    let begin = Instant::now();
    put(&client, "lost", "slow").await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(200));

    let no_answer = |answer: Result<(), String>| {
        let error = answer.unwrap_err();
        assert!(error.starts_with("no answer"), "{error}");
    };
    proxy.set_rule(rules::always(Fault::disconnect()));
    no_answer(put(&client, "lost", "disconnected").await);
    assert!(!has("lost", "disconnected").await);
    proxy.set_rule(rules::always(Fault::lose_answer()));
    no_answer(put(&client, "lost", "lost").await);
    assert!(has("lost", "lost").await, "a put whose answer is lost takes effect");

    proxy.clear_rule();
    put(&client, "lost", "x").await.unwrap();
    proxy.refuse();
    let answer = client.put_item().table_name("lost").item("pk", key("y"));
    let error = answer.send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{:?}", error.source());
    proxy.accept();
    put(&client, "lost", "y").await.unwrap();
}
