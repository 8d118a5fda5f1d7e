//! The servers that speak DynamoDB.

mod support;

use millrace_servers::{DynamoDbLocal, MiniStack};
use support::{client, create_table, key};

async fn stores_an_item(endpoint: &str, table: &str) {
    let client = client(endpoint);
    create_table(&client, table).await;
    let put = client.put_item().table_name(table);
    put.item("pk", key("a")).send().await.unwrap();
    let get = client.get_item().table_name(table);
    let answer = get.key("pk", key("a")).send().await.unwrap();
    assert_eq!(answer.item.unwrap()["pk"], key("a"));
}

#[tokio::test]
async fn ministack_stores_items_until_it_is_reset() {
    let ministack = MiniStack::start().await;
    stores_an_item(&ministack.endpoint(), "items").await;
    ministack.reset().await;
    let tables = client(&ministack.endpoint()).list_tables().send().await;
    assert_eq!(tables.unwrap().table_names(), [] as [String; 0]);
}

#[tokio::test]
async fn dynamodb_local_stores_items() {
    let server = DynamoDbLocal::start().await;
    stores_an_item(&server.endpoint(), "items").await;
}

/// Both run in this process, in any order and at once.
macro_rules! shared_by {
    ($($test:ident)*) => {$(
        #[tokio::test]
        async fn $test() {
            let ministack = MiniStack::shared().await;
            let local = DynamoDbLocal::shared().await;
            stores_an_item(&ministack.endpoint(), stringify!($test)).await;
            stores_an_item(&local.endpoint(), stringify!($test)).await;
            assert_eq!(MiniStack::shared().await.port(), ministack.port());
            assert_eq!(DynamoDbLocal::shared().await.port(), local.port());
        }
    )*};
}
shared_by!(shared_by_one_test shared_by_another_test);

#[tokio::test]
async fn the_environment_contains_the_endpoint() {
    let ministack = MiniStack::shared().await;
    let env = ministack.env();
    assert!(env.contains(&("AWS_ENDPOINT_URL", ministack.endpoint())));
    assert!(env.contains(&("AWS_EC2_METADATA_DISABLED", "true".to_owned())));
}
