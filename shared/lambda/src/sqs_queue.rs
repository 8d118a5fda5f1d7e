//! A queue of SQS, to which messages are sent in batches.

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry, types::builders::SendMessageBatchRequestEntryBuilder};
use millrace_domain::FailureReason;
use millrace_pipeline::{Failure, SendAnswer};

use crate::service_client::{SendReasons, ServiceClient, add_trace, failure};

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

    /// Sends at most ten messages in one call. Each gets its place in the call as its id.
    pub(crate) async fn send(&self, messages: Vec<SendMessageBatchRequestEntryBuilder>) -> SendAnswer {
        let count = messages.len();
        let entries = messages.into_iter().enumerate().map(|(at, message)| message.id(at.to_string()).build());
        let entries: Result<Vec<SendMessageBatchRequestEntry>, _> = entries.collect();
        let entries = entries.map_err(|error| failure(FailureReason::InvalidBatch, &error.to_string()))?;
        let call = self.client.get().send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        // The futures of the SDK have several kilobytes.
        let answer = Box::pin(call.customize().mutate_request(add_trace()).send()).await;
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
