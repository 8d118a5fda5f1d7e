//! Invocation payloads: SQS messages and events of EventBridge.

use serde_json::{Value, json};

/// The time at which each test starts, in milliseconds since the Unix epoch.
pub const START_MS: u64 = 1_768_471_200_000;

/// One message of an SQS payload.
#[derive(Clone)]
pub struct SqsMessage {
    /// The SQS message id.
    pub id: String,
    /// The message body, usually JSON.
    pub body: String,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub sent_at: u64,
    /// Message group and sequence number. `None` for a message of a standard queue.
    pub fifo: Option<(String, u64)>,
    /// The name of the FIFO queue of a message with a group.
    pub fifo_queue: &'static str,
}

/// A message of a standard SQS queue, sent at [`START_MS`].
pub fn standard_message(id: &str, body: &Value) -> SqsMessage {
    SqsMessage { id: id.to_owned(), body: body.to_string(), sent_at: START_MS, fifo: None, fifo_queue: "commands" }
}

/// A message of a FIFO SQS queue, sent at [`START_MS`].
pub fn fifo_message(id: &str, group: &str, sequence: u64, body: &Value) -> SqsMessage {
    SqsMessage { fifo: Some((group.to_owned(), sequence)), ..standard_message(id, body) }
}

/// The invocation payload of a batch of SQS messages.
pub fn sqs_payload(messages: &[SqsMessage]) -> Value {
    let record = |message: &SqsMessage| {
        let mut attributes = json!({
            "ApproximateReceiveCount": "1",
            "SentTimestamp": message.sent_at.to_string(),
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": message.sent_at.to_string(),
        });
        let mut queue = "arn:aws:sqs:us-east-1:123456789012:progress".to_owned();
        if let Some((group, sequence)) = &message.fifo {
            attributes["MessageGroupId"] = json!(group);
            attributes["SequenceNumber"] = json!(sequence.to_string());
            queue = format!("arn:aws:sqs:us-east-1:123456789012:{}.fifo", message.fifo_queue);
        }
        json!({
            "messageId": message.id, "receiptHandle": "AQEB", "body": message.body, "attributes": attributes,
            "messageAttributes": {}, "md5OfBody": "d41d8cd98f00b204e9800998ecf8427e", "eventSource": "aws:sqs",
            "eventSourceARN": queue, "awsRegion": "us-east-1",
        })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

/// The invocation payload of a command from EventBridge, sent at [`START_MS`].
pub fn eventbridge_payload(command: &Value) -> Value {
    json!({
        "version": "0", "id": "e-1", "detail-type": "TaskQueueCommand", "source": "game", "account": "1",
        "time": "2026-01-08T10:00:00Z", "region": "us-east-1", "resources": [], "detail": command,
    })
}
