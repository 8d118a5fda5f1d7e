//! Why a command is refused for good.

use std::borrow::Cow;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use serde::{Deserialize, Serialize};

/// The reason of a refusal. Rows store its number, so numbers are neither changed nor used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[repr(u8)]
pub enum RejectionReason {
    /// The task id is unfinished, remembered as completed, or occurs twice in the command.
    DuplicateTask = 1,
    /// The queue would have more unfinished tasks than `maxTasks`.
    QueueFull = 2,
    /// The queue has no unfinished task of this id.
    UnknownTask = 3,
    /// There is no queue of this player. Only reads have this reason.
    UnknownPlayer = 4,
    /// The task is pending; the command needs an active one.
    TaskNotActive = 5,
    /// The task is active; the command needs a pending one.
    TaskNotPending = 6,
    /// A report names a timed task, which ends by the server's clock alone.
    NotReportedWork = 7,
    /// The report or failure is about another attempt of the task: it names one, or it was sent
    /// before the current attempt started and the task has failed before.
    StaleReport = 8,
    /// A prerequisite is no task of this queue, of the same command before it, or remembered as
    /// finished.
    UnknownPrerequisite = 9,
    /// A prerequisite is remembered as failed or cancelled.
    PrerequisiteFailed = 10,
    /// The queue would have more than seven days of timed work.
    QueueTooLong = 11,
    /// The input is no JSON, or has wrong fields or values.
    Malformed = 12,
    /// The queue would have balances of too many different resources.
    TooManyResources = 13,
    /// The unfinished tasks would take too many bytes.
    QueueTooLarge = 14,
}

impl RejectionReason {
    /// All reasons, ordered by their number.
    pub const ALL: [Self; 14] = [
        Self::DuplicateTask,
        Self::QueueFull,
        Self::UnknownTask,
        Self::UnknownPlayer,
        Self::TaskNotActive,
        Self::TaskNotPending,
        Self::NotReportedWork,
        Self::StaleReport,
        Self::UnknownPrerequisite,
        Self::PrerequisiteFailed,
        Self::QueueTooLong,
        Self::Malformed,
        Self::TooManyResources,
        Self::QueueTooLarge,
    ];

    /// The number of the reason in rows, from 1.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The reason of a number. None for 0, and for a reason of a newer release.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The stable code in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DuplicateTask => "duplicate_task",
            Self::QueueFull => "queue_full",
            Self::UnknownTask => "unknown_task",
            Self::UnknownPlayer => "unknown_player",
            Self::TaskNotActive => "task_not_active",
            Self::TaskNotPending => "task_not_pending",
            Self::NotReportedWork => "not_reported_work",
            Self::StaleReport => "stale_report",
            Self::UnknownPrerequisite => "unknown_prerequisite",
            Self::PrerequisiteFailed => "prerequisite_failed",
            Self::QueueTooLong => "queue_too_long",
            Self::Malformed => "malformed",
            Self::TooManyResources => "too_many_resources",
            Self::QueueTooLarge => "queue_too_large",
        }
    }
}

impl<C> Encode<C> for RejectionReason {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        encoder.u8(self.number())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RejectionReason {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let number = decoder.u8()?;
        Self::from_number(number).ok_or_else(|| DecodeError::message(format_args!("unknown rejection reason {number}")))
    }
}

/// A refusal: the code for programs, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The stable code.
    pub reason: RejectionReason,
    /// What was refused, and what would have been allowed.
    pub detail: Cow<'static, str>,
}

impl Rejection {
    /// A refusal for `reason`, explained by `detail`.
    pub fn new(reason: RejectionReason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_number_and_its_code() {
        for (place, reason) in RejectionReason::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(reason.number()), place + 1);
            assert_eq!(RejectionReason::from_number(reason.number()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            let bytes = minicbor::to_vec(reason).unwrap();
            assert_eq!(minicbor::decode::<RejectionReason>(&bytes).unwrap(), reason);
        }
        assert_eq!((RejectionReason::from_number(0), RejectionReason::from_number(200)), (None, None));
    }
}
