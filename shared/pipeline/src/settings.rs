//! The settings of the pipeline.

use std::time::Duration;

use millrace_domain::{FeatureSwitch, Rules};
use millrace_telemetry::Limits;

/// The settings of the pipeline.
#[derive(Debug, Clone)]
pub struct PipelineSettings {
    /// How often a queue is loaded and applied again after a version conflict, before its messages
    /// fail.
    pub conflict_retries: u32,
    /// Wait before the first of these, doubled for each further one, with full jitter.
    pub conflict_backoff: Duration,
    /// How long before the time-out of the function work is handed back.
    pub deadline_margin: Duration,
    /// Most conditional writes in one call.
    pub commit_batch: usize,
    /// Most calls to the store at once.
    pub concurrency: usize,
    /// The players whose writes share calls.
    pub batching: FeatureSwitch,
    /// Resident memory above which the local cache is halved, in bytes.
    pub memory_threshold: u64,
    /// The memory of the function in MiB, by which Lambda is billed; none outside of Lambda.
    pub memory_mib: Option<u64>,
    /// Whether the source delivers again what is cut short, as SQS does.
    ///
    /// Schedules and HTTP callers do not. Then a queue stays in the due index until its records are
    /// written, and a second write takes it out.
    pub is_redelivered: bool,
    /// The rules for every queue.
    pub rules: Rules,
    /// The limits of the thresholds of the performance history.
    pub thresholds: Limits,
    /// Seeds the jitter.
    pub seed: u64,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            conflict_retries: 5,
            conflict_backoff: Duration::from_millis(10),
            deadline_margin: Duration::from_millis(500),
            commit_batch: 25,
            concurrency: 5,
            batching: FeatureSwitch::ON,
            memory_threshold: 400 << 20,
            memory_mib: None,
            is_redelivered: true,
            rules: Rules::default(),
            thresholds: Limits::default(),
            seed: 0,
        }
    }
}
