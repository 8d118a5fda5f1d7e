//! Reads the due index.

use std::sync::atomic::AtomicU64;

use millrace_domain::{Timestamp, record::Table};

use super::{
    error::CallTarget,
    items::{self, attribute, number},
    schema::DUE_INDEX,
    tables::Tables,
};
use crate::port::{DuePage, DueQueue};

/// The maximum number of rows of one call.
const MAX_CALL_ROWS: usize = 1000;

/// Reads a shard of the due index. An unreadable row is logged and omitted, so that it does not
/// block the others.
pub(super) async fn read_due(
    tables: &Tables,
    shard: u8,
    until: Timestamp,
    after: Option<&DueQueue>,
    limit: usize,
) -> DuePage {
    let target = CallTarget::read("Query", tables.name(Table::Queues));
    let query = tables
        .client
        .query()
        .table_name(target.table)
        .index_name(DUE_INDEX)
        .key_condition_expression("#shard = :shard AND #at <= :until")
        .expression_attribute_names("#shard", attribute::DUE_SHARD)
        .expression_attribute_names("#at", attribute::DUE_AT)
        .expression_attribute_values(":shard", number(shard))
        .expression_attribute_values(":until", number(until.as_millis()));
    let round_trips = AtomicU64::new(0);
    let (mut queues, mut start, mut more) = (Vec::new(), after.map(items::due_key), false);
    while queues.len() < limit {
        let call_limit = (limit - queues.len()).min(MAX_CALL_ROWS);
        let call = query.clone().limit(call_limit as i32).set_exclusive_start_key(start);
        let answer = match tables.calls.send_with_retries(target, &round_trips, || call.clone().send()).await {
            Ok(answer) => answer,
            Err(failure) => {
                return DuePage { queues: Err(failure.error), more: false, calls: round_trips.into_inner() };
            }
        };
        for item in answer.items.unwrap_or_default() {
            match items::read_due(&item) {
                Ok(queue) => queues.push(queue),
                Err(detail) => tracing::warn!(shard, detail, "a row of the due index is unreadable"),
            }
        }
        start = answer.last_evaluated_key.filter(|key| !key.is_empty());
        more = start.is_some();
        if !more {
            break;
        }
    }
    DuePage { queues: Ok(queues), more, calls: round_trips.into_inner() }
}
