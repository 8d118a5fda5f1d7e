//! What DynamoDB and the wire report, as errors of the store.

use std::{error::Error, io, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{BatchStatementError, BatchStatementErrorCodeEnum},
};
use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::{error::StoreError, port::MAX_ROW_BYTES};

/// Longest text taken over from an answer or a chain of errors, in characters.
const MAX_DETAIL_LENGTH: usize = 400;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// As the port names it.
    pub(super) error: StoreError,
    /// What to do about it, inside this store.
    pub(super) remedy: Remedy,
}

/// What may help against a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing here.
    None,
    /// The same call a little later: the server refused it for the moment.
    Wait,
    /// The same call on a new connection: the one it was sent on was broken.
    Reconnect,
}

/// What a call was about, for its errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// The table's name with its prefix.
    pub(super) table: &'a str,
    /// The largest row that is sent; 0 where none is.
    pub(super) bytes: usize,
}

impl Failure {
    /// An error that nothing here helps against.
    pub(super) fn hard(error: StoreError) -> Self {
        Self { error, remedy: Remedy::None }
    }

    /// An error of the SDK.
    pub(super) fn from_sdk<E>(error: &SdkError<E, HttpResponse>, about: About<'_>, connect_timeout: Duration) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                match answer.err().code() {
                    Some(code) => from_code(code, answer.err().message().unwrap_or_default(), status, about),
                    None => from_code("an unnamed error", &format!("status {status}"), status, about),
                }
            }
            SdkError::TimeoutError(_) => Self::hard(timed_out(connect_timeout)),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::hard(timed_out(connect_timeout)),
            SdkError::DispatchFailure(failure) => {
                let broken = match failure.as_connector_error() {
                    // `other` with a kind: the server hung up before its answer.
                    Some(error) => is_broken_pipe(error, error.is_io() || error.as_other().is_some()),
                    None => false,
                };
                Self { error: unavailable(error), remedy: if broken { Remedy::Reconnect } else { Remedy::None } }
            }
            // Half an answer, or none that can be read.
            SdkError::ResponseError(_) => Self { error: unavailable(error), remedy: Remedy::Reconnect },
            _ => Self::hard(unavailable(error)),
        }
    }

    /// The error of one statement of a batch.
    pub(super) fn from_statement(error: &BatchStatementError, about: About<'_>) -> Self {
        let code = match error.code() {
            Some(BatchStatementErrorCodeEnum::ValidationError) => "ValidationException",
            Some(code) => code.as_str(),
            None => "an unnamed error",
        };
        from_code(code, error.message().unwrap_or_default(), 400, about)
    }
}

/// No answer within `wait`.
pub(super) fn timed_out(wait: Duration) -> StoreError {
    StoreError::TimedOut { millis: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) }
}

/// The server's own words. Codes of statements lack the "Exception" that those of calls end with.
fn from_code(code: &str, message: &str, status: u16, about: About<'_>) -> Failure {
    let table = about.table.to_owned();
    let detail = || {
        let message = millrace_domain::ids::clip(message, MAX_DETAIL_LENGTH);
        if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") }
    };
    match code.strip_suffix("Exception").unwrap_or(code) {
        "ProvisionedThroughputExceeded" | "Throttling" | "ThrottlingError" | "RequestLimitExceeded" | "LimitExceeded"
        // Another write of the same row is under way; it is over in milliseconds.
        | "TransactionConflict" | "ReplicatedWriteConflict" => {
            Failure { error: StoreError::Throttled { table }, remedy: Remedy::Wait }
        }
        "InternalServerError" => Failure { error: StoreError::Unavailable { detail: detail() }, remedy: Remedy::Wait },
        "ResourceNotFound" | "TableNotFound" => Failure::hard(StoreError::NoSuchTable { table }),
        "AccessDenied" | "UnrecognizedClient" | "ExpiredToken" | "InvalidSignature" | "IncompleteSignature"
        | "MissingAuthenticationToken" | "MissingAuthentication" | "InvalidClientTokenId" | "NotAuthorized"
        | "SubscriptionRequired" | "OptInRequired" => Failure::hard(StoreError::AccessDenied { detail: detail() }),
        "ItemCollectionSizeLimitExceeded" => Failure::hard(too_large(about)),
        "Validation" if message.contains("Item size") => Failure::hard(too_large(about)),
        "UnknownOperation" => Failure::hard(StoreError::InvalidBatch {
            table,
            detail: format!("{}; a store without PartiQL takes single commits only", detail()),
        }),
        "Validation" | "Serialization" | "RequestEntityTooLarge" | "InvalidAction" => {
            Failure::hard(StoreError::InvalidBatch { table, detail: detail() })
        }
        _ => {
            let remedy = if status >= 500 { Remedy::Wait } else { Remedy::None };
            Failure { error: StoreError::Unavailable { detail: detail() }, remedy }
        }
    }
}

fn too_large(about: About<'_>) -> StoreError {
    StoreError::TooLarge { table: about.table.to_owned(), bytes: about.bytes, max: MAX_ROW_BYTES }
}

/// What did not come to an answer.
fn unavailable(error: &(dyn Error + 'static)) -> StoreError {
    match sources(error).find_map(|source| source.downcast_ref::<CredentialsError>()) {
        Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)) => {
            StoreError::AccessDenied { detail: format!("no credentials: {}", chain(error)) }
        }
        Some(_) => StoreError::Unavailable { detail: format!("no credentials: {}", chain(error)) },
        None => StoreError::Unavailable { detail: chain(error) },
    }
}

/// Whether a connection broke that had been open: not one that could not be opened.
fn is_broken_pipe(error: &(dyn Error + 'static), on_the_wire: bool) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    match sources(error).find_map(|source| source.downcast_ref::<io::Error>()) {
        Some(error) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
        }
        // The client saw the end of the connection by itself.
        None => on_the_wire,
    }
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The chain of errors on one line. The outermost says only that the call was not dispatched, and the
/// connector's own only of what sort its cause is.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let causes = sources(error).skip(usize::from(error.source().is_some()));
    for source in causes.filter(|source| !source.is::<ConnectorError>()) {
        let text = source.to_string();
        // An outer error often repeats what an inner one says.
        if !text.is_empty() && parts.last().is_none_or(|last| !last.ends_with(&text)) {
            parts.push(text);
        }
    }
    millrace_domain::ids::clip(&parts.join(": "), MAX_DETAIL_LENGTH)
}
