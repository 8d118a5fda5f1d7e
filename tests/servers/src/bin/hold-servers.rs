//! Starts one of each server, prints its name and port, and runs until it is killed.

use std::future::pending;

use millrace_servers::{DynamoDbLocal, MiniStack, Redis};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let redis = Redis::start().await;
    println!("redis {}", redis.port());
    println!("ministack {}", MiniStack::shared().await.port());
    println!("dynamodb-local {}", DynamoDbLocal::shared().await.port());
    println!("ready 0");
    pending::<()>().await;
}
