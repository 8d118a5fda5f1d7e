//! Why work must be delivered again.

use std::fmt;

use serde::{Serialize, Serializer};

/// The reason of a failure. Answers, HTTP problems, logs and metrics name it by
/// [`FailureReason::code`].
///
/// A failure is not final: the work is handed back to its source. A command that is refused for
/// good has a [`RejectionReason`](crate::RejectionReason) instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureReason {
    /// The store throttles the calls.
    StoreThrottled,
    /// The store did not answer in time.
    StoreTimedOut,
    /// The store cannot be reached, or failed.
    StoreUnavailable,
    /// The table does not exist.
    NoSuchTable,
    /// The credentials do not allow the call.
    AccessDenied,
    /// A row cannot be read: it is damaged, or its format is too new.
    RowUnreadable,
    /// A row would have more bytes than the table allows.
    RowTooLarge,
    /// A batch breaks the rules of the store. This is a bug.
    InvalidBatch,
    /// The shared cache does not answer.
    CacheUnavailable,
    /// Other processes changed the queue at each attempt to commit it.
    VersionConflict,
    /// No time was left before the deadline of the invocation.
    Deadline,
    /// An earlier message of the same FIFO group failed.
    EarlierMessageFailed,
    /// One invocation has too many commands for one player.
    TooManyCommands,
    /// A bug: applying the commands panicked.
    InternalError,
    /// The queue for ticks did not accept a message.
    TicksRefused,
    /// The queue for ticks or events does not exist.
    NoSuchQueue,
    /// The queue for ticks throttles the calls.
    TicksThrottled,
    /// The queue for ticks cannot be reached, or failed.
    TicksUnavailable,
    /// The destination of a message did not say what became of it.
    Unanswered,
    /// A destination of events did not accept an event.
    EventsRefused,
    /// A destination of events throttles the calls, cannot be reached, or failed.
    EventsUnavailable,
}

impl FailureReason {
    /// All reasons.
    pub const ALL: [Self; 21] = [
        Self::StoreThrottled,
        Self::StoreTimedOut,
        Self::StoreUnavailable,
        Self::NoSuchTable,
        Self::AccessDenied,
        Self::RowUnreadable,
        Self::RowTooLarge,
        Self::InvalidBatch,
        Self::CacheUnavailable,
        Self::VersionConflict,
        Self::Deadline,
        Self::EarlierMessageFailed,
        Self::TooManyCommands,
        Self::InternalError,
        Self::TicksRefused,
        Self::NoSuchQueue,
        Self::TicksThrottled,
        Self::TicksUnavailable,
        Self::Unanswered,
        Self::EventsRefused,
        Self::EventsUnavailable,
    ];

    /// The stable code in answers, HTTP problems, logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::StoreThrottled => "store_throttled",
            Self::StoreTimedOut => "store_timed_out",
            Self::StoreUnavailable => "store_unavailable",
            Self::NoSuchTable => "no_such_table",
            Self::AccessDenied => "access_denied",
            Self::RowUnreadable => "row_unreadable",
            Self::RowTooLarge => "row_too_large",
            Self::InvalidBatch => "invalid_batch",
            Self::CacheUnavailable => "cache_unavailable",
            Self::VersionConflict => "conflict",
            Self::Deadline => "deadline",
            Self::EarlierMessageFailed => "earlier_message_failed",
            Self::TooManyCommands => "too_many_commands",
            Self::InternalError => "internal_error",
            Self::TicksRefused => "ticks_refused",
            Self::NoSuchQueue => "no_such_queue",
            Self::TicksThrottled => "ticks_throttled",
            Self::TicksUnavailable => "ticks_unavailable",
            Self::Unanswered => "unanswered",
            Self::EventsRefused => "events_refused",
            Self::EventsUnavailable => "events_unavailable",
        }
    }

    /// Whether the same call may succeed a little later, without a change to the deployment or to a
    /// row.
    pub fn is_passing(self) -> bool {
        match self {
            Self::StoreThrottled
            | Self::StoreTimedOut
            | Self::StoreUnavailable
            | Self::CacheUnavailable
            | Self::VersionConflict
            | Self::Deadline
            | Self::EarlierMessageFailed
            | Self::TooManyCommands
            | Self::TicksThrottled
            | Self::TicksUnavailable
            | Self::Unanswered
            | Self::EventsUnavailable => true,
            Self::NoSuchTable
            | Self::AccessDenied
            | Self::RowUnreadable
            | Self::RowTooLarge
            | Self::InvalidBatch
            | Self::InternalError
            | Self::TicksRefused
            | Self::EventsRefused
            | Self::NoSuchQueue => false,
        }
    }

    /// Whether it is certain that the failed call changed nothing.
    ///
    /// Where it is not, a write may have taken place: cached copies from before it may be stale.
    pub fn outcome_known(self) -> bool {
        match self {
            Self::StoreThrottled
            | Self::NoSuchTable
            | Self::AccessDenied
            | Self::RowUnreadable
            | Self::RowTooLarge
            | Self::InvalidBatch
            | Self::VersionConflict
            | Self::EarlierMessageFailed
            | Self::TooManyCommands
            | Self::InternalError
            | Self::TicksRefused
            | Self::EventsRefused
            | Self::NoSuchQueue
            | Self::TicksThrottled => true,
            Self::StoreTimedOut
            | Self::StoreUnavailable
            | Self::CacheUnavailable
            | Self::Deadline
            | Self::TicksUnavailable
            | Self::Unanswered
            | Self::EventsUnavailable => false,
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl Serialize for FailureReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique() {
        let codes: HashSet<&str> = FailureReason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), FailureReason::ALL.len());
    }
}
