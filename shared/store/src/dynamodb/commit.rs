//! Committing queues: each write conditional on its row's version, alone or 25 to a call.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::put_item::PutItemError,
    types::{AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse},
};
use futures::future::join_all;
use millrace_domain::record::Table;

use super::{
    DynamoDbStore,
    calls::MAX_TRIES,
    error::{About, Failure, Remedy},
    rows::{QueueValues, attribute, number},
};
use crate::{
    error::{CommitError, StoreError},
    port::{CommitResponse, MAX_BATCH_ITEMS, QueueWrite},
    rules,
};

/// How several queues are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommitMode {
    /// 25 to a call: PartiQL statements in `BatchExecuteStatement`. They stand alone, as `PutItem`s do,
    /// and cost the same write units, in a 25th of the round trips.
    #[default]
    Batched,
    /// Each in a call of its own, many at once: for stores that speak DynamoDB's protocol and no PartiQL.
    Single,
}

/// Most bytes of one call's rows. DynamoDB documents no limit for `BatchExecuteStatement`; the other
/// batches end at 16 MB, and what goes over the wire is a third larger than the rows (base64).
const MAX_CALL_BYTES: usize = 4 * 1024 * 1024;

/// A write with its place in the answer.
type Placed<'a> = (usize, &'a QueueWrite);
/// What came of it, and whether it may be tried again.
type Outcome = Result<(), (CommitError, Remedy)>;

impl DynamoDbStore {
    pub(super) async fn commit_rows(&self, writes: &[QueueWrite]) -> CommitResponse {
        let round_trips = AtomicU64::new(0);
        let mut outcomes: Vec<Result<(), CommitError>> =
            writes.iter().map(|write| Ok(rules::check_queue(self.name(Table::Queues), write)?)).collect();
        let storable = writes.iter().enumerate().filter(|(at, _)| outcomes[*at].is_ok());
        let calls = self.calls_of(storable);
        let results = join_all(calls.into_iter().map(|writes| self.commit_call(writes, &round_trips))).await;
        for (at, outcome) in results.into_iter().flatten() {
            outcomes[at] = outcome;
        }
        CommitResponse { outcomes, calls: round_trips.load(Ordering::Relaxed) }
    }

    /// Distributes writes to calls, by number and bytes.
    fn calls_of<'a>(&self, writes: impl Iterator<Item = Placed<'a>>) -> Vec<Vec<Placed<'a>>> {
        let most = match self.commits {
            CommitMode::Batched => MAX_BATCH_ITEMS,
            CommitMode::Single => 1,
        };
        let mut calls: Vec<Vec<Placed<'a>>> = Vec::new();
        let mut bytes = 0;
        for (at, write) in writes {
            bytes += write.size();
            match calls.last_mut() {
                Some(call) if call.len() < most && bytes <= MAX_CALL_BYTES => call.push((at, write)),
                _ => {
                    bytes = write.size();
                    calls.push(vec![(at, write)]);
                }
            }
        }
        calls
    }

    /// Commits the writes of one call. What the server refuses for the moment goes again, without what
    /// was decided: a refused write has had no effect, and one whose effect is unknown is conditional.
    async fn commit_call<'a>(
        &self,
        mut open: Vec<Placed<'a>>,
        round_trips: &AtomicU64,
    ) -> Vec<(usize, Result<(), CommitError>)> {
        let mut decided = Vec::with_capacity(open.len());
        let mut tries = 1;
        loop {
            let outcomes = match open.as_slice() {
                [] => return decided,
                [(_, write)] => vec![self.put(write, round_trips).await],
                several => self.execute(several, round_trips).await,
            };
            let mut again = Vec::new();
            for ((at, write), outcome) in open.into_iter().zip(outcomes) {
                match outcome {
                    Err((_, Remedy::Wait)) if tries < MAX_TRIES => again.push((at, write)),
                    Err((error, _)) => decided.push((at, Err(error))),
                    Ok(()) => decided.push((at, Ok(()))),
                }
            }
            open = again;
            if !open.is_empty() {
                self.calls.wait(tries).await;
                tries += 1;
            }
        }
    }

    async fn put(&self, write: &QueueWrite, round_trips: &AtomicU64) -> Outcome {
        let table = self.name(Table::Queues);
        let about = About { table, bytes: write.size() };
        let item = QueueValues::of(write).into_item();
        let put = self.client.put_item().table_name(table).set_item(Some(item));
        let put = if write.expected == 0 {
            put.condition_expression("attribute_not_exists(#key)")
                .expression_attribute_names("#key", attribute::PLAYER_ID)
        } else {
            put.condition_expression("#version = :expected")
                .expression_attribute_names("#version", attribute::VERSION)
                .expression_attribute_values(":expected", number(write.expected))
        };
        // A refused condition is an answer, not an error.
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
        match self.calls.send(about, round_trips, request).await {
            Ok(true) => Ok(()),
            Ok(false) => Err((CommitError::Conflict, Remedy::None)),
            Err(Failure { error, remedy }) => Err((error.into(), remedy)),
        }
    }

    async fn execute(&self, writes: &[Placed<'_>], round_trips: &AtomicU64) -> Vec<Outcome> {
        let table = self.name(Table::Queues);
        let bytes = writes.iter().map(|(_, write)| write.size()).max().unwrap_or_default();
        let statements: Result<Vec<_>, _> = writes.iter().map(|(_, write)| statement(table, write)).collect();
        let statements = match statements {
            Ok(statements) => statements,
            Err(error) => {
                let error = StoreError::InvalidBatch { table: table.to_owned(), detail: error.to_string() };
                return writes.iter().map(|_| Err((error.clone().into(), Remedy::None))).collect();
            }
        };
        let call = self.client.batch_execute_statement().set_statements(Some(statements));
        match self.calls.send(About { table, bytes }, round_trips, || call.clone().send()).await {
            Ok(answer) => {
                // The answers come in the order of the statements.
                let mut answers = answer.responses.unwrap_or_default().into_iter();
                writes.iter().map(|(_, write)| outcome(answers.next(), About { table, bytes: write.size() })).collect()
            }
            Err(Failure { error, remedy }) => writes.iter().map(|_| Err((error.clone().into(), remedy))).collect(),
        }
    }
}

