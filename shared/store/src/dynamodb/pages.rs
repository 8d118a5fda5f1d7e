//! Reads records, page by page.

use std::sync::atomic::AtomicU64;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use millrace_domain::record::Table;
use serde::de::DeserializeOwned;

use super::{
    error::CallTarget,
    items::{self, attribute, string},
    tables::Tables,
};
use crate::{
    error::StoreError,
    port::{Page, PageOrder},
    retention::now_s,
};

/// The maximum number of rows of one call.
const MAX_CALL_ROWS: usize = 1000;
/// The minimum number of rows of a call that follows expired rows.
const MIN_NEXT_CALL_ROWS: usize = 100;
/// The relevant length of a cursor in characters: every sort key is shorter.
const MAX_SORT_KEY_LENGTH: usize = 256;

/// The page to read: at most `limit` rows of a partition, after a cursor.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageQuery<'a> {
    pub(super) table: Table,
    pub(super) partition: &'a str,
    pub(super) order: PageOrder,
    pub(super) limit: usize,
    pub(super) after: Option<&'a str>,
}

/// Reads a page without expired rows. An unreadable row is logged and omitted, so that it does not
/// hide older ones.
pub(super) async fn read_page<T: DeserializeOwned>(
    tables: &Tables,
    query: PageQuery<'_>,
) -> Result<Page<T>, StoreError> {
    let PageQuery { table, partition, limit, after, .. } = query;
    let mut page = Page { items: Vec::new(), next: None };
    if limit == 0 || partition.is_empty() || after == Some("") {
        // DynamoDB refuses empty keys. No cursor is empty.
        return Ok(page);
    }
    let target = CallTarget::read("Query", tables.name(table));
    let request = request(tables, query);
    let now_s = now_s();
    // One more than the limit shows whether more rows follow.
    let mut call_limit = limit.saturating_add(1).min(MAX_CALL_ROWS);
    let (mut read, mut last, mut start) = (0, None, None);
    loop {
        let call = request.clone().limit(call_limit as i32).set_exclusive_start_key(start);
        let sent = tables.calls.send_with_retries(target, &AtomicU64::new(0), || call.clone().send()).await;
        let answer = sent.map_err(|failure| failure.error)?;
        for item in answer.items.unwrap_or_default() {
            if items::is_expired(&item, now_s) {
                continue;
            }
            if read == limit {
                page.next = last;
                return Ok(page);
            }
            read += 1;
            let key = items::key_of(&item, table).ok().and_then(|(_, sort)| sort).unwrap_or_default().to_owned();
            match items::read_record(item, target.table, &key) {
                Ok(record) => page.items.push(record),
                Err(error) => tracing::error!(partition, key, %error, "an unreadable row is omitted"),
            }
            last = Some(key);
        }
        start = answer.last_evaluated_key.filter(|key| !key.is_empty());
        if start.is_none() {
            return Ok(page);
        }
        call_limit = (limit + 1 - read).clamp(MIN_NEXT_CALL_ROWS, MAX_CALL_ROWS);
    }
}

fn request(tables: &Tables, query: PageQuery<'_>) -> QueryFluentBuilder {
    let request = tables
        .client
        .query()
        .table_name(tables.name(query.table))
        .scan_index_forward(query.order == PageOrder::OldestFirst)
        .consistent_read(true)
        .expression_attribute_names("#partition", attribute::PLAYER_ID)
        .expression_attribute_values(":partition", string(query.partition));
    match query.after {
        None => request.key_condition_expression("#partition = :partition"),
        Some(after) => {
            // DynamoDB refuses longer keys. What follows the longest sort key does not matter.
            let after: String = after.chars().take(MAX_SORT_KEY_LENGTH).collect();
            request
                .key_condition_expression(match query.order {
                    PageOrder::NewestFirst => "#partition = :partition AND #sort < :after",
                    PageOrder::OldestFirst => "#partition = :partition AND #sort > :after",
                })
                .expression_attribute_names("#sort", query.table.sort_key().unwrap_or_default())
                .expression_attribute_values(":after", string(&after))
        }
    }
}
