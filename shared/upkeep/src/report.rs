//! What a run has done.

use millrace_cache::{ScanCursor, SharedCacheState};
use millrace_domain::Timestamp;
use millrace_pipeline::Report;
use serde::Serialize;

use crate::statistics::Sample;

/// What a run has done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpkeepReport {
    /// The action.
    pub action: &'static str,
    /// `up`, or `off` where there is no shared cache and nothing could be done.
    pub redis: SharedCacheState,
    /// What each part of the action did.
    #[serde(flatten)]
    pub done: PartReports,
    /// What it took.
    pub report: Report,
}

/// What each part of an action did; left out where the action does not have the part.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartReports {
    /// What the warm-up did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm: Option<WarmReport>,
    /// What was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<ClearReport>,
    /// What was made again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildReport>,
    /// The state of emergency mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency_mode: Option<EmergencyModeReport>,
    /// What was measured and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Sample>,
}

/// What a warm-up did: it puts copies where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WarmReport {
    /// Why nothing was tried; left out where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkipReason>,
    /// Players covered. If all were done in time, this is the sum of the other counts.
    pub players: u64,
    /// Players that had a copy already.
    pub cached: u64,
    /// Players that have a copy now.
    pub filled: u64,
    /// Players that have no row in the table.
    pub unknown: u64,
    /// Players for whom another process put a newer copy meanwhile.
    pub outdated: u64,
    /// Players whose queue could not be read or put.
    pub failed: u64,
    /// Whether all were done before the deadline.
    pub done: bool,
}

/// Why a warm-up tried nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SkipReason {
    /// There is no shared cache.
    RedisOff,
    /// In emergency mode, only what must read the table does so.
    EmergencyMode,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClearReport {
    /// Keys that were looked at.
    pub scanned: u64,
    /// Copies that were removed.
    pub cleared: u64,
    /// Keys that Redis refused to remove.
    pub failed: u64,
    /// Whether all was done before the deadline.
    pub done: bool,
    /// Where to continue, if not.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub cursor: Option<ScanCursor>,
}

/// What was made again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildReport {
    /// Players that were looked at.
    pub players: u64,
    /// Players that have a copy of their row now.
    pub rebuilt: u64,
    /// Players that had a copy and no row: their copies were removed.
    pub removed: u64,
    /// Players for whom another process put a newer copy meanwhile, also made from the table.
    pub outdated: u64,
    /// Players whose queue could not be read or put.
    pub failed: u64,
    /// Whether all was done before the deadline.
    pub done: bool,
    /// Where to continue, if not.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub cursor: Option<ScanCursor>,
}

/// The state of emergency mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmergencyModeReport {
    /// Whether it is on now.
    pub enabled: bool,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Copies whose time to live was extended.
    pub extended: u64,
    /// Whether that was done for all copies before the deadline.
    pub done: bool,
}

fn as_text<S: serde::Serializer>(cursor: &Option<ScanCursor>, serializer: S) -> Result<S::Ok, S::Error> {
    match cursor {
        Some(cursor) => serializer.collect_str(cursor),
        None => serializer.serialize_none(),
    }
}
