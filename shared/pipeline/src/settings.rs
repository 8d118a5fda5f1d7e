//! What the pipeline is told.

use std::time::Duration;

use millrace_domain::{FeatureSwitch, Rules};

/// Settings of the pipeline.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// How often a queue is loaded and applied again after a conflict, before its messages fail.
    pub conflict_retries: u32,
    /// Wait before the first of these, doubled for each further one, with full jitter.
    pub conflict_backoff: Duration,
    /// How long before the function's time-out work is handed back.
    pub deadline_margin: Duration,
    /// Most conditional writes in one call.
    pub commit_batch: usize,
    /// Most calls to the store at once.
    pub concurrency: usize,
    /// For whom writes share calls.
    pub batching: FeatureSwitch,
    /// Resident memory above which the local cache shrinks, in bytes.
    pub memory_threshold: u64,
    /// Most players warmed at once, where nothing else is asked for.
    pub warm_max_players: usize,
    /// The time until the next warm-up. A queue with something due before it is warmed, unless the
    /// request says otherwise, and a warmed copy lives until it.
    pub warm_interval: Duration,
    /// The function that this is, for those who read what all processes have done.
    pub function: String,
    /// Whether whoever invokes this process delivers again what is cut short, as SQS does. The clock does
    /// not, nor need a caller over HTTP: there a queue stays in the index of what is due until its records
    /// are written, and is then taken out of it by a second write.
    pub delivered_again: bool,
    /// How far ahead ticks are sent: past the next run.
    pub look_ahead: Duration,
    /// What holds for every queue.
    pub rules: Rules,
    /// Seeds the jitter, and names the process.
    pub seed: u64,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            conflict_retries: 5,
            conflict_backoff: Duration::from_millis(10),
            deadline_margin: Duration::from_millis(500),
            commit_batch: 25,
            concurrency: 5,
            batching: FeatureSwitch::ON,
            memory_threshold: 400 << 20,
            warm_max_players: 1_000,
            warm_interval: Duration::from_secs(900),
            function: String::new(),
            delivered_again: true,
            look_ahead: Duration::from_secs(65),
            rules: Rules::default(),
            seed: 0,
        }
    }
}
