//! The depth of queues, for operators.

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use millrace_pipeline::Failure;
use millrace_telemetry::trace::TARGET;
use tracing::{Instrument as _, field::Empty};

use crate::service_client::{OutgoingTrace, SendReasons, ServiceClient};

/// A queue whose depth is shown.
#[derive(Debug)]
pub struct MonitoredQueue {
    client: ServiceClient<Client>,
    url: String,
}

/// The messages of a queue as SQS counts them, approximately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that can be received.
    pub waiting: u64,
    /// Messages that were received and not deleted yet.
    pub in_flight: u64,
    /// Messages that cannot be received yet.
    pub delayed: u64,
}

impl MonitoredQueue {
    /// The queue at `url`, with the region, credentials and endpoint of `sdk`.
    pub fn new(sdk: &SdkConfig, url: &str) -> Self {
        Self { client: ServiceClient::new(sdk, Client::new), url: url.to_owned() }
    }

    /// The last part of the URL.
    pub fn name(&self) -> &str {
        self.url.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// Asks SQS for the depth: one call.
    ///
    /// # Errors
    /// [`Failure`] where SQS refuses or does not answer.
    pub async fn depth(&self) -> Result<QueueDepth, Failure> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed, ApproximateNumberOfMessagesNotVisible,
        };
        let span = tracing::info_span!(
            target: TARGET,
            "sqs",
            otel.kind = "client",
            rpc.system = "aws-api",
            rpc.service = "SQS",
            rpc.method = "GetQueueAttributes",
            messaging.system = "aws_sqs",
            messaging.destination.name = self.name(),
            "error.type" = Empty,
        );
        let trace = OutgoingTrace::of_call(&span);
        let names =
            [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible, ApproximateNumberOfMessagesDelayed];
        let call = self.client.get().get_queue_attributes().queue_url(&self.url);
        let call = call.set_attribute_names(Some(names.to_vec()));
        // The futures of the SDK have several kilobytes.
        let answer = Box::pin(call.customize().mutate_request(trace.add_to_request()).send());
        let answer = answer.instrument(span.clone()).await.map_err(|error| {
            let failure = SendReasons::TICKS.of_call(&error);
            span.record("error.type", failure.reason.code());
            failure
        })?;
        let attributes = answer.attributes().ok_or_else(Failure::unanswered)?;
        let [waiting, in_flight, delayed] =
            names.map(|name| attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or_default());
        Ok(QueueDepth { waiting, in_flight, delayed })
    }
}
