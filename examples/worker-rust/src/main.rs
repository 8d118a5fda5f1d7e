//! A worker as a Lambda function: receives the events of one kind of task from its SQS queue, and
//! sends commands to the queues of Millrace.

mod worker;

use std::{cell::Cell, env, time::Duration, time::SystemTime};

use aws_config::BehaviorVersion;
use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_sqs::Client;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use worker::{Task, WorkError, Worker, handle_batch};

/// Time to fail a task before the time-out of the invocation.
const MARGIN: Duration = Duration::from_secs(2);

struct Forge {
    sqs: Client,
    commands_url: String,
    progress_url: String,
}

impl Worker for Forge {
    /// Forges one bar after another. Put your own work here.
    async fn work(&self, task: &Task, share: &Cell<f64>) -> Result<Value, WorkError> {
        let Some(bars @ 1..) = task.payload["bars"].as_u64() else {
            return Err(WorkError { reason: "payload.bars has to be a whole number from 1".to_owned(), retry: false });
        };
        for forged in 1..=bars {
            tokio::time::sleep(Duration::from_millis(task.payload["msPerBar"].as_u64().unwrap_or(100))).await;
            share.set(forged as f64 / bars as f64);
        }
        Ok(json!({ "iron": bars }))
    }

    async fn report(&self, command: Value) -> Result<(), Error> {
        self.sqs.send_message().queue_url(&self.progress_url).message_body(command.to_string()).send().await?;
        Ok(())
    }

    async fn finish(&self, command: Value) -> Result<(), Error> {
        let message = self.sqs.send_message().queue_url(&self.commands_url).message_body(command.to_string());
        let message = message.set_message_group_id(command["playerId"].as_str().map(str::to_owned));
        message.set_message_deduplication_id(command["commandId"].as_str().map(str::to_owned)).send().await?;
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let forge = Forge {
        sqs: Client::new(&aws_config::load_defaults(BehaviorVersion::latest()).await),
        commands_url: env::var("COMMANDS_QUEUE_URL")?,
        progress_url: env::var("PROGRESS_QUEUE_URL")?,
    };
    let handler = async |LambdaEvent { payload, context }: LambdaEvent<SqsEvent>| {
        let time_left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        Ok::<_, Error>(handle_batch(payload, &forge, time_left.saturating_sub(MARGIN)).await)
    };
    lambda_runtime::run(service_fn(handler)).await
}
