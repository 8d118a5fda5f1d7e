//! Scans the queues table.

use std::sync::atomic::AtomicU64;

use millrace_domain::{PlayerId, record::Table};

use super::{
    error::CallTarget,
    items::{self, Item, attribute, string},
    tables::Tables,
};
use crate::{
    error::StoreError,
    port::{ScanPage, ScannedQueue},
};

/// The maximum number of rows of one call.
const MAX_CALL_ROWS: usize = 1000;

/// Reads a page of the queues table in one call: eventually consistent, which costs half. DynamoDB
/// ends a call after 1 MB, so a page may have fewer rows than `limit`.
pub(super) async fn scan(tables: &Tables, after: Option<&str>, limit: usize) -> Result<ScanPage, StoreError> {
    let target = CallTarget::read("Scan", tables.name(Table::Queues));
    let start = after.map(|after| Item::from([(attribute::PLAYER_ID.to_owned(), string(after))]));
    let call = tables
        .client
        .scan()
        .table_name(target.table)
        .limit(limit.clamp(1, MAX_CALL_ROWS) as i32)
        .set_exclusive_start_key(start)
        .projection_expression("#player, #version, #queue, #due")
        .expression_attribute_names("#player", attribute::PLAYER_ID)
        .expression_attribute_names("#version", attribute::VERSION)
        .expression_attribute_names("#queue", attribute::QUEUE)
        .expression_attribute_names("#due", attribute::DUE_AT);
    let round_trips = AtomicU64::new(0);
    let sent = tables.calls.send_with_retries(target, &round_trips, || call.clone().send()).await;
    let answer = sent.map_err(|failure| failure.error)?;
    let mut queues = Vec::new();
    for item in answer.items.unwrap_or_default() {
        let player = items::key_of(&item, Table::Queues)
            .and_then(|(player, _)| PlayerId::new(player).map_err(|error| error.to_string()));
        match player {
            Ok(player_id) => {
                let row = items::read_queue(item, target.table, &player_id);
                queues.push(ScannedQueue { player_id, row });
            }
            Err(detail) => tracing::error!(table = target.table, detail, "an unreadable row is omitted"),
        }
    }
    let next = answer.last_evaluated_key.and_then(|key| {
        let (player, _) = items::key_of(&key, Table::Queues).ok()?;
        Some(player.to_owned())
    });
    Ok(ScanPage { queues, next, calls: round_trips.into_inner() })
}
