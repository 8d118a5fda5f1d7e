//! The queue that ticks go to: SQS.
//!
//! The SDK retries nothing here, as with DynamoDB: whoever sends ticks counts the calls, knows the deadline,
//! and sends again what was not taken.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client, Config,
    config::{BehaviorVersion, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::send_message_batch::SendMessageBatchError,
    types::{BatchResultErrorEntry, SendMessageBatchRequestEntry},
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use millrace_pipeline::{TickError, TickMessage, TicksQueue};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// After so long without use connections are made anew: the function is frozen between two runs, and the
/// pool's own clock may stand still meanwhile while the server closes them.
const IDLE: Duration = Duration::from_secs(20);
/// Most characters of what the server says that are kept.
const MAX_DETAIL_LENGTH: usize = 300;

/// A queue of SQS.
#[derive(Debug)]
pub struct SqsTicks {
    config: Config,
    url: String,
    /// With the time of its last use, by the wall clock.
    client: Mutex<(SystemTime, Client)>,
}

impl SqsTicks {
    /// The queue at `url`; region, credentials and endpoint are those of `sdk`. Sends nothing yet.
    pub fn new(sdk: &SdkConfig, url: impl Into<String>) -> Self {
        let config = Config::from(sdk)
            .to_builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(CALL_TIMEOUT).build(),
            )
            // Answers are small, and the whole call is bounded.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let client = Mutex::new((SystemTime::now(), connect(&config)));
        Self { config, url: url.into(), client }
    }

    fn client(&self) -> Client {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        // A clock that was set back says nothing: make them anew as well.
        if now.duration_since(client.0).is_ok_and(|idle| idle < IDLE) {
            client.0 = now;
        } else {
            *client = (now, connect(&self.config));
        }
        client.1.clone()
    }
}

fn connect(config: &Config) -> Client {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    Client::from_conf(config.to_builder().http_client(http).build())
}

#[async_trait]
impl TicksQueue for SqsTicks {
    async fn send(&self, messages: &[TickMessage<'_>]) -> Result<Vec<Result<(), TickError>>, TickError> {
        let entry = |(at, message): (usize, &TickMessage<'_>)| {
            SendMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .message_body(message.body)
                .delay_seconds(i32::try_from(message.delay_seconds).unwrap_or(i32::MAX))
                .build()
        };
        let entries: Result<Vec<_>, _> = messages.iter().enumerate().map(entry).collect();
        let entries = entries.map_err(|error| refused("invalid_ticks", error.to_string()))?;
        let call = self.client().send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        // The SDK's futures are kilobytes.
        let answer = Box::pin(call.send()).await.map_err(|error| of_call(&error))?;
        let mut results: Vec<Result<(), TickError>> = messages.iter().map(|_| Err(TickError::unanswered())).collect();
        for sent in answer.successful() {
            set(&mut results, sent.id(), Ok(()));
        }
        for failed in answer.failed() {
            set(&mut results, failed.id(), Err(of_entry(failed)));
        }
        Ok(results)
    }
}

fn set(results: &mut [Result<(), TickError>], id: &str, result: Result<(), TickError>) {
    if let Some(place) = id.parse::<usize>().ok().and_then(|at| results.get_mut(at)) {
        *place = result;
    }
}

fn refused(code: &'static str, detail: impl AsRef<str>) -> TickError {
    TickError { code, detail: millrace_domain::ids::clip(detail.as_ref(), MAX_DETAIL_LENGTH).into(), passing: false }
}

fn passing(code: &'static str, detail: impl AsRef<str>) -> TickError {
    TickError { passing: true, ..refused(code, detail) }
}

fn of_entry(entry: &BatchResultErrorEntry) -> TickError {
    let detail = format!("{}: {}", entry.code(), entry.message().unwrap_or_default());
    match entry.sender_fault() {
        // Throttling is said to be the sender's fault too.
        true if !is_throttling(entry.code()) => refused("ticks_refused", detail),
        _ => passing("ticks_unavailable", detail),
    }
}

fn of_call(error: &SdkError<SendMessageBatchError>) -> TickError {
    let SdkError::ServiceError(answer) = error else {
        let no_credentials = matches!(error, SdkError::ConstructionFailure(_));
        let detail = DisplayErrorContext(error).to_string();
        return if no_credentials {
            refused("ticks_unavailable", detail)
        } else {
            passing("ticks_unavailable", detail)
        };
    };
    let code = answer.err().code().unwrap_or("an unnamed error");
    let detail = format!("{code}: {}", answer.err().message().unwrap_or_default());
    let status = answer.raw().status().as_u16();
    match code {
        _ if is_throttling(code) => passing("ticks_throttled", detail),
        _ if status >= 500 => passing("ticks_unavailable", detail),
        _ if code.ends_with("QueueDoesNotExist") || code.ends_with("NonExistentQueue") => {
            refused("no_such_queue", detail)
        }
        _ if code.starts_with("AccessDenied") || status == 403 => refused("access_denied", detail),
        _ => refused("ticks_refused", detail),
    }
}

fn is_throttling(code: &str) -> bool {
    ["Throttl", "OverLimit", "TooManyRequests"].iter().any(|part| code.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(code: &str, sender_fault: bool) -> TickError {
        let entry = BatchResultErrorEntry::builder().id("0").code(code).sender_fault(sender_fault);
        of_entry(&entry.build().unwrap())
    }

    #[test]
    fn what_the_server_fails_at_may_be_sent_again_and_what_it_refuses_not() {
        assert!(entry("InternalError", false).passing);
        assert!(entry("RequestThrottled", true).passing);
        let refused = entry("InvalidMessageContents", true);
        assert_eq!((refused.code, refused.passing), ("ticks_refused", false));
    }

    #[test]
    fn an_answer_that_names_no_message_of_the_call_changes_nothing() {
        let mut results = vec![Err(TickError::unanswered()), Err(TickError::unanswered())];
        for id in ["7", "x", ""] {
            set(&mut results, id, Ok(()));
        }
        assert!(results.iter().all(Result::is_err));
        set(&mut results, "1", Ok(()));
        assert_eq!(results, [Err(TickError::unanswered()), Ok(())]);
    }
}
