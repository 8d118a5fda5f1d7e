//! Commits queues: each write is conditional on the version of its row, 25 writes to a call.
//!
//! Several writes are PartiQL statements of one `BatchExecuteStatement`. They are independent, as
//! several `PutItem` calls are, and cost the same write units, in a 25th of the round trips. A
//! single write is a `PutItem`.

use std::sync::atomic::AtomicU64;

use aws_sdk_dynamodb::{
    error::{BuildError, SdkError},
    operation::put_item::PutItemError,
    types::{AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse},
};
use futures::future::join_all;
use millrace_domain::record::Table;

use super::{
    calls::MAX_ATTEMPTS,
    error::{CallFailure, CallTarget, Retry},
    items::{self, attribute, number},
    tables::Tables,
};
use crate::{
    error::{CommitError, StoreError},
    port::{CommitResponse, MAX_BATCH_ITEMS, QueueWrite},
    rules,
};

/// The maximum size of one call in bytes. DynamoDB documents no limit for `BatchExecuteStatement`;
/// other batches end at 16 MB, and base64 adds a third.
const MAX_CALL_BYTES: usize = 4 * 1024 * 1024;

/// A write and its position in the request.
#[derive(Debug, Clone, Copy)]
struct PendingCommit<'a> {
    position: usize,
    write: &'a QueueWrite,
}

/// The outcome of one attempt to commit a write: whether its row had the expected version.
type AttemptOutcome = Result<bool, CallFailure>;

pub(super) async fn commit(tables: &Tables, writes: &[QueueWrite]) -> CommitResponse {
    let round_trips = AtomicU64::new(0);
    let name = tables.name(Table::Queues);
    let mut outcomes: Vec<Result<(), CommitError>> =
        writes.iter().map(|write| Ok(rules::check_queue(name, write)?)).collect();
    let valid = writes.iter().enumerate().filter(|(position, _)| outcomes[*position].is_ok());
    let calls = split_into_calls(valid.map(|(position, write)| PendingCommit { position, write }));
    let decided = join_all(calls.into_iter().map(|call| commit_call(tables, call, &round_trips))).await;
    for (position, outcome) in decided.into_iter().flatten() {
        outcomes[position] = outcome;
    }
    CommitResponse { outcomes, calls: round_trips.into_inner() }
}

/// Distributes writes to calls by number and bytes.
fn split_into_calls<'a>(writes: impl Iterator<Item = PendingCommit<'a>>) -> Vec<Vec<PendingCommit<'a>>> {
    let mut calls: Vec<Vec<PendingCommit<'a>>> = Vec::new();
    let mut bytes = 0;
    for pending in writes {
        bytes += pending.write.size();
        match calls.last_mut() {
            Some(call) if call.len() < MAX_BATCH_ITEMS && bytes <= MAX_CALL_BYTES => call.push(pending),
            _ => {
                bytes = pending.write.size();
                calls.push(vec![pending]);
            }
        }
    }
    calls
}

/// Commits the writes of one call, and returns the outcomes with the positions of the writes.
/// Writes that the server refuses temporarily are sent again. That is safe if their outcome is
/// unknown, because they are conditional.
async fn commit_call(
    tables: &Tables,
    mut open: Vec<PendingCommit<'_>>,
    round_trips: &AtomicU64,
) -> Vec<(usize, Result<(), CommitError>)> {
    let mut decided = Vec::with_capacity(open.len());
    let mut attempt = 1;
    loop {
        let outcomes = match open.as_slice() {
            [] => return decided,
            [pending] => vec![put(tables, pending.write, round_trips).await],
            several => execute(tables, several, round_trips).await,
        };
        let mut refused = Vec::new();
        for (pending, outcome) in open.into_iter().zip(outcomes) {
            let outcome = match outcome {
                Ok(true) => Ok(()),
                Ok(false) => Err(CommitError::Conflict),
                Err(CallFailure { retry: Retry::AfterDelay, .. }) if attempt < MAX_ATTEMPTS => {
                    refused.push(pending);
                    continue;
                }
                Err(failure) => Err(failure.error.into()),
            };
            decided.push((pending.position, outcome));
        }
        open = refused;
        if !open.is_empty() {
            tables.calls.delay_after(attempt).await;
            attempt += 1;
        }
    }
}

