//! Errors of DynamoDB and of the network.

use std::{error::Error, io, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{BatchStatementError, BatchStatementErrorCodeEnum},
};
use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::{error::StoreError, port::MAX_ROW_BYTES};

/// The maximum length of a text that is taken from an answer or an error, in characters.
const MAX_DETAIL_LENGTH: usize = 400;

/// The error of a call, and whether this store should repeat the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallFailure {
    pub(super) error: StoreError,
    pub(super) retry: Retry,
}

/// Whether and how a failed call should be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    No,
    /// The server refuses the call temporarily.
    AfterDelay,
    /// The connection was broken.
    OnNewConnection,
}

/// What a call concerns, for its errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallTarget<'a> {
    /// The name of the table with its prefix.
    pub(super) table: &'a str,
    /// The operation, as DynamoDB calls it.
    pub(super) operation: &'static str,
    /// The size of the largest row that is sent, in bytes.
    pub(super) largest_row: usize,
}

impl<'a> CallTarget<'a> {
    /// A call that sends no row.
    pub(super) fn read(operation: &'static str, table: &'a str) -> Self {
        Self { table, operation, largest_row: 0 }
    }
}

impl CallFailure {
    /// An error that is not retried here.
    pub(super) fn permanent(error: StoreError) -> Self {
        Self { error, retry: Retry::No }
    }

    /// An error that may pass after a delay.
    fn temporary(error: StoreError) -> Self {
        Self { error, retry: Retry::AfterDelay }
    }

    /// The error of a call of the SDK.
    pub(super) fn from_sdk<E>(
        error: &SdkError<E, HttpResponse>,
        target: CallTarget<'_>,
        connect_timeout: Duration,
    ) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                match answer.err().code() {
                    Some(code) => from_code(code, answer.err().message().unwrap_or_default(), status, target),
                    None => from_code("unnamed error", &format!("status {status}"), status, target),
                }
            }
            SdkError::TimeoutError(_) => Self::permanent(StoreError::timed_out(connect_timeout)),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Self::permanent(StoreError::timed_out(connect_timeout))
            }
            SdkError::DispatchFailure(failure) => {
                let is_broken = failure.as_connector_error().is_some_and(is_broken_connection);
                let retry = if is_broken { Retry::OnNewConnection } else { Retry::No };
                Self { error: unavailable(error), retry }
            }
            // The answer is incomplete or cannot be read.
            SdkError::ResponseError(_) => Self { error: unavailable(error), retry: Retry::OnNewConnection },
            _ => Self::permanent(unavailable(error)),
        }
    }

    /// The error of one statement of a batch.
    pub(super) fn from_statement(error: &BatchStatementError, target: CallTarget<'_>) -> Self {
        let code = match error.code() {
            Some(BatchStatementErrorCodeEnum::ValidationError) => "ValidationException",
            Some(code) => code.as_str(),
            None => "unnamed error",
        };
        from_code(code, error.message().unwrap_or_default(), 400, target)
    }
}

/// Maps an error code of the server. The codes of statements lack the suffix "Exception".
fn from_code(code: &str, message: &str, status: u16, target: CallTarget<'_>) -> CallFailure {
    let table = target.table.to_owned();
    let detail = || {
        let message = millrace_domain::ids::clip(message, MAX_DETAIL_LENGTH);
        if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") }
    };
    match code.strip_suffix("Exception").unwrap_or(code) {
        "ProvisionedThroughputExceeded" | "Throttling" | "ThrottlingError" | "RequestLimitExceeded" | "LimitExceeded"
        // Another write of the same row is in progress. It ends within milliseconds.
        | "TransactionConflict" | "ReplicatedWriteConflict" => {
            CallFailure::temporary(StoreError::Throttled { table })
        }
        "InternalServerError" => CallFailure::temporary(StoreError::unavailable(detail())),
        "ResourceNotFound" | "TableNotFound" => CallFailure::permanent(StoreError::NoSuchTable { table }),
        "AccessDenied" | "UnrecognizedClient" | "ExpiredToken" | "InvalidSignature" | "IncompleteSignature"
        | "MissingAuthenticationToken" | "MissingAuthentication" | "InvalidClientTokenId" | "NotAuthorized"
        | "SubscriptionRequired" | "OptInRequired" => {
            CallFailure::permanent(StoreError::AccessDenied { detail: detail() })
        }
        "ItemCollectionSizeLimitExceeded" => CallFailure::permanent(too_large(target)),
        "Validation" if message.contains("Item size") => CallFailure::permanent(too_large(target)),
        "UnknownOperation" => {
            let detail = format!("{}; the endpoint must support PartiQL (BatchExecuteStatement)", detail());
            CallFailure::permanent(StoreError::InvalidBatch { table, detail })
        }
        "Validation" | "Serialization" | "RequestEntityTooLarge" | "InvalidAction" => {
            CallFailure::permanent(StoreError::InvalidBatch { table, detail: detail() })
        }
        _ if status >= 500 => CallFailure::temporary(StoreError::unavailable(detail())),
        _ => CallFailure::permanent(StoreError::unavailable(detail())),
    }
}

fn too_large(target: CallTarget<'_>) -> StoreError {
    StoreError::TooLarge { table: target.table.to_owned(), bytes: target.largest_row, max: MAX_ROW_BYTES }
}

/// The error of a call without an answer.
fn unavailable(error: &(dyn Error + 'static)) -> StoreError {
    match sources(error).find_map(|source| source.downcast_ref::<CredentialsError>()) {
        Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)) => {
            StoreError::AccessDenied { detail: format!("no credentials: {}", describe(error)) }
        }
        Some(_) => StoreError::unavailable(format!("no credentials: {}", describe(error))),
        None => StoreError::unavailable(describe(error)),
    }
}

/// Whether an open connection broke, as opposed to one that could not be opened.
fn is_broken_connection(error: &ConnectorError) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    match sources(error).find_map(|source| source.downcast_ref::<io::Error>()) {
        Some(error) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
        }
        // The client noticed the end of the connection. `other` with a kind means that the server
        // closed it before its answer.
        None => error.is_io() || error.as_other().is_some(),
    }
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The chain of errors on one line. The outermost error says only that the call was not sent, and
/// that of the connector only the kind of its cause. Both are left out.
fn describe(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let causes = sources(error).skip(usize::from(error.source().is_some()));
    for source in causes.filter(|source| !source.is::<ConnectorError>()) {
        let text = source.to_string();
        // An outer error often repeats the text of an inner one.
        if !text.is_empty() && parts.last().is_none_or(|last| !last.ends_with(&text)) {
            parts.push(text);
        }
    }
    millrace_domain::ids::clip(&parts.join(": "), MAX_DETAIL_LENGTH)
}
