//! A queue of SQS, to which messages are sent in batches.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    types::{
        MessageSystemAttributeNameForSends::AwsTraceHeader, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
        builders::SendMessageBatchRequestEntryBuilder,
    },
};
use millrace_domain::FailureReason;
use millrace_pipeline::{Failure, SendAnswer};
use millrace_telemetry::trace::{TARGET, TraceContext};
use tracing::{Instrument as _, Span, field::Empty};

use crate::service_client::{OutgoingTrace, SendReasons, ServiceClient, failure, record_failure};

/// A message that is sent.
#[derive(Debug)]
pub(crate) struct QueueMessage {
    /// The message without its id.
    pub(crate) entry: SendMessageBatchRequestEntryBuilder,
    /// The trace of what led to it; none: it belongs to that of the call.
    pub(crate) cause: Option<TraceContext>,
}

/// A queue of SQS.
#[derive(Debug)]
pub(crate) struct SqsQueue {
    client: ServiceClient<Client>,
    url: String,
    reasons: SendReasons,
}

impl SqsQueue {
    /// The queue at `url`, with the region, credentials and endpoint of `sdk`.
    pub(crate) fn new(sdk: &SdkConfig, url: &str, reasons: SendReasons) -> Self {
        Self { client: ServiceClient::new(sdk, Client::new), url: url.to_owned(), reasons }
    }

    /// Sends at most ten messages in one call. Each gets its place in the call as its id, and the
    /// trace of what led to it, or else that of the call.
    pub(crate) async fn send(&self, messages: Vec<QueueMessage>) -> SendAnswer {
        let span = tracing::info_span!(
            target: TARGET,
            "sqs",
            otel.kind = "producer",
            rpc.system = "aws-api",
            rpc.service = "SQS",
            rpc.method = "SendMessageBatch",
            messaging.system = "aws_sqs",
            messaging.operation.name = "SendMessageBatch",
            messaging.destination.name = self.name(),
            messaging.batch.message_count = messages.len(),
            "error.type" = Empty,
        );
        let answer = self.send_in(&span, messages).instrument(span.clone()).await;
        record_failure(&span, &answer);
        answer
    }

    async fn send_in(&self, span: &Span, messages: Vec<QueueMessage>) -> SendAnswer {
        let trace = OutgoingTrace::of_call(span);
        let count = messages.len();
        let entry = |(at, QueueMessage { entry, cause }): (usize, QueueMessage)| {
            let header = trace.header_of(cause).and_then(trace_attribute);
            let attributes = header.map(|header| HashMap::from([(AwsTraceHeader, header)]));
            entry.id(at.to_string()).set_message_system_attributes(attributes).build()
        };
        let entries: Result<Vec<SendMessageBatchRequestEntry>, _> =
            messages.into_iter().enumerate().map(entry).collect();
        let entries = entries.map_err(|error| failure(FailureReason::InvalidBatch, &error.to_string()))?;
        let call = self.client.get().send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        // The futures of the SDK have several kilobytes.
        let answer = Box::pin(call.customize().mutate_request(trace.add_to_request()).send()).await;
        let answer = answer.map_err(|error| self.reasons.of_call(&error))?;
        let mut results = vec![Err(Failure::unanswered()); count];
        for sent in answer.successful() {
            set(&mut results, sent.id(), Ok(()));
        }
        for failed in answer.failed() {
            let failure = self.reasons.of_message(failed.code(), failed.message(), failed.sender_fault());
            set(&mut results, failed.id(), Err(failure));
        }
        Ok(results)
    }

    /// The name of the queue: the end of its URL.
    fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }
}

fn trace_attribute(header: String) -> Option<MessageSystemAttributeValue> {
    MessageSystemAttributeValue::builder().data_type("String").string_value(header).build().ok()
}

fn set(results: &mut [Result<(), Failure>], id: &str, result: Result<(), Failure>) {
    if let Some(place) = id.parse::<usize>().ok().and_then(|at| results.get_mut(at)) {
        *place = result;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_unknown_ids_changes_nothing() {
        let mut results = vec![Err(Failure::unanswered()), Err(Failure::unanswered())];
        for id in ["7", "x", ""] {
            set(&mut results, id, Ok(()));
        }
        assert!(results.iter().all(Result::is_err));
        set(&mut results, "1", Ok(()));
        assert_eq!(results, [Err(Failure::unanswered()), Ok(())]);
    }
}
