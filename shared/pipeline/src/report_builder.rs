//! Builds the report of an invocation from what its steps have counted.

use millrace_telemetry::Usage;

use crate::{
    context::Context,
    counters::{Counters, millis},
    measurement::{measure_memory, measure_report},
    report::{CacheReport, CommandOutcomes, MemoryReport, Report},
};

/// The report of an invocation that ends now. Its figures are added to the record of the
/// invocation. Where memory is short, the local cache is halved.
pub fn build_report(ctx: &Context<'_>, counters: &Counters, commands: CommandOutcomes, players: u64) -> Report {
    let platform = ctx.platform;
    let resident_bytes = (platform.resident_bytes)();
    if resident_bytes.is_some_and(|bytes| bytes > platform.settings.memory_threshold) {
        let dropped = platform.cache.shrink();
        tracing::warn!(resident_bytes, dropped, "memory is above its threshold; the local cache was halved");
    }
    let statistics = platform.cache.statistics();
    let units = platform.take_units();
    let processing_time = ctx.started.elapsed();
    let mut usage = Usage {
        half_read_units: units.half_reads,
        write_units: units.writes,
        ..Usage::of_lambda(processing_time, platform.settings.memory_mib.unwrap_or_default())
    };
    usage += counters.usage;
    let CommandOutcomes { counts, reasons } = commands;
    let report = Report {
        request_id: ctx.invocation.request_id.clone(),
        cold_start: ctx.invocation.cold_start,
        processing_time_ms: millis(processing_time),
        commands: counts,
        reasons,
        attempts_timed_out: counters.attempts_timed_out,
        players,
        lateness: counters.lateness.report(),
        lateness_values: counters.lateness.values().clone(),
        cache: CacheReport::new(
            &counters.cache,
            platform.cache.shared_state(),
            platform.cache.emergency(platform.clock.now()).is_some(),
        ),
        loads: counters.loads,
        commits: counters.commits,
        writes: counters.writes.clone().into(),
        events: counters.events,
        connections: platform.store.connections(),
        steps_ms: counters.steps,
        memory: MemoryReport {
            resident_bytes,
            local_cache_entries: statistics.local.entries,
            local_cache_bytes: statistics.local.bytes,
        },
        statistics,
        cost: usage.into(),
    };
    ctx.invocation.record.update(|record| {
        measure_report(record, &report, units.calls);
        measure_memory(record, resident_bytes, platform.settings.memory_mib);
    });
    report
}
