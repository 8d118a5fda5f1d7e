//! Records: put in batches, read by partition; and the `due` index.

use std::{collections::HashMap, sync::atomic::AtomicU64};

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{StatsRecord, Table},
};
use serde::de::DeserializeOwned;

use super::{
    DUE_INDEX, DynamoDbStore,
    error::About,
    rows::{self, Item, attribute},
};
use crate::{
    error::StoreError,
    port::{Due, DuePage, Page},
    rules,
};

/// Most rows that one call reads beyond those asked for, past rows that have expired.
const MAX_PAGE_ROWS: usize = 1000;
/// At least so many rows are read by a call that follows one with expired rows.
const MIN_NEXT_ROWS: usize = 100;
/// Longest start of a cursor that matters, in characters: every sort key is shorter.
const MAX_SORT_KEY_LENGTH: usize = 256;

impl DynamoDbStore {
    /// Puts one batch. What is not processed is left to the batcher, which knows the deadline.
    pub(super) async fn write_records(&self, table: Table, records: &[Record]) -> Result<Vec<usize>, StoreError> {
        let name = self.name(table);
        let keys = rules::check_batch(table, name, records)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let now_s = self.now_s();
        let invalid = |detail: String| StoreError::InvalidBatch { table: name.to_owned(), detail };
        let mut requests = Vec::with_capacity(records.len());
        for (record, key) in records.iter().zip(&keys) {
            let expires_at = match record {
                Record::History(_) => Some(now_s.saturating_add(self.history_retention.as_secs())),
                Record::Rejection(_) => Some(now_s.saturating_add(self.rejections_retention.as_secs())),
                Record::Stats(_) | Record::Progress(_) => None,
            };
            let item = rows::record(record, key, expires_at, name)?;
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(|error| invalid(error.to_string()))?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        let bytes = records.iter().map(Record::size).max().unwrap_or_default();
        let call = self.client.batch_write_item().request_items(name, requests);
        let sent = self.calls.send(About { table: name, bytes }, &AtomicU64::new(0), || call.clone().send()).await;
        let answer = sent.map_err(|failure| failure.error)?;
        let unprocessed = answer.unprocessed_items.unwrap_or_default();
        let unprocessed = unprocessed.get(name).map(Vec::as_slice).unwrap_or_default();
        if unprocessed.is_empty() {
            return Ok(Vec::new());
        }
        let positions: HashMap<_, _> =
            keys.iter().enumerate().map(|(at, key)| ((key.partition.as_str(), key.sort.as_deref()), at)).collect();
        let left: Option<Vec<usize>> = unprocessed
            .iter()
            .map(|request| {
                let item = &request.put_request.as_ref()?.item;
                positions.get(&rows::key_of(item, table).ok()?).copied()
            })
            .collect();
        // Which rows it means is unclear: all of them, for putting one again changes nothing.
        let mut left = left.unwrap_or_else(|| (0..records.len()).collect());
        left.sort_unstable();
        Ok(left)
    }

    /// Reads a page, newest first. A row that cannot be read is left out and logged, so that it does not
    /// hide all that are older.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        table: Table,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<T>, StoreError> {
        let name = self.name(table);
        let mut page = Page { items: Vec::new(), next: None };
        if limit == 0 || partition.is_empty() || after == Some("") {
            // No key is empty, so none is before an empty one.
            return Ok(page);
        }
        let query = self.client.query().table_name(name).scan_index_forward(false).consistent_read(true);
        let query = query
            .expression_attribute_names("#partition", attribute::PLAYER_ID)
            .expression_attribute_values(":partition", rows::string(partition));
        let query = match after {
            None => query.key_condition_expression("#partition = :partition"),
            Some(after) => {
                // What stands after so many characters decides nothing, and a key may be too long to ask for.
                let after: String = after.chars().take(MAX_SORT_KEY_LENGTH).collect();
                query
                    .key_condition_expression("#partition = :partition AND #sort < :after")
                    .expression_attribute_names("#sort", table.sort_key().unwrap_or_default())
                    .expression_attribute_values(":after", rows::string(&after))
            }
        };
        let now_s = self.now_s();
        // One more than asked for tells whether anything follows.
        let mut rows_of_call = limit.saturating_add(1).min(MAX_PAGE_ROWS);
        let (mut read, mut last, mut start) = (0, None, None);
        loop {
            let call = query.clone().limit(rows_of_call as i32).set_exclusive_start_key(start);
            let about = About { table: name, bytes: 0 };
            let sent = self.calls.send_patiently(about, &AtomicU64::new(0), || call.clone().send()).await;
            let answer = sent.map_err(|failure| failure.error)?;
            for item in answer.items.unwrap_or_default() {
                if rows::is_expired(&item, now_s) {
                    continue;
                }
                if read == limit {
                    page.next = last;
                    return Ok(page);
                }
                read += 1;
                let key = rows::key_of(&item, table).ok().and_then(|(_, sort)| sort).unwrap_or_default().to_owned();
                match rows::read_record(item, name, &key) {
                    Ok(record) => page.items.push(record),
                    Err(error) => tracing::error!(partition, key, %error, "a row is left out"),
                }
                last = Some(key);
            }
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(page);
            }
            rows_of_call = (limit + 1 - read).clamp(MIN_NEXT_ROWS, MAX_PAGE_ROWS);
        }
    }

    pub(super) async fn load_stats(&self, player: &PlayerId) -> Result<Option<StatsRecord>, StoreError> {
        let item = self.get(Table::Stats, player.as_str()).await?;
        item.map(|item| rows::read_record(item, self.name(Table::Stats), player.as_str())).transpose()
    }

    /// Reads one row of a table without a sort key.
    pub(super) async fn get(&self, table: Table, partition: &str) -> Result<Option<Item>, StoreError> {
        let name = self.name(table);
        let call = self.client.get_item().table_name(name).consistent_read(true);
        let call = call.key(attribute::PLAYER_ID, rows::string(partition));
        let about = About { table: name, bytes: 0 };
        let sent = self.calls.send_patiently(about, &AtomicU64::new(0), || call.clone().send()).await;
        Ok(sent.map_err(|failure| failure.error)?.item)
    }

    /// Reads a shard of the `due` index; a row that cannot be read is left out, so that it holds nobody up.
    pub(super) async fn read_due(&self, shard: u8, until: Timestamp, after: Option<&Due>, limit: usize) -> DuePage {
        let name = self.name(Table::Queues);
        let query = self
            .client
            .query()
            .table_name(name)
            .index_name(DUE_INDEX)
            .key_condition_expression("#shard = :shard AND #at <= :until")
            .expression_attribute_names("#shard", attribute::DUE_SHARD)
            .expression_attribute_names("#at", attribute::DUE_AT)
            .expression_attribute_values(":shard", rows::number(shard))
            .expression_attribute_values(":until", rows::number(until.as_millis()));
        let (mut due, mut start, calls) = (Vec::new(), after.map(rows::due_key), AtomicU64::new(0));
        let mut more = false;
        while due.len() < limit {
            let rows_of_call = (limit - due.len()).min(MAX_PAGE_ROWS);
            let call = query.clone().limit(rows_of_call as i32).set_exclusive_start_key(start);
            let about = About { table: name, bytes: 0 };
            let answer = match self.calls.send_patiently(about, &calls, || call.clone().send()).await {
                Ok(answer) => answer,
                Err(failure) => {
                    return DuePage { queues: Err(failure.error), more: false, calls: calls.into_inner() };
                }
            };
            for item in answer.items.unwrap_or_default() {
                match rows::read_due(&item) {
                    Ok(found) => due.push(found),
                    Err(detail) => tracing::warn!(shard, detail, "a row of the due index is unreadable"),
                }
            }
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            more = start.is_some();
            if !more {
                break;
            }
        }
        DuePage { queues: Ok(due), more, calls: calls.into_inner() }
    }
}
