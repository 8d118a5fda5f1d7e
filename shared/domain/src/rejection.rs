//! Why a command was refused.

use std::borrow::Cow;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use serde::{Deserialize, Serialize};

use crate::wire::{Reader, Unreadable, Wire, Writer};

/// A stable code for each way to be refused. New reasons go to the end: rows store the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectionReason {
    /// The task id is unfinished here, remembered as finished, or twice in the command.
    DuplicateTask,
    /// More unfinished tasks than `maxTasks`, or more bytes than a queue may have.
    QueueFull,
    /// No unfinished task of this id is here.
    UnknownTask,
    /// No queue of this player exists (reads only).
    UnknownPlayer,
    /// The task is pending, and the command is for active ones.
    TaskNotActive,
    /// The task is active, and the command is for pending ones.
    TaskNotPending,
    /// Progress was reported of timed work, which ends by the server's clock alone.
    NotReportedWork,
    /// The report was sent before the task's current attempt started.
    StaleReport,
    /// A prerequisite is no task of this queue, earlier one of the command, or remembered finished one.
    UnknownPrerequisite,
    /// A prerequisite is remembered as failed or cancelled.
    PrerequisiteFailed,
    /// Timed work beyond seven days.
    QueueTooLong,
    /// The input could not be understood: no JSON, wrong fields, a value that is not allowed.
    Malformed,
    /// More different resources than a queue may hold balances of.
    TooManyResources,
}

impl RejectionReason {
    /// All reasons, in the order in which rows number them, from 1.
    const ALL: [Self; 13] = [
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
    ];

    /// The number of the reason in rows, from 1.
    pub(crate) fn code(self) -> u8 {
        self as u8 + 1
    }

    /// The reason of a number; none for 0, and for a number that a newer version has added.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// The code as it stands in answers and rows.
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
        }
    }
}

impl<C> Encode<C> for RejectionReason {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        encoder.u8(self.code())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RejectionReason {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let code = decoder.u8()?;
        Self::from_code(code).ok_or_else(|| DecodeError::message(format_args!("unknown rejection reason {code}")))
    }
}

impl Wire for RejectionReason {
    fn write(&self, writer: &mut Writer) {
        writer.varint(u64::from(self.code()) - 1);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        match Self::ALL.get(usize::from(reader.number::<u16>())) {
            Some(reason) => *reason,
            None => {
                reader.fail(Unreadable::Choice);
                Self::Malformed
            }
        }
    }
}

/// A refusal: the code for programs, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The stable code.
    pub reason: RejectionReason,
    /// What was refused and what would have been allowed.
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
    fn the_number_in_rows_is_the_place_in_the_list() {
        for (place, reason) in RejectionReason::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(reason.code()), place + 1);
            assert_eq!(RejectionReason::from_code(reason.code()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        assert_eq!((RejectionReason::from_code(0), RejectionReason::from_code(200)), (None, None));
    }
}
