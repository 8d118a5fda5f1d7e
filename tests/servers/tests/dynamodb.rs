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
async fn the_shared_emulators_store_items() {
    for emulator in [MiniStack::shared().await, DynamoDbLocal::shared().await] {
        stores_an_item(&emulator.endpoint(), "items").await;
    }
    assert_eq!(MiniStack::shared().await.port(), MiniStack::shared().await.port());
}
