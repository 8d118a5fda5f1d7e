//! What was done.

use millrace_cache::{ScanCursor, SharedCacheState};
use millrace_domain::Timestamp;
use serde::Serialize;

use super::statistics::Sample;
use crate::report::Report;

/// What a request of upkeep has done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Maintained {
    /// The action.
    pub action: &'static str,
    /// Whether the shared cache takes part: `up`, or `off`, where nothing could be done.
    pub redis: SharedCacheState,
    /// What was put where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm: Option<Warmed>,
    /// What was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<Cleared>,
    /// What was made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<Rebuilt>,
    /// What became of emergency mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency_mode: Option<EmergencyMode>,
    /// What was measured and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Sample>,
    /// What it took.
    pub report: Report,
}

/// What was put where there was nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warmed {
    /// Why nothing was tried; left out where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
    /// Different players that were thought of: the sum of the others, where all of them were done.
    pub players: u64,
    /// Had a copy already.
    pub cached: u64,
    /// Have one now.
    pub filled: u64,
    /// Have no row in the table.
    pub unknown: u64,
    /// Others have put a newer copy meanwhile.
    pub outdated: u64,
    /// Could not be read or put.
    pub failed: u64,
    /// Whether all of them were done before the deadline.
    pub done: bool,
}

/// Why nothing was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Skipped {
    /// There is no shared cache.
    RedisOff,
    /// In emergency mode nothing reads the table that need not.
    EmergencyMode,
}

/// What was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cleared {
    /// Keys that were looked at.
    pub scanned: u64,
    /// Copies that were taken away.
    pub cleared: u64,
    /// Keys that Redis refused to touch.
    pub failed: u64,
    /// Whether all was done before the deadline.
    pub done: bool,
    /// Where to go on, if not.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub cursor: Option<ScanCursor>,
}

/// What was made anew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebuilt {
    /// Players that were looked at.
    pub players: u64,
    /// Have a copy of what the table has.
    pub rebuilt: u64,
    /// Had a copy and no row in the table: they have none now.
    pub removed: u64,
    /// Others have put a newer copy meanwhile, made from the table too.
    pub outdated: u64,
    /// Could not be read or put.
    pub failed: u64,
    /// Whether all was done before the deadline.
    pub done: bool,
    /// Where to go on, if not.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub cursor: Option<ScanCursor>,
}

/// What became of emergency mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmergencyMode {
    /// Whether it is on now.
    pub enabled: bool,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Copies whose time to live was made longer.
    pub extended: u64,
    /// Whether that was done for all before the deadline.
    pub done: bool,
}

fn as_text<S: serde::Serializer>(cursor: &Option<ScanCursor>, serializer: S) -> Result<S::Ok, S::Error> {
    match cursor {
        Some(cursor) => serializer.collect_str(cursor),
        None => serializer.serialize_none(),
    }
}
