//! The priorities of tasks.

use minicbor::{Decode, Decoder, Encode, decode::Error as DecodeError};
use serde::{Deserialize, Serialize};

/// The priority of a task. The order of the variants is the order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Priority {
    /// After all others.
    #[n(0)]
    Low,
    /// The priority of a task without one.
    #[default]
    #[n(1)]
    Normal,
    /// Before `normal`.
    #[n(2)]
    High,
    /// Before all others.
    #[n(3)]
    Critical,
}

impl Priority {
    /// The priority in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A priority of a newer release counts as normal: the task can still be worked on.
pub(crate) fn priority_or_normal<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Priority, DecodeError> {
    Ok(match decoder.u8()? {
        0 => Priority::Low,
        2 => Priority::High,
        3 => Priority::Critical,
        _ => Priority::Normal,
    })
}