/// Commits one write with `PutItem`.
async fn put(tables: &Tables, write: &QueueWrite, round_trips: &AtomicU64) -> AttemptOutcome {
    let table = tables.name(Table::Queues);
    let put = tables.client.put_item().table_name(table).set_item(Some(items::queue(write)));
    let put = if write.expected == 0 {
        put.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", attribute::PLAYER_ID)
    } else {
        put.condition_expression("#version = :expected")
            .expression_attribute_names("#version", attribute::VERSION)
            .expression_attribute_values(":expected", number(write.expected))
    };
    // A failed condition is an answer, not an error of the call.
    let request = || {
        let put = put.clone();
        async move {
            match put.send().await {
                Ok(_) => Ok(true),
                Err(SdkError::ServiceError(answer))
                    if matches!(answer.err(), PutItemError::ConditionalCheckFailedException(_)) =>
                {
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        }
    };
    let target = CallTarget { table, operation: "PutItem", largest_row: write.size() };
    tables.calls.send(target, round_trips, request).await
}

/// Commits several writes with `BatchExecuteStatement`.
async fn execute(tables: &Tables, writes: &[PendingCommit<'_>], round_trips: &AtomicU64) -> Vec<AttemptOutcome> {
    let table = tables.name(Table::Queues);
    let all_failed = |failure: CallFailure| writes.iter().map(|_| Err(failure.clone())).collect();
    let statements: Result<Vec<_>, _> = writes.iter().map(|pending| statement(table, pending.write)).collect();
    let statements = match statements {
        Ok(statements) => statements,
        Err(error) => {
            let detail = error.to_string();
            let error = StoreError::InvalidBatch { table: table.to_owned(), detail };
            return all_failed(CallFailure::permanent(error));
        }
    };
    let largest_row = writes.iter().map(|pending| pending.write.size()).max().unwrap_or_default();
    let call = tables.client.batch_execute_statement().set_statements(Some(statements));
    let target = CallTarget { table, operation: "BatchExecuteStatement", largest_row };
    match tables.calls.send(target, round_trips, || call.clone().send()).await {
        Ok(answer) => {
            // The responses have the order of the statements.
            let mut responses = answer.responses.unwrap_or_default().into_iter();
            let outcome = |pending: &PendingCommit<'_>| {
                let target = CallTarget { largest_row: pending.write.size(), ..target };
                statement_outcome(responses.next(), target)
            };
            writes.iter().map(outcome).collect()
        }
        Err(failure) => all_failed(failure),
    }
}

fn statement_outcome(response: Option<BatchStatementResponse>, target: CallTarget<'_>) -> AttemptOutcome {
    let Some(response) = response else {
        let error = StoreError::unavailable("the answer has fewer responses than the batch has statements");
        return Err(CallFailure::permanent(error));
    };
    let Some(error) = response.error else { return Ok(true) };
    match error.code() {
        Some(BatchStatementErrorCodeEnum::ConditionalCheckFailed | BatchStatementErrorCodeEnum::DuplicateItem) => {
            Ok(false)
        }
        _ => Err(CallFailure::from_statement(&error, target)),
    }
}

/// The PartiQL statement of a write. An `UPDATE` keeps attributes that it does not name, so it
/// removes those that do not apply.
fn statement(table: &str, write: &QueueWrite) -> Result<BatchStatementRequest, BuildError> {
    use attribute::{PLAYER_ID, VERSION};
    let mut parameters: Vec<AttributeValue> = Vec::with_capacity(8);
    let text = if write.expected == 0 {
        let mut fields = Vec::with_capacity(8);
        for (name, value) in items::queue(write) {
            fields.push(format!("'{name}': ?"));
            parameters.push(value);
        }
        format!(r#"INSERT INTO "{table}" VALUE {{{}}}"#, fields.join(", "))
    } else {
        let [(_, key), attributes @ ..] = items::queue_attributes(write);
        let mut text = format!(r#"UPDATE "{table}""#);
        for (name, value) in attributes {
            let action = if value.is_some() { format!(r#" SET "{name}" = ?"#) } else { format!(r#" REMOVE "{name}""#) };
            text += &action;
            parameters.extend(value);
        }
        parameters.extend(key);
        parameters.push(number(write.expected));
        text + &format!(r#" WHERE "{PLAYER_ID}" = ? AND "{VERSION}" = ?"#)
    };
    BatchStatementRequest::builder().statement(text).set_parameters(Some(parameters)).build()
}
