//! A worker as a Lambda function: receives the events of started tasks from SQS queues, and sends
//! commands to the queues of Millrace.

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

struct Workshop {
    sqs: Client,
    commands_url: String,
    progress_url: String,
}

impl Worker for Workshop {
    /// Makes one piece after another of what the kind of the task names. Put your own work here.
    async fn work(&self, task: &Task, share: &Cell<f64>) -> Result<Value, WorkError> {
        let Some(pieces @ 1..) = task.payload["pieces"].as_u64() else {
            return Err(WorkError {
                reason: "payload.pieces has to be a whole number from 1".to_owned(),
                retry: false,
            });
        };
        let time_per_piece = Duration::from_millis(task.payload["msPerPiece"].as_u64().unwrap_or(100));
        for made in 1..=pieces {
            tokio::time::sleep(time_per_piece).await;
            share.set(made as f64 / pieces as f64);
        }
        Ok(json!({ (task.kind.rsplit('.').next().unwrap_or_default()): pieces }))
    }

    async fn report(&self, command: Value) -> Result<(), Error> {
        let message = self.sqs.send_message().queue_url(&self.progress_url).message_body(command.to_string());
        // The queue has no order. The group keeps a busy player from delaying the others.
        message.set_message_group_id(command["playerId"].as_str().map(str::to_owned)).send().await?;
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
    let workshop = Workshop {
        sqs: Client::new(&aws_config::load_defaults(BehaviorVersion::latest()).await),
        commands_url: env::var("COMMANDS_QUEUE_URL")?,
        progress_url: env::var("PROGRESS_QUEUE_URL")?,
    };
    let handler = async |LambdaEvent { payload, context }: LambdaEvent<SqsEvent>| {
        let time_left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        Ok::<_, Error>(handle_batch(payload, &workshop, time_left.saturating_sub(MARGIN)).await)
    };
    lambda_runtime::run(service_fn(handler)).await
}
