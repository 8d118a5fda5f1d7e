//! What a task needs to complete: time, or reported units.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest timed work, in milliseconds: one day.
pub const MAX_DURATION_MS: u64 = 86_400_000;
/// Most units of reported work.
pub const MAX_UNITS: u64 = 1_000_000_000;

/// What a task needs to complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Work {
    /// Timed work: completes by the server's clock so many milliseconds after its start.
    #[n(0)]
    DurationMs(#[n(0)] u64),
    /// Reported work: completes when so many units are reported done.
    #[n(1)]
    Units {
        /// The units.
        #[n(0)]
        units: u64,
        /// An attempt fails after so many milliseconds without a report.
        #[n(1)]
        heartbeat_ms: Option<u32>,
        /// An attempt fails after it was active for so many milliseconds.
        #[n(2)]
        timeout_ms: Option<u32>,
    },
}

impl Work {
    /// Reported work without deadlines.
    pub fn units(units: u64) -> Self {
        Self::Units { units, heartbeat_ms: None, timeout_ms: None }
    }

    /// Whether the work is done elsewhere and reported.
    pub fn is_reported(self) -> bool {
        matches!(self, Self::Units { .. })
    }

    /// The units of reported work.
    pub fn reported_units(self) -> Option<u64> {
        match self {
            Self::DurationMs(_) => None,
            Self::Units { units, .. } => Some(units),
        }
    }

    /// The duration of timed work in milliseconds; 0 for reported work.
    pub fn duration_ms(self) -> u64 {
        match self {
            Self::DurationMs(duration_ms) => duration_ms,
            Self::Units { .. } => 0,
        }
    }

    /// The same work without deadlines, which an attempt can last for ever at.
    #[must_use]
    pub fn without_deadlines(self) -> Self {
        match self {
            Self::DurationMs(_) => self,
            Self::Units { units, .. } => Self::units(units),
        }
    }
}

/// Work in JSON and in rows of tables.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    units: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heartbeat_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u32>,
}

impl Serialize for Work {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = match *self {
            Self::DurationMs(duration_ms) => {
                WorkFields { duration_ms: Some(duration_ms), units: None, heartbeat_ms: None, timeout_ms: None }
            }
            Self::Units { units, heartbeat_ms, timeout_ms } => {
                WorkFields { duration_ms: None, units: Some(units), heartbeat_ms, timeout_ms }
            }
        };
        fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Work {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WorkFields::deserialize(deserializer)? {
            WorkFields { duration_ms: Some(duration_ms), units: None, .. } => Ok(Self::DurationMs(duration_ms)),
            WorkFields { duration_ms: None, units: Some(units), heartbeat_ms, timeout_ms } => {
                Ok(Self::Units { units, heartbeat_ms, timeout_ms })
            }
            _ => Err(de::Error::custom("work has one of `durationMs` and `units`")),
        }
    }
}
