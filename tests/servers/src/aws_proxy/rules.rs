//! Ready-made rules for [`AwsProxy::set_rule`](super::AwsProxy::set_rule).

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Call, Fault};

/// One fault for every call.
pub fn always(fault: Fault) -> impl Fn(&Call) -> Fault + Send + Sync + 'static {
    move |_| fault.clone()
}

/// A fault for the calls of one operation, such as `BatchWriteItem`.
pub fn on_operation(operation: &str, fault: Fault) -> impl Fn(&Call) -> Fault + Send + Sync + 'static {
    let operation = operation.to_owned();
    only(move |call| call.operation == operation, fault)
}

/// A fault for the calls that name one table.
pub fn on_table(table: &str, fault: Fault) -> impl Fn(&Call) -> Fault + Send + Sync + 'static {
    let table = table.to_owned();
    only(move |call| call.names(&table), fault)
}

/// A fault for the calls that `applies` chooses.
pub fn only(
    applies: impl Fn(&Call) -> bool + Send + Sync + 'static,
    fault: Fault,
) -> impl Fn(&Call) -> Fault + Send + Sync + 'static {
    move |call| {
        if applies(call) { fault.clone() } else { Fault::none() }
    }
}

/// A fault for the first `n` calls that `applies` chooses; all further calls are forwarded.
pub fn first(
    n: u64,
    applies: impl Fn(&Call) -> bool + Send + Sync + 'static,
    fault: Fault,
) -> impl Fn(&Call) -> Fault + Send + Sync + 'static {
    let seen = AtomicU64::new(0);
    only(move |call| applies(call) && seen.fetch_add(1, Ordering::SeqCst) < n, fault)
}
