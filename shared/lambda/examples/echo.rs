//! The smallest function: it answers with what it received. The tests of the Lambda glue run it.
//!
//! The payload `fail` fails the invocation, `panic` panics, and `slow` takes 200 ms.

use std::time::Duration;

use millrace_lambda::{App, Function, FunctionError, Invocation, StartError};
use serde_json::{Value, json};

struct Echo;

impl Function for Echo {
    type Answer = Value;
    const REDELIVERED: bool = true;

    async fn open(_: App) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn answer(&self, invocation: Invocation) -> Result<Value, FunctionError> {
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
}

fn main() {
    millrace_lambda::run::<Echo>();
}
