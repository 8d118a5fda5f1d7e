//! The smallest function: it answers with what it was sent. The tests of the Lambda glue run it.
//!
//! `fail` fails the invocation, `panic` panics, `slow` takes a moment.

use std::time::Duration;

use millrace_lambda::{FunctionError, Invocation, Settings, StartError, logs, runtime, start};
use serde_json::{Value, json};

async fn echo(invocation: Invocation) -> Result<Value, FunctionError> {
    let payload = String::from_utf8_lossy(&invocation.payload);
    match payload.as_ref() {
        "fail" => return Err(FunctionError::new("EchoFailed", "it was asked to fail")),
        "panic" => panic!("it was asked to panic"),
        "slow" => tokio::time::sleep(Duration::from_millis(200)).await,
        _ => {}
    }
    tracing::info!(bytes = invocation.payload.len(), "echoed");
    Ok(json!({
        "payload": payload,
        "bytes": invocation.payload.len(),
        "requestId": invocation.request_id,
        "deadline": invocation.deadline,
        "coldStart": invocation.cold_start,
    }))
}

async fn run() -> Result<(), StartError> {
    let settings = Settings::from_env()?;
    logs::init(&settings.log)?;
    let start::BackEnds { store, .. } = start::open(&settings).await?;
    runtime::close_on_signal(async move || store.close().await).await?;
    runtime::run(echo).await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        start::fail(&error);
    }
}
