//! The smallest function: it answers with what it received. The tests of the Lambda glue run it.
//!
//! The payload `fail` fails the invocation, `panic` panics, and `slow` takes 200 ms.

use std::time::Duration;

use millrace_lambda::{App, Function, FunctionError, StartError};
use millrace_pipeline::Invocation;
use serde_json::{Value, json};
use tokio::time::Instant;

struct Echo;

impl Function for Echo {
    type Answer = Value;
    const REDELIVERED: bool = true;

    async fn open(_: App) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn answer(&self, payload: &[u8], invocation: &Invocation) -> Result<Value, FunctionError> {
        let text = String::from_utf8_lossy(payload);
        match text.as_ref() {
            "fail" => return Err(FunctionError::new("EchoFailed", "it was asked to fail")),
            "panic" => panic!("it was asked to panic"),
            "slow" => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => {}
        }
        tracing::info!(bytes = payload.len(), "echoed");
        Ok(json!({
            "payload": text,
            "bytes": payload.len(),
            "requestId": invocation.request_id,
            "secondsLeft": (invocation.times_out_at - Instant::now()).as_secs(),
            "coldStart": invocation.cold_start,
        }))
    }
}

fn main() {
    millrace_lambda::run::<Echo>();
}
