//! A FIFO queue of SQS, to which events are published in order.

use std::fmt::Write as _;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use millrace_pipeline::{EventDestination, OutgoingEvent, SendAnswer};
use sha2::{Digest as _, Sha256};

use crate::{
    service_client::SendReasons,
    sqs_queue::{QueueMessage, SqsQueue},
};

/// The most characters of a deduplication id.
const MAX_DEDUPLICATION_ID_LENGTH: usize = 128;

/// A FIFO queue. Messages have the group of their event, so each player has its order.
#[derive(Debug)]
pub struct EventQueue(SqsQueue);

impl EventQueue {
    /// The queue at `url`, with the region, credentials and endpoint of `sdk`.
    pub fn new(sdk: &SdkConfig, url: &str) -> Self {
        Self(SqsQueue::new(sdk, url, SendReasons::EVENTS))
    }
}

#[async_trait]
impl EventDestination for EventQueue {
    fn keeps_order(&self) -> bool {
        true
    }

    async fn send(&self, events: &[OutgoingEvent<'_>]) -> SendAnswer {
        let message = |event: &OutgoingEvent<'_>| {
            let entry = SendMessageBatchRequestEntry::builder()
                .message_body(event.json)
                .message_group_id(event.group)
                .message_deduplication_id(deduplication_id(event));
            QueueMessage { entry, cause: event.trace }
        };
        self.0.send(events.iter().map(message).collect()).await
    }
}

/// The id of the event, or its SHA-256 in hexadecimal where it is too long for SQS.
fn deduplication_id(event: &OutgoingEvent<'_>) -> String {
    let id = event.event_id().to_string();
    if id.len() <= MAX_DEDUPLICATION_ID_LENGTH {
        return id;
    }
    let mut hash = String::with_capacity(64);
    for byte in Sha256::digest(&id) {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(player: &str, sequence: u64) -> String {
        deduplication_id(&OutgoingEvent { group: player, sequence, event_type: "taskStarted", json: "{}", trace: None })
    }

    #[test]
    fn a_deduplication_id_has_at_most_128_characters() {
        assert_eq!(id("p-1", 42), "p-1/42");
        let longest = "x".repeat(126);
        assert_eq!(id(&longest, 1), format!("{longest}/1"));
        let hash = id(&longest, 10);
        assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
        assert_ne!(hash, id(&longest, 11));
    }
}
