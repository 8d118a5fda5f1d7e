//! Process reports: what a process has done lately, for the others to read in the shared cache.

use std::sync::{Mutex, PoisonError};

use millrace_cache::Tiers;
use millrace_domain::Timestamp;
use serde::Serialize;

use crate::{report::Report, settings::PipelineSettings, totals::Totals};

/// What a process has done since its last report.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessReport {
    /// The name of the function.
    pub function: String,
    /// Names the process.
    pub process: String,
    /// When the first of the invocations ended.
    pub from: Timestamp,
    /// When the last of the invocations ended.
    pub to: Timestamp,
    /// Invocations.
    pub invocations: u64,
    /// Invocations that were the first of the process.
    pub cold_starts: u64,
    /// The sum of their processing times, in milliseconds.
    pub processing_time_ms: f64,
    /// The longest processing time, in milliseconds.
    pub max_processing_time_ms: f64,
    /// What they did.
    #[serde(flatten)]
    pub totals: Totals,
    /// Resident memory after the last invocation, in bytes; null where the system does not tell.
    pub resident_bytes: Option<u64>,
}

/// Adds up the reports of the invocations of a process.
#[derive(Debug, Default)]
pub(crate) struct ProcessReports(Mutex<ProcessReport>);

impl ProcessReports {
    /// Adds a report. Every ten seconds at most, the sum is handed to the shared cache, which sends
    /// it with its next put: it costs no round trip.
    ///
    /// A process that puts nothing is not heard of, such as one that only sends ticks.
    pub(crate) fn share(&self, cache: &Tiers, settings: &PipelineSettings, report: &Report, now: Timestamp) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.add(report, now);
        if !cache.wants_report() {
            return;
        }
        let (function, process) = (settings.function.clone(), format!("{:016x}", settings.seed));
        let sum = ProcessReport { function, process, ..std::mem::take(&mut *sum) };
        // Numbers and names: serialization cannot fail.
        if let Ok(text) = serde_json::to_string(&sum) {
            cache.offer_report(text);
        }
    }
}

impl ProcessReport {
    fn add(&mut self, report: &Report, now: Timestamp) {
        if self.invocations == 0 {
            self.from = now;
        }
        self.to = now;
        self.invocations += 1;
        self.cold_starts += u64::from(report.cold_start);
        self.processing_time_ms += report.processing_time_ms;
        self.max_processing_time_ms = self.max_processing_time_ms.max(report.processing_time_ms);
        self.totals += report.into();
        self.resident_bytes = report.memory.resident_bytes;
    }
}
