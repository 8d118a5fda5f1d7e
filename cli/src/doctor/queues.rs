//! Queues, their dead letters, and event buses.

use std::collections::HashMap;

use aws_sdk_sqs::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata as _},
    types::QueueAttributeName,
};

use crate::doctor::findings::Findings;

/// A queue that should exist.
#[derive(Debug, Clone)]
pub struct ExpectedQueue {
    pub url: String,
    /// Whether it must keep the order of a player's messages.
    pub is_fifo: bool,
    pub role: Role,
}

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Functions or consumers receive from it. It needs a queue of dead letters.
    Input,
    /// It has dead letters.
    DeadLetters,
}

/// Checks a queue.
pub async fn check(client: &Client, queue: &ExpectedQueue, findings: &mut Findings) {
    let name = queue.url.rsplit('/').next().unwrap_or(&queue.url);
    let check = format!("queue {name}");
    let call = client.get_queue_attributes().queue_url(&queue.url).attribute_names(QueueAttributeName::All);
    let attributes = match call.send().await {
        Ok(answer) => answer.attributes.unwrap_or_default(),
        Err(error) => {
            let (detail, correction) = match error.code() {
                Some(code) if code.contains("NonExistent") => {
                    ("the queue does not exist".to_owned(), "check the URL and the region, or deploy the stack")
                }
                Some(code) if code.contains("AccessDenied") => (
                    "sqs:GetQueueAttributes is not allowed".to_owned(),
                    "allow sqs:GetQueueAttributes to these credentials, or choose others with --profile",
                ),
                _ => (
                    format!("SQS does not answer: {}", DisplayErrorContext(&error)),
                    "check the URL, AWS_REGION, the credentials and the network",
                ),
            };
            return findings.error(check, detail, correction);
        }
    };
    let value = |name: QueueAttributeName| attributes.get(&name).map(String::as_str);
    let waiting = value(QueueAttributeName::ApproximateNumberOfMessages).unwrap_or("0");
    if queue.is_fifo && value(QueueAttributeName::FifoQueue) != Some("true") {
        let correction = "create a FIFO queue, and set its URL, which ends with .fifo";
        findings.error(
            &check,
            "the queue is not a FIFO queue, so it loses the order of a player's commands",
            correction,
        );
    }
    match queue.role {
        Role::DeadLetters if waiting != "0" => {
            let correction = "see `millrace dlq list`, and docs/operations.md";
            findings.warning(check, format!("{waiting} dead letters"), correction);
        }
        Role::DeadLetters => findings.ok(check, "no dead letters"),
        Role::Input => check_input(findings, check, &attributes, waiting),
    }
}

fn check_input(
    findings: &mut Findings,
    check: String,
    attributes: &HashMap<QueueAttributeName, String>,
    waiting: &str,
) {
    match attributes.get(&QueueAttributeName::RedrivePolicy) {
        Some(policy) if policy.contains("deadLetterTargetArn") => {
            findings.ok(check, format!("{waiting} messages wait"))
        }
        _ => {
            let correction = "set a redrive policy with a queue of dead letters, see infra/lib/queues.ts";
            findings.error(
                check,
                "no queue of dead letters: a message that fails blocks its group until it expires",
                correction,
            );
        }
    }
}

/// Checks an event bus.
pub async fn check_bus(client: &aws_sdk_eventbridge::Client, bus: &str, findings: &mut Findings) {
    let check = format!("event bus {bus}");
    match client.describe_event_bus().name(bus).send().await {
        Ok(_) => findings.ok(check, "exists"),
        Err(error) => {
            let error = error.into_service_error();
            let code = error.code().unwrap_or("unknown");
            let (detail, correction) = match code {
                "ResourceNotFoundException" => {
                    ("the event bus does not exist".to_owned(), "create it, or correct MILLRACE_EVENTS")
                }
                "AccessDeniedException" => (
                    "events:DescribeEventBus is not allowed".to_owned(),
                    "allow events:DescribeEventBus to these credentials",
                ),
                code => (format!("EventBridge failed: {code}"), "check AWS_REGION, the credentials and the network"),
            };
            findings.error(check, detail, correction);
        }
    }
}
