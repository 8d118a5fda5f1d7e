//! One request within its deadline.

use std::fmt::Write as _;

use millrace_cache::SharedCacheState;
use millrace_performance::Kind;
use millrace_pipeline::{
    Context, Invocation, Platform, counters::Counters, report::CommandOutcomes, report_builder::build_report,
    watch::watch_thresholds,
};
use millrace_telemetry::{Breakdown, Record, Usage, trace::TARGET};
use tracing::instrument;

use crate::{
    clear::{clear, clear_local},
    emergency::switch_emergency,
    error::UpkeepError,
    progress::{Pace, Progress},
    rebuild::rebuild,
    report::{ClearReport, EmergencyModeReport, PartReports, RebuildReport, SkipReason, UpkeepReport, WarmReport},
    request::{Request, Warm},
    settings::UpkeepSettings,
    statistics::measure,
    warm::warm,
};

/// Carries out a request. What the deadline cuts off is no error: the report says how to continue.
/// `usage` is what it took to receive the request.
///
/// # Errors
/// [`UpkeepError`] where nothing was done.
pub async fn run(
    platform: &Platform,
    settings: UpkeepSettings,
    request: Request,
    usage: Usage,
    invocation: &Invocation,
) -> Result<UpkeepReport, UpkeepError> {
    let ctx = Context::new(platform, invocation);
    let action = request.action();
    if request == Request::WatchThresholds {
        // The embedded store has a history too.
        watch_thresholds(&ctx).await;
    }
    let mut counters = Counters { usage, ..Counters::default() };
    let (result, redis) = match platform.cache.upkeep() {
        Some(cache) => {
            let pace = Pace::default();
            let mut progress = Progress { ctx: &ctx, cache, settings, counters: &mut counters, pace };
            (carry_out(&mut progress, request).await, SharedCacheState::Up)
        }
        None => (Ok(without_shared_cache(platform, &request)), SharedCacheState::Off),
    };
    let done = result.inspect_err(|error| {
        tracing::warn!(action, error_type = error.error_type(), %error, "the upkeep failed");
    })?;
    let PartReports { warm, clear, rebuild, .. } = &done;
    let players = warm.map_or(0, |warm| warm.players) + rebuild.as_ref().map_or(0, |rebuild| rebuild.players);
    let report = build_report(&ctx, &counters, CommandOutcomes::default(), players);
    platform.performance.add_report(Kind::Runs, &report);
    let counts = [
        ("filled", warm.map_or(0, |warm| warm.filled)),
        ("cleared", clear.as_ref().map_or(0, |clear| clear.cleared)),
        ("rebuilt", rebuild.as_ref().map_or(0, |rebuild| rebuild.rebuilt)),
    ];
    invocation.record.update(|record| add_to_record(record, action, players, &counts));
    Ok(UpkeepReport { action, redis, done, report })
}

/// Adds what was done to the record of the invocation.
fn add_to_record(record: &mut Record, action: &'static str, players: u64, counts: &[(&'static str, u64)]) {
    record.add_text("action", action);
    let mut message = format!("upkeep done: {action}, {players} players");
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
        record.add_part(Breakdown::Upkeep, name, *count as f64);
        // Writing to a String cannot fail.
        let _ = write!(message, ", {count} {name}");
    }
    record.set_message(message);
}

#[instrument(target = TARGET, level = "info", skip_all, fields(otel.name = request.action()))]
async fn carry_out(progress: &mut Progress<'_>, request: Request) -> Result<PartReports, UpkeepError> {
    let mut done = PartReports::default();
    match request {
        Request::Warm(request) => done.warm = Some(warm(progress, request).await?),
        Request::Clear(request) => done.clear = Some(clear(progress, request).await?),
        Request::Rebuild(request) => done.rebuild = Some(rebuild(progress, request).await?),
        Request::EmergencyMode(request) => done.emergency_mode = Some(switch_emergency(progress, request).await?),
        Request::Statistics => done.statistics = Some(measure(progress).await?),
        Request::Upkeep => {
            done.statistics = Some(measure(progress).await?);
            done.warm = Some(warm(progress, Warm::default()).await?);
        }
        // Done by `run`.
        Request::WatchThresholds => {}
    }
    Ok(done)
}

/// Without a shared cache, only the local copies of this process can be removed.
fn without_shared_cache(platform: &Platform, request: &Request) -> PartReports {
    let mut done = PartReports::default();
    match request {
        Request::Warm(_) | Request::Upkeep => {
            let skipped = Some(SkipReason::RedisOff);
            done.warm = Some(WarmReport { skipped, done: true, ..WarmReport::default() });
        }
        Request::Clear(request) => {
            clear_local(&platform.cache, request);
            done.clear = Some(ClearReport { done: true, ..ClearReport::default() });
        }
        Request::Rebuild(request) => {
            request.player_ids.iter().flatten().for_each(|player| platform.cache.forget_local(player));
            done.rebuild = Some(RebuildReport { done: true, ..RebuildReport::default() });
        }
        Request::EmergencyMode(_) => {
            done.emergency_mode = Some(EmergencyModeReport { done: true, ..EmergencyModeReport::default() });
        }
        Request::Statistics | Request::WatchThresholds => {}
    }
    done
}
