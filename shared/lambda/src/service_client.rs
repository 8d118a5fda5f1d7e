//! Clients of the services that messages are sent to, and what their errors mean.
//!
//! Retries of the SDK are off, as for DynamoDB. The sender of the messages counts the calls, knows
//! the deadline, and sends again what was not accepted.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_config::{
    BehaviorVersion, SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_sqs::{
    config::http::{HttpRequest, HttpResponse},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use millrace_domain::{FailureReason, ids::clip};
use millrace_pipeline::{Failure, SendAnswer};
use millrace_telemetry::trace::{TraceContext, context_of};
use tracing::Span;

use crate::runtime;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The client is replaced after this time without use. Between two invocations the execution
/// environment is frozen: the server closes the connections, and the clock of the pool may not
/// notice.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The header that names the X-Ray trace of a call.
const TRACE_HEADER: &str = "x-amzn-trace-id";
/// The most characters of an error message of the server that are kept.
const MAX_DETAIL_LENGTH: usize = 300;

/// A client of a service, made again after it was idle.
#[derive(Debug)]
pub(crate) struct ServiceClient<C> {
    sdk: SdkConfig,
    connect: fn(&SdkConfig) -> C,
    /// The client, and the wall-clock time of its last use.
    last: Mutex<(SystemTime, C)>,
}

impl<C: Clone> ServiceClient<C> {
    /// A client that `connect` makes, with the region, credentials and endpoint of `sdk`.
    pub(crate) fn new(sdk: &SdkConfig, connect: fn(&SdkConfig) -> C) -> Self {
        let sdk = sdk
            .to_builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(CALL_TIMEOUT).build(),
            )
            // Answers are small, and the call has a time-out.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let client = with_connections(&sdk, connect);
        Self { sdk, connect, last: Mutex::new((SystemTime::now(), client)) }
    }

    /// The client for a call that is made now.
    pub(crate) fn get(&self) -> C {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        // If the clock was set back, the idle time is unknown.
        if now.duration_since(last.0).is_ok_and(|idle| idle < IDLE_TIMEOUT) {
            last.0 = now;
        } else {
            *last = (now, with_connections(&self.sdk, self.connect));
        }
        last.1.clone()
    }
}

/// A client with a new pool of connections.
fn with_connections<C>(sdk: &SdkConfig, connect: fn(&SdkConfig) -> C) -> C {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    connect(&sdk.to_builder().http_client(http).build())
}

/// The trace that a call or a message is part of.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingTrace {
    /// The trace header of the call; none if Lambda names no trace, and none is recorded.
    header: Option<String>,
    /// The same, if it is well-formed.
    context: Option<TraceContext>,
}

impl OutgoingTrace {
    /// The trace of a call in `span`. If the invocation is not recorded, that is what Lambda says
    /// about it.
    pub(crate) fn of_call(span: &Span) -> Self {
        match context_of(span) {
            Some(context) => Self { header: Some(context.to_string()), context: Some(context) },
            None => {
                let header = runtime::layer::trace_id();
                Self { context: header.as_deref().and_then(TraceContext::parse_xray), header }
            }
        }
    }

    /// The trace header of a message in the call: that of what led to it, or else that of the call.
    /// In the same trace, the call is what led to it.
    pub(crate) fn header_of(&self, cause: Option<TraceContext>) -> Option<String> {
        let is_same = |cause: &TraceContext| self.context.is_some_and(|own| own.trace_id == cause.trace_id);
        match cause.filter(|cause| !is_same(cause)) {
            Some(cause) => Some(cause.to_string()),
            None => self.header.clone(),
        }
    }

    /// Adds the trace to the HTTP request of the call. X-Ray and Lambda follow the invocation into
    /// the service by this header.
    pub(crate) fn add_to_request(self) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
        move |request| {
            if let Some(header) = &self.header {
                // A value that is no header is left out.
                let _ = request.headers_mut().try_insert(TRACE_HEADER, header.clone());
            }
        }
    }
}

/// Marks the span of a call as failed, if the call or one of its messages failed.
pub(crate) fn record_failure(span: &Span, answer: &SendAnswer) {
    let failed = match answer {
        Ok(results) => results.iter().find_map(|result| result.as_ref().err()),
        Err(failure) => Some(failure),
    };
    if let Some(failure) = failed {
        span.record("error.type", failure.reason.code());
    }
}

/// The reasons that the failures of a service get, by what its messages are for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendReasons {
    pub(crate) refused: FailureReason,
    pub(crate) throttled: FailureReason,
    pub(crate) unavailable: FailureReason,
}

impl SendReasons {
    pub(crate) const TICKS: Self = Self {
        refused: FailureReason::TicksRefused,
        throttled: FailureReason::TicksThrottled,
        unavailable: FailureReason::TicksUnavailable,
    };
    pub(crate) const EVENTS: Self = Self {
        refused: FailureReason::EventsRefused,
        throttled: FailureReason::EventsUnavailable,
        unavailable: FailureReason::EventsUnavailable,
    };

    /// The failure of a whole call.
    pub(crate) fn of_call<E>(self, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let SdkError::ServiceError(answer) = error else {
            return failure(self.unavailable, &DisplayErrorContext(error).to_string());
        };
        let code = answer.err().code().unwrap_or("an unnamed error");
        let status = answer.raw().status().as_u16();
        let reason = match code {
            _ if is_throttling(code) => self.throttled,
            _ if status >= 500 => self.unavailable,
            _ if code.ends_with("QueueDoesNotExist") || code.ends_with("NonExistentQueue") => {
                FailureReason::NoSuchQueue
            }
            _ if code.starts_with("AccessDenied") || status == 403 => FailureReason::AccessDenied,
            _ => self.refused,
        };
        failure(reason, &format!("{code}: {}", answer.err().message().unwrap_or_default()))
    }

    /// The failure of one message of a call. `is_fault_of_sender` says whether the service blames
    /// the message; services report throttling like that too.
    pub(crate) fn of_message(self, code: &str, message: Option<&str>, is_fault_of_sender: bool) -> Failure {
        let reason = match is_fault_of_sender && !is_throttling(code) {
            true => self.refused,
            false => self.unavailable,
        };
        failure(reason, &format!("{code}: {}", message.unwrap_or_default()))
    }
}

pub(crate) fn failure(reason: FailureReason, detail: &str) -> Failure {
    Failure::new(reason, clip(detail, MAX_DETAIL_LENGTH))
}

fn is_throttling(code: &str) -> bool {
    ["Throttl", "OverLimit", "TooManyRequests"].iter().any(|part| code.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_server_is_passing_and_a_refused_message_is_not() {
        for reasons in [SendReasons::TICKS, SendReasons::EVENTS] {
            let reason = |code, is_fault_of_sender| reasons.of_message(code, None, is_fault_of_sender).reason;
            assert!(reason("InternalError", false).is_passing());
            assert!(reason("RequestThrottled", true).is_passing());
            assert_eq!(reason("InvalidMessageContents", true), reasons.refused);
            assert!(!reasons.refused.is_passing());
        }
    }
}
