//! The queue for ticks: SQS.
//!
//! Retries of the SDK are off, as for DynamoDB. The sender of the ticks counts the calls, knows the
//! deadline, and sends again what was not accepted.

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
use millrace_domain::FailureReason;
use millrace_due::{TickMessage, TicksQueue, ticks::unanswered};
use millrace_pipeline::Failure;

use crate::runtime;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The client is replaced after this time without use. Between two runs the execution environment
/// is frozen: the server closes the connections, and the clock of the pool may not notice.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The header that names the X-Ray trace of a call.
const TRACE_HEADER: &str = "x-amzn-trace-id";
/// The most characters of an error message of the server that are kept.
const MAX_DETAIL_LENGTH: usize = 300;

/// A queue of SQS.
#[derive(Debug)]
pub struct SqsTicks {
    config: Config,
    url: String,
    /// The client, and the wall-clock time of its last use.
    client: Mutex<(SystemTime, Client)>,
}

impl SqsTicks {
    /// The queue at `url`, with the region, credentials and endpoint of `sdk`.
    pub fn new(sdk: &SdkConfig, url: impl Into<String>) -> Self {
        let config = Config::from(sdk)
            .to_builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(CALL_TIMEOUT).build(),
            )
            // Answers are small, and the call has a time-out.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let client = Mutex::new((SystemTime::now(), connect(&config)));
        Self { config, url: url.into(), client }
    }

    fn client(&self) -> Client {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        // If the clock was set back, the idle time is unknown.
        if now.duration_since(client.0).is_ok_and(|idle| idle < IDLE_TIMEOUT) {
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
    async fn send(&self, messages: &[TickMessage<'_>]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let entry = |(at, message): (usize, &TickMessage<'_>)| {
            SendMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .message_body(message.body)
                .delay_seconds(i32::try_from(message.delay_seconds).unwrap_or(i32::MAX))
                .build()
        };
        let entries: Result<Vec<_>, _> = messages.iter().enumerate().map(entry).collect();
        let entries = entries.map_err(|error| failure(FailureReason::InvalidBatch, &error.to_string()))?;
        let call = self.client().send_message_batch().queue_url(&self.url).set_entries(Some(entries)).customize();
        let trace_id = runtime::layer::trace_id();
        // X-Ray and Lambda follow the invocation into the queue by this header.
        let call = call.mutate_request(move |request| {
            if let Some(trace_id) = &trace_id {
                // A value that is no header is left out.
                let _ = request.headers_mut().try_insert(TRACE_HEADER, trace_id.clone());
            }
        });
        // The futures of the SDK have several kilobytes.
        let answer = Box::pin(call.send()).await.map_err(|error| of_call(&error))?;
        let mut results: Vec<Result<(), Failure>> = messages.iter().map(|_| Err(unanswered())).collect();
        for sent in answer.successful() {
            set(&mut results, sent.id(), Ok(()));
        }
        for failed in answer.failed() {
            set(&mut results, failed.id(), Err(of_entry(failed)));
        }
        Ok(results)
    }
}

fn set(results: &mut [Result<(), Failure>], id: &str, result: Result<(), Failure>) {
    if let Some(place) = id.parse::<usize>().ok().and_then(|at| results.get_mut(at)) {
        *place = result;
    }
}

fn failure(reason: FailureReason, detail: &str) -> Failure {
    Failure::new(reason, millrace_domain::ids::clip(detail, MAX_DETAIL_LENGTH))
}

/// The error of one message of a call.
fn of_entry(entry: &BatchResultErrorEntry) -> Failure {
    let reason = match entry.sender_fault() {
        // SQS reports throttling as a fault of the sender too.
        true if !is_throttling(entry.code()) => FailureReason::TicksRefused,
        _ => FailureReason::TicksUnavailable,
    };
    failure(reason, &format!("{}: {}", entry.code(), entry.message().unwrap_or_default()))
}

/// The error of a whole call.
fn of_call(error: &SdkError<SendMessageBatchError>) -> Failure {
    let SdkError::ServiceError(answer) = error else {
        return failure(FailureReason::TicksUnavailable, &DisplayErrorContext(error).to_string());
    };
    let code = answer.err().code().unwrap_or("an unnamed error");
    let status = answer.raw().status().as_u16();
    let reason = match code {
        _ if is_throttling(code) => FailureReason::TicksThrottled,
        _ if status >= 500 => FailureReason::TicksUnavailable,
        _ if code.ends_with("QueueDoesNotExist") || code.ends_with("NonExistentQueue") => FailureReason::NoSuchQueue,
        _ if code.starts_with("AccessDenied") || status == 403 => FailureReason::AccessDenied,
        _ => FailureReason::TicksRefused,
    };
    failure(reason, &format!("{code}: {}", answer.err().message().unwrap_or_default()))
}

fn is_throttling(code: &str) -> bool {
    ["Throttl", "OverLimit", "TooManyRequests"].iter().any(|part| code.contains(part))
}

#[cfg(test)]
mod tests {
    use aws_config::Region;
    use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn a_call_names_the_trace_of_its_invocation() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let credentials = SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test"));
        let sdk = SdkConfig::builder()
            .region(Region::new("eu-central-1"))
            .credentials_provider(credentials)
            .endpoint_url(&url)
            .behavior_version(BehaviorVersion::v2026_01_12())
            .build();
        let ticks = SqsTicks::new(&sdk, format!("{url}/1/ticks"));
        let trace_id = Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".to_owned());
        let messages = [TickMessage { body: "{}", delay_seconds: 0 }];
        let call = runtime::layer::TRACE_ID.scope(trace_id, ticks.send(&messages));
        let request = async {
            let (mut connection, _) = server.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let length = connection.read(&mut request).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        // The call fails, because the server closes the connection.
        let (request, _) = tokio::join!(request, call);
        assert!(request.contains("x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"), "{request}");
    }

    fn reason(code: &str, sender_fault: bool) -> FailureReason {
        let entry = BatchResultErrorEntry::builder().id("0").code(code).sender_fault(sender_fault);
        of_entry(&entry.build().unwrap()).reason
    }

    #[test]
    fn a_failure_of_the_server_is_passing_and_a_refused_message_is_not() {
        assert!(reason("InternalError", false).is_passing());
        assert!(reason("RequestThrottled", true).is_passing());
        assert_eq!(reason("InvalidMessageContents", true), FailureReason::TicksRefused);
    }

    #[test]
    fn an_answer_with_unknown_ids_changes_nothing() {
        let mut results = vec![Err(unanswered()), Err(unanswered())];
        for id in ["7", "x", ""] {
            set(&mut results, id, Ok(()));
        }
        assert!(results.iter().all(Result::is_err));
        set(&mut results, "1", Ok(()));
        assert_eq!(results, [Err(unanswered()), Ok(())]);
    }
}
