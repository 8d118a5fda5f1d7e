//! The floor of the benchmarks: a function with the same clients as `process-tasks`, but without
//! logic. Its cost is that of the runtime, the clients and the network.
//!
//! An event `{"keys": [...]}` is one pipelined read of these keys, and one pipelined write of the
//! values, as in an invocation of the real function. The answer contains the duration of the read.
//! Other fields of the event are ignored.

use std::time::Instant;

use aws_config::BehaviorVersion;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize)]
struct Read {
    keys: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    read_ms: f64,
    found: usize,
}

async fn read(mut redis: MultiplexedConnection, event: LambdaEvent<Read>) -> Result<Answer, Error> {
    let started = Instant::now();
    let mut pipeline = redis::pipe();
    for key in &event.payload.keys {
        pipeline.get(key);
    }
    let values: Vec<Option<Vec<u8>>> = pipeline.query_async(&mut redis).await?;
    let read_ms = started.elapsed().as_secs_f64() * 1000.0;
    let mut pipeline = redis::pipe();
    for (key, value) in event.payload.keys.iter().zip(&values) {
        if let Some(value) = value {
            pipeline.cmd("SET").arg(key).arg(value.as_slice()).arg("KEEPTTL").ignore();
        }
    }
    if !pipeline.is_empty() {
        let () = pipeline.query_async(&mut redis).await?;
    }
    Ok(Answer { read_ms, found: values.iter().flatten().count() })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let redis = redis::Client::open(std::env::var("MILLRACE_REDIS_URL")?)?;
    let redis = redis.get_multiplexed_async_connection().await?;
    // The real function also connects before the first event.
    let table = format!("{}queues", std::env::var("MILLRACE_TABLE_PREFIX")?);
    dynamodb.describe_table().table_name(table).send().await?;
    lambda_runtime::run(service_fn(|event| read(redis.clone(), event))).await
}
