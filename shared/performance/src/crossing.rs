//! The event that a threshold was crossed.

use millrace_domain::Timestamp;
use millrace_telemetry::{Metric, thresholds::Comparison};
use serde::Serialize;

use crate::threshold_state::{State, StoredState, ThresholdState};

/// The type of the event.
pub const THRESHOLD_CROSSED: &str = "thresholdCrossed";

/// A change of the state of a threshold, as it is published. It belongs to no player, so it has
/// neither a sequence nor a version.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdCrossed {
    /// The same in each copy of the event.
    pub event_id: String,
    /// `thresholdCrossed`.
    #[serde(rename = "type")]
    pub event_type: &'static str,
    /// When the change was found.
    pub at: Timestamp,
    /// The id of the threshold.
    pub threshold: &'static str,
    /// The new state.
    pub state: State,
    /// The value of the last period; left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What the value is compared with.
    pub limit: f64,
    /// On which side of the limit a value passes it.
    pub comparison: Comparison,
    /// The metric that is compared, or the part of a percentage.
    pub metric: Metric,
    /// What it means that the threshold is passed.
    pub meaning: &'static str,
    /// The section of the runbook.
    pub runbook: &'static str,
}

impl ThresholdCrossed {
    /// The event of a stored change.
    pub fn new(now: &ThresholdState, stored: StoredState) -> Self {
        Self {
            event_id: format!("{}/{}", group(now.id), stored.number),
            event_type: THRESHOLD_CROSSED,
            at: stored.since,
            threshold: now.id,
            state: stored.state,
            value: now.value,
            limit: now.limit,
            comparison: now.comparison,
            metric: now.metric,
            meaning: now.meaning,
            runbook: now.runbook,
        }
    }

    /// The group in a FIFO queue: the changes of a threshold stay in their order.
    pub fn group(&self) -> String {
        group(self.threshold)
    }
}

/// Player ids do not contain `#`.
fn group(threshold: &str) -> String {
    format!("#{threshold}")
}
