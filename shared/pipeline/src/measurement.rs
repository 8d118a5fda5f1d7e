//! Reports and reads as metrics of the record of an invocation.

use millrace_cache::{DataKind, PerKind, SharedCacheState};
use millrace_telemetry::{Breakdown, Metric, Record, Usage};

use crate::{
    counters::{CacheCounters, SharedErrors, sum_of_kinds},
    platform::Platform,
    report::{CostReport, Report},
};

/// Adds what a report says. `round_trips` are the calls to the tables.
pub(crate) fn measure_report(record: &mut Record, report: &Report, round_trips: u64) {
    record.set(Metric::ProcessingTime, report.processing_time_ms);
    measure_commands(record, report);
    record.add(Metric::Players, report.players);
    record.add(Metric::Completions, report.lateness.count);
    if let Some(lateness) = report.lateness.p99_ms {
        record.set(Metric::Lateness, lateness as f64);
    }
    record.add(Metric::AttemptsTimedOut, report.attempts_timed_out);
    record.add(Metric::CacheLookups, report.cache.lookups);
    let (local, redis) = (&report.cache.local, &report.cache.redis);
    measure_hits(record, &local.kinds, &redis.kinds);
    measure_redis(record, redis.errors_by_call, redis.state);
    record.add(Metric::Commits, report.commits.committed);
    record.add(Metric::Conflicts, report.commits.conflicts);
    record.add(Metric::RoundTrips, round_trips);
    measure_writes(record, report);
    record.add(Metric::EventsPublished, report.events.published);
    record.add(Metric::EventsFailed, report.events.failed);
    measure_cost(record, report.cost);
}

fn measure_commands(record: &mut Record, report: &Report) {
    let commands = &report.commands;
    for (metric, count) in [
        (Metric::CommandsReceived, commands.received),
        (Metric::CommandsApplied, commands.applied),
        (Metric::CommandsDuplicate, commands.duplicate),
        (Metric::CommandsRejected, commands.rejected),
        (Metric::CommandsMalformed, commands.malformed),
        (Metric::CommandsFailed, commands.failed),
    ] {
        record.add(metric, count);
    }
    for (breakdown, reasons) in
        [(Breakdown::Rejected, &report.reasons.rejected), (Breakdown::Failed, &report.reasons.failed)]
    {
        reasons.iter().for_each(|(reason, count)| record.add_part(breakdown, *reason, *count as f64));
    }
}

fn measure_hits(record: &mut Record, local: &PerKind<u64>, redis: &PerKind<u64>) {
    for (metric, breakdown, hits) in
        [(Metric::LocalHits, Breakdown::LocalHits, local), (Metric::RedisHits, Breakdown::RedisHits, redis)]
    {
        let sum = sum_of_kinds(hits);
        record.add(metric, sum);
        record.add(Metric::CacheHits, sum);
        for kind in DataKind::ALL {
            record.add_part(breakdown, kind_name(kind), hits[kind] as f64);
        }
    }
}

fn kind_name(kind: DataKind) -> &'static str {
    match kind {
        DataKind::Queue => "queue",
        DataKind::Progress => "progress",
        DataKind::Stats => "stats",
        DataKind::Frequent => "frequent",
    }
}

fn measure_redis(record: &mut Record, errors: SharedErrors, state: SharedCacheState) {
    record.add(Metric::RedisErrors, errors.total());
    for (call, count) in [("get", errors.get), ("put", errors.put)] {
        record.add_part(Breakdown::RedisErrors, call, count as f64);
    }
    if state != SharedCacheState::Off {
        let is_down = state == SharedCacheState::Down;
        record.set(Metric::RedisUnavailable, if is_down { 100.0 } else { 0.0 });
    }
}

fn measure_writes(record: &mut Record, report: &Report) {
    let writes = &report.writes;
    record.add(Metric::RoundTripsSaved, writes.round_trips_saved);
    record.add(Metric::RecordsWritten, writes.items);
    record.add(Metric::RecordsRetried, writes.retried_items);
    for (table, count) in &writes.by_table {
        record.add_part(Breakdown::Records, table.as_str(), count.items as f64);
        record.add_part(Breakdown::RecordCalls, table.as_str(), count.calls as f64);
    }
    for (priority, count) in &writes.by_priority {
        record.add_part(Breakdown::Priority, priority.as_str(), count.items as f64);
        record.add_part(Breakdown::PriorityCalls, priority.as_str(), count.calls as f64);
    }
}

fn measure_cost(record: &mut Record, cost: CostReport) {
    let CostReport { microdollars, usage } = cost;
    record.set(Metric::EstimatedCost, microdollars);
    record.set(Metric::ReadUnits, usage.half_read_units as f64 / 2.0);
    record.set(Metric::WriteUnits, usage.write_units as f64);
    for (name, count) in [
        ("lambdaMibMs", usage.lambda_mib_ms),
        ("fifoRequests", usage.fifo_requests),
        ("standardRequests", usage.standard_requests),
        ("publishedEvents", usage.published_events),
        ("httpRequests", usage.http_requests),
    ] {
        record.add_part(Breakdown::Usage, name, count as f64);
    }
}

/// Adds the resident memory, and its share of the memory of the function.
pub(crate) fn measure_memory(record: &mut Record, resident_bytes: Option<u64>, memory_mib: Option<u64>) {
    let Some(resident) = resident_bytes else { return };
    record.set(Metric::ResidentMemory, resident as f64);
    if let Some(mib) = memory_mib.filter(|mib| *mib > 0) {
        let percent = resident as f64 / (mib << 20) as f64 * 100.0;
        record.set(Metric::MemoryUsed, crate::counters::thousandths(percent));
    }
}

/// Adds one lookup of a read in the caches.
pub fn measure_lookup(record: &mut Record, cache: &CacheCounters) {
    record.add(Metric::CacheLookups, sum_of_kinds(&cache.local) + sum_of_kinds(&cache.redis) + cache.misses);
    measure_hits(record, &cache.local, &cache.redis);
    record.add(Metric::RedisErrors, cache.shared_errors.total());
}

/// Adds what an invocation without a report has used: memory, Redis, and the estimated cost. The
/// cost is added to the performance history too.
pub fn measure_usage(record: &mut Record, platform: &Platform, time: std::time::Duration, usage: Usage) {
    let units = platform.take_units();
    record.set(Metric::ProcessingTime, crate::counters::millis(time));
    record.add(Metric::RoundTrips, units.calls);
    measure_redis(record, SharedErrors::default(), platform.cache.shared_state());
    measure_memory(record, (platform.resident_bytes)(), platform.settings.memory_mib);
    let mut all = Usage {
        half_read_units: units.half_reads,
        write_units: units.writes,
        ..Usage::of_lambda(time, platform.settings.memory_mib.unwrap_or_default())
    };
    all += usage;
    platform.performance.add_cost(&all);
    measure_cost(record, all.into());
}
