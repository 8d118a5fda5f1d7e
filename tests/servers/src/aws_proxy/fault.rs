//! The faults of calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::call::Entry;

/// The fate of a call: it is forwarded, or one fault happens.
#[derive(Clone, Debug)]
pub struct Fault(pub(super) Effect);

#[derive(Clone, Debug)]
pub(super) enum Effect {
    None,
    Delay(Duration),
    /// The status and the body of an error.
    Error(StatusCode, Value),
    Disconnect,
    LoseAnswer,
    Withhold(Withhold),
}

/// The parts of a batch that are not forwarded, and what answers them.
#[derive(Clone)]
pub(super) struct Withhold {
    pub(super) chosen: Arc<dyn Fn(&Entry<'_>) -> bool + Send + Sync>,
    pub(super) code: String,
    pub(super) blames_sender: bool,
}

const SERVICE: &str = "com.amazonaws.dynamodb.v20120810#";
const CORAL: &str = "com.amazon.coral.service#";
const COMMON: &str = "com.amazon.coral.availability#";

impl Fault {
    /// The call is forwarded.
    pub fn none() -> Self {
        Self(Effect::None)
    }

    /// `ProvisionedThroughputExceededException`, of a table or partition at its limit.
    pub fn throughput_exceeded() -> Self {
        let message = "The level of configured provisioned throughput for the table was exceeded. \
                       Consider increasing your provisioning level with the UpdateTable API.";
        Self::error(400, "ProvisionedThroughputExceededException", message)
    }

    /// `ThrottlingException`, of an on-demand table that grows slower than its load.
    pub fn throttled() -> Self {
        let message = "Throughput exceeds the current capacity of your table or index. DynamoDB is \
                       automatically scaling your table or index so please try again shortly.";
        Self::error_of(COMMON, 400, "ThrottlingException", message)
    }

    /// `AccessDeniedException`: the role lacks the grant.
    pub fn access_denied() -> Self {
        let message = "User is not authorized to perform this action because no identity-based policy \
                       allows it";
        Self::error_of(CORAL, 400, "AccessDeniedException", message)
    }

    /// `ResourceNotFoundException`: there is no such table.
    pub fn resource_not_found() -> Self {
        Self::error(400, "ResourceNotFoundException", "Requested resource not found")
    }

    /// `InternalServerError`, with status 500.
    pub fn internal_server_error() -> Self {
        Self::error(500, "InternalServerError", "Internal server error")
    }

    /// Any other error of a service, by its name in the documentation.
    ///
    /// # Panics
    /// When there is no such HTTP status.
    pub fn error(status: u16, name: &str, message: &str) -> Self {
        Self::error_of(SERVICE, status, name, message)
    }

    fn error_of(namespace: &str, status: u16, name: &str, message: &str) -> Self {
        let status = StatusCode::from_u16(status).expect("an HTTP status");
        // AccessDeniedException alone has a capital M; clients read both.
        let body = json!({ "__type": format!("{namespace}{name}"), "message": message });
        Self(Effect::Error(status, body))
    }

    /// The connection is closed; the call is not forwarded.
    pub fn disconnect() -> Self {
        Self(Effect::Disconnect)
    }

    /// The call is forwarded and takes effect, but the connection is closed instead of an answer.
    pub fn lose_answer() -> Self {
        Self(Effect::LoseAnswer)
    }

    /// Of a `BatchWriteItem` or `BatchGetItem`, every `n`th item or key is not forwarded and comes
    /// back as `UnprocessedItems` or `UnprocessedKeys`; 1 is all. Other calls are forwarded.
    pub fn unprocessed_every(n: usize) -> Self {
        Self::unprocessed(move |entry| (entry.index + 1).is_multiple_of(n))
    }

    /// The chosen items or keys come back as `UnprocessedItems` or `UnprocessedKeys`.
    pub fn unprocessed(chosen: impl Fn(&Entry<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self::entry_errors("ThrottlingError", chosen)
    }

    /// Of a batch of statements, messages or events, every `n`th entry is not forwarded and is
    /// answered with an error of this code; 1 is all.
    pub fn entry_errors_every(n: usize, code: &str) -> Self {
        Self::entry_errors(code, move |entry| (entry.index + 1).is_multiple_of(n))
    }

    /// The chosen statements, messages or events of a batch are answered with an error of this
    /// code, such as `ThrottlingError`, `ConditionalCheckFailed` or `InternalFailure`. Chosen items
    /// and keys come back unprocessed.
    pub fn entry_errors(code: &str, chosen: impl Fn(&Entry<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Effect::Withhold(Withhold { chosen: Arc::new(chosen), code: code.to_owned(), blames_sender: false }))
    }

    /// The same with `SenderFault`: the answer of SQS says that the messages are wrong.
    #[must_use]
    pub fn blaming_sender(mut self) -> Self {
        if let Effect::Withhold(withhold) = &mut self.0 {
            withhold.blames_sender = true;
        }
        self
    }

    /// The call is forwarded after a delay.
    pub fn delay(delay: Duration) -> Self {
        Self(Effect::Delay(delay))
    }
}

impl fmt::Debug for Withhold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}

/// An answer in the format of DynamoDB, SQS and EventBridge. Clients of DynamoDB verify the
/// checksum.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let body = body.to_string();
    let sum = crc32fast::hash(body.as_bytes());
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("application/x-amz-json-1.0");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer.headers_mut().insert("x-amz-crc32", sum.into());
    answer
}