fn outcome(answer: Option<BatchStatementResponse>, about: About<'_>) -> Outcome {
    let Some(answer) = answer else {
        let detail = "a batch of statements was answered with fewer answers".to_owned();
        return Err((StoreError::Unavailable { detail }.into(), Remedy::None));
    };
    match answer.error {
        None => Ok(()),
        Some(error) => match error.code() {
            Some(BatchStatementErrorCodeEnum::ConditionalCheckFailed | BatchStatementErrorCodeEnum::DuplicateItem) => {
                Err((CommitError::Conflict, Remedy::None))
            }
            _ => {
                let Failure { error, remedy } = Failure::from_statement(&error, about);
                Err((error.into(), remedy))
            }
        },
    }
}

/// The write as a statement. An `UPDATE` keeps what it does not name, so what does not apply is removed.
fn statement(table: &str, write: &QueueWrite) -> Result<BatchStatementRequest, aws_sdk_dynamodb::error::BuildError> {
    use attribute::{DUE_AT, DUE_SHARD, OUTBOX, PLAYER_ID, QUEUE, VERSION};
    let values = QueueValues::of(write);
    let (due_shard, due_at) = values.due.unzip();
    let optional = [(OUTBOX, values.outbox), (DUE_SHARD, due_shard), (DUE_AT, due_at)];
    let mut parameters: Vec<AttributeValue> = Vec::with_capacity(7);
    let text = if write.expected == 0 {
        let mut names = vec![PLAYER_ID, VERSION, QUEUE];
        parameters.extend([values.player_id, values.version, values.queue]);
        for (name, value) in optional {
            names.extend(value.is_some().then_some(name));
            parameters.extend(value);
        }
        let fields: Vec<_> = names.into_iter().map(|name| format!("'{name}': ?")).collect();
        format!(r#"INSERT INTO "{table}" VALUE {{{}}}"#, fields.join(", "))
    } else {
        let mut text = format!(r#"UPDATE "{table}" SET "{VERSION}" = ? SET "{QUEUE}" = ?"#);
        parameters.extend([values.version, values.queue]);
        for (name, value) in optional {
            match value {
                Some(value) => {
                    text += &format!(r#" SET "{name}" = ?"#);
                    parameters.push(value);
                }
                None => text += &format!(r#" REMOVE "{name}""#),
            }
        }
        parameters.extend([values.player_id, number(write.expected)]);
        text + &format!(r#" WHERE "{PLAYER_ID}" = ? AND "{VERSION}" = ?"#)
    };
    BatchStatementRequest::builder().statement(text).set_parameters(Some(parameters)).build()
}
