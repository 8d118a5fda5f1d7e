//! SQS: a client, and messages with every field that a function receives.

use std::hash::{DefaultHasher, Hash, Hasher};

use aws_sdk_sqs::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use millrace_domain::Timestamp;
use millrace_servers::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use serde_json::{Value, json};

/// 2026-01-15T09:00:00.000Z. Message `n` is sent `n` milliseconds later, unless a test sets the
/// time.
pub const START_MS: u64 = 1_768_467_600_000;

/// A client for this endpoint.
pub fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

/// A message. Messages with the same number are deliveries of the same message.
#[derive(Debug, Clone)]
pub struct Message {
    number: u64,
    body: String,
    group: Option<String>,
    sent_at: Timestamp,
    received: u32,
    trace_header: Option<String>,
    attributes: Value,
}

impl Message {
    /// The message `number` with this body, sent `number` milliseconds after [`START_MS`].
    pub fn new(number: u64, body: impl ToString) -> Self {
        let sent_at = Timestamp::from_millis(START_MS + number);
        Self {
            number,
            body: body.to_string(),
            group: None,
            sent_at,
            received: 1,
            trace_header: None,
            attributes: json!({}),
        }
    }

    /// Sets the message group.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }

    /// Sets the `SentTimestamp`.
    #[must_use]
    pub fn sent_at(mut self, at: Timestamp) -> Self {
        self.sent_at = at;
        self
    }

    /// Sets the `ApproximateReceiveCount`: this is the `count`-th delivery.
    #[must_use]
    pub fn received(mut self, count: u32) -> Self {
        self.received = count;
        self
    }

    /// Sets the `AWSTraceHeader`.
    #[must_use]
    pub fn trace_header(mut self, header: &str) -> Self {
        self.trace_header = Some(header.to_owned());
        self
    }

    /// Sets a message attribute of the type `String`.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes[name] = json!({"stringValue": value, "dataType": "String"});
        self
    }

    /// The `messageId`.
    pub fn id(&self) -> String {
        format!("{:08x}-5173-4e50-9abc-{:012x}", digest(&self.number) >> 32, self.number)
    }

    fn record(&self, queue: &str, fifo: bool) -> Value {
        let sent = self.sent_at.as_millis();
        let mut attributes = json!({
            "ApproximateReceiveCount": self.received.to_string(),
            "SentTimestamp": sent.to_string(),
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": (sent + 3).to_string(),
        });
        if let Some(group) = &self.group {
            attributes["MessageGroupId"] = group.as_str().into();
        }
        if let Some(header) = &self.trace_header {
            attributes["AWSTraceHeader"] = header.as_str().into();
        }
        if fifo {
            assert!(self.group.is_some(), "a FIFO message needs a group");
            attributes["SequenceNumber"] =
                (18_849_496_460_467_696_128_u128 + 256 * u128::from(self.number)).to_string().into();
            attributes["MessageDeduplicationId"] = format!("{:064x}", digest(&self.body)).into();
        }
        json!({
            "messageId": self.id(),
            "receiptHandle": format!("AQEB{:016x}{:08x}==", digest(&self.number), self.received),
            "body": self.body,
            "attributes": attributes,
            "messageAttributes": self.attributes,
            // Only the format is correct. Lambda checks the digest, functions do not.
            "md5OfBody": format!("{:016x}{:016x}", digest(&self.body), digest(&self.body.len())),
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:eu-central-1:123456789012:{queue}"),
            "awsRegion": "eu-central-1",
        })
    }
}

fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A batch of the commands queue. It is a FIFO queue, so a batch has at most 10 messages and each
/// of them needs a group.
pub fn fifo(messages: &[Message]) -> Value {
    fifo_of("millrace-commands.fifo", messages)
}

/// A batch of the FIFO queue with this name. Each queue has its own sequence numbers.
pub fn fifo_of(queue: &str, messages: &[Message]) -> Value {
    assert!(messages.len() <= 10, "a FIFO batch has at most 10 messages");
    json!({"Records": messages.iter().map(|message| message.record(queue, true)).collect::<Vec<_>>()})
}

/// A batch of the progress queue. It is a standard queue, so a batch has up to 10,000 messages.
pub fn standard(messages: &[Message]) -> Value {
    json!({"Records": messages.iter().map(|message| message.record("millrace-progress", false)).collect::<Vec<_>>()})
}
