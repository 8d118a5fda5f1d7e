//! Writes records.

use std::{collections::HashMap, sync::atomic::AtomicU64};

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use millrace_domain::{
    Record,
    record::{RecordKey, Table},
};

use super::{error::CallTarget, items, tables::Tables};
use crate::{
    error::StoreError,
    retention::{Retention, now_s},
    rules,
};

/// Writes one batch and returns the positions of unprocessed rows. The batch writer retries those,
/// because it knows the deadline.
pub(super) async fn write_records(
    tables: &Tables,
    retention: Retention,
    table: Table,
    records: &[&Record],
) -> Result<Vec<usize>, StoreError> {
    let name = tables.name(table);
    let keys = rules::check_batch(table, name, records)?;
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let now_s = now_s();
    let mut requests = Vec::with_capacity(records.len());
    for (record, key) in records.iter().zip(&keys) {
        let item = items::record(record, key, retention.expires_at(record, now_s), name)?;
        let put = PutRequest::builder().set_item(Some(item)).build();
        let put =
            put.map_err(|error| StoreError::InvalidBatch { table: name.to_owned(), detail: error.to_string() })?;
        requests.push(WriteRequest::builder().put_request(put).build());
    }
    let largest_row = records.iter().map(|record| record.size()).max().unwrap_or_default();
    let call = tables.client.batch_write_item().request_items(name, requests);
    let target = CallTarget { table: name, operation: "BatchWriteItem", largest_row };
    let sent = tables.calls.send(target, &AtomicU64::new(0), || call.clone().send()).await;
    let answer = sent.map_err(|failure| failure.error)?;
    let unprocessed = answer.unprocessed_items.unwrap_or_default();
    Ok(positions(table, &keys, unprocessed.get(name).map(Vec::as_slice).unwrap_or_default()))
}

/// The positions of unprocessed rows among the keys of a batch. If one of them is not recognized,
/// the answer is all rows: writing a row again is harmless.
fn positions(table: Table, keys: &[RecordKey], unprocessed: &[WriteRequest]) -> Vec<usize> {
    let by_key: HashMap<_, _> = keys
        .iter()
        .enumerate()
        .map(|(position, key)| ((key.partition.as_str(), key.sort.as_deref()), position))
        .collect();
    let position = |request: &WriteRequest| {
        let item = &request.put_request.as_ref()?.item;
        by_key.get(&items::key_of(item, table).ok()?).copied()
    };
    let positions: Option<Vec<usize>> = unprocessed.iter().map(position).collect();
    let mut positions = positions.unwrap_or_else(|| (0..keys.len()).collect());
    positions.sort_unstable();
    positions
}
