//! Reports of all processes: each lets what it has done in the last seconds ride along to the shared cache,
//! where everybody can read it.

use std::sync::{Mutex, PoisonError};

use millrace_domain::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::error::MaintenanceError;
use crate::{
    report::{CommandCounts, Report},
    service::{Invocation, Service},
};

/// What a process has done since its last report.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessReport {
    /// The function.
    pub function: String,
    /// Names the process, as long as it lives.
    pub process: String,
    /// When the first of the invocations ended.
    pub from: Timestamp,
    /// When the last one did.
    pub to: Timestamp,
    /// Invocations.
    pub invocations: u64,
    /// Those among them that were the first of the process.
    pub cold_starts: u64,
    /// How long they took, in milliseconds.
    pub processing_time_ms: f64,
    /// How long the longest took.
    pub max_processing_time_ms: f64,
    /// Commands by what became of them.
    pub commands: CommandCounts,
    /// Queues looked up.
    pub lookups: u64,
    /// Found inside the process.
    pub local_hits: u64,
    /// Found in the shared cache.
    pub redis_hits: u64,
    /// Calls of the shared cache that failed.
    pub redis_errors: u64,
    /// Round trips that read the table.
    pub load_calls: u64,
    /// Queues committed.
    pub committed: u64,
    /// Conflicts.
    pub conflicts: u64,
    /// Round trips that committed.
    pub commit_calls: u64,
    /// Records written.
    pub items: u64,
    /// Round trips that wrote them.
    pub write_calls: u64,
    /// Resident memory after the last invocation; null where the system does not tell.
    pub resident_bytes: Option<u64>,
}

/// Adds up the reports of a process.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<ProcessReport>);

impl Reports {
    /// Adds a report. With `take`, gives the sum, and begins anew.
    fn add(&self, report: &Report, now: Timestamp, take: bool) -> Option<ProcessReport> {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.add(report, now);
        take.then(|| std::mem::take(&mut *sum))
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
        let (sum, commands) = (&mut self.commands, report.commands);
        sum.received += commands.received;
        sum.applied += commands.applied;
        sum.duplicate += commands.duplicate;
        sum.rejected += commands.rejected;
        sum.failed += commands.failed;
        sum.malformed += commands.malformed;
        self.lookups += report.cache.lookups;
        self.local_hits += report.cache.local.hits;
        self.redis_hits += report.cache.redis.hits;
        self.redis_errors += report.cache.redis.errors;
        self.load_calls += report.loads.calls;
        self.committed += report.commits.committed;
        self.conflicts += report.commits.conflicts;
        self.commit_calls += report.commits.calls;
        self.items += report.writes.items;
        self.write_calls += report.writes.calls;
        self.resident_bytes = report.memory.resident_bytes;
    }
}

impl Service {
    /// Lets a report be part of what the others learn of this process, with its next put and every ten
    /// seconds at most. Called with every report of commands, ticks and runs that advance queues; costs no round
    /// trip. A process that puts nothing, as one that only sends ticks, is not heard of.
    pub fn share(&self, report: &Report) {
        let Some(sum) = self.reports.add(report, self.clock.now(), self.cache.wants_report()) else { return };
        let process = format!("{:016x}", self.settings.seed);
        let sum = ProcessReport { function: self.settings.function.clone(), process, ..sum };
        // Nothing in it can fail to be written.
        if let Ok(text) = serde_json::to_string(&sum) {
            self.cache.offer_report(text);
        }
    }

    /// What processes have told of themselves in the last hour ([`ProcessReport`]), the latest first, at most
    /// `limit`. Without a shared cache there is nothing.
    ///
    /// # Errors
    /// [`MaintenanceError::CacheUnavailable`] where the shared cache cannot be used.
    pub async fn recent_reports(&self, limit: usize, invocation: &Invocation) -> Result<Vec<Value>, MaintenanceError> {
        let Some(upkeep) = self.cache.upkeep() else { return Ok(Vec::new()) };
        let texts = upkeep.read_reports(limit, self.deadline(invocation)).await?;
        // One of another version may look otherwise; one that is no JSON was not put by us.
        let mut reports: Vec<Value> = texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        // Times of one form come in the order of their text.
        reports.sort_by(|one, other| other["to"].as_str().cmp(&one["to"].as_str()));
        reports.truncate(limit);
        Ok(reports)
    }
}
