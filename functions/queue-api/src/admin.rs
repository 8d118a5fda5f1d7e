//! The routes for those who run the service: `/health` and `/admin`.

use std::time::{Duration, Instant};

use lambda_http::http::StatusCode;
use millrace_pipeline::{
    Invocation, Service,
    health::Status,
    maintenance::{self, MaintenanceError},
    performance::PerformanceReport,
};
use serde::Serialize;
use serde_json::Value;

use crate::{answer::Answer, parameters, problem::Problem, request::Request};

/// Most samples of the shared cache's history that an answer shows: five hours, at one every five minutes.
const MAX_SAMPLES: usize = 60;
/// Most reports of processes that an answer shows.
const MAX_REPORTS: usize = 100;
/// Most bytes of a request for upkeep: it may name ten thousand players.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// What is known of performance.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Performance {
    #[serde(flatten)]
    report: PerformanceReport,
    /// What processes of all functions have told of themselves, the latest first; null likewise.
    processes: Option<Vec<Value>>,
    /// What the upkeep has measured, the latest first; null where the shared cache does not answer.
    cache_history: Option<Vec<Value>>,
}

/// Whether the store and the cache can be reached. Anybody may ask.
pub async fn health(service: &Service, request: &Request) -> Result<Answer, Problem> {
    parameters::none(request)?;
    let started = Instant::now();
    let health = service.health().await;
    let status = match health.status {
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(Answer::json(status, &health).timed(started.elapsed(), None, None))
}

/// What this process has done lately, what all have, and what the upkeep has measured of the shared cache.
pub async fn performance(
    service: &Service,
    request: &Request,
    invocation: &Invocation,
    started: Instant,
) -> Result<Answer, Problem> {
    parameters::none(request)?;
    // What this process has done is worth an answer, even where the shared cache gives none.
    let read = |answer: Result<Vec<Value>, MaintenanceError>| {
        answer.inspect_err(|error| tracing::warn!(%error, "the shared cache does not tell of processes")).ok()
    };
    let (processes, cache_history) = tokio::join!(
        service.recent_reports(MAX_REPORTS, invocation),
        service.statistics_history(MAX_SAMPLES, invocation),
    );
    let (processes, cache_history) = (read(processes), read(cache_history));
    let answer = Performance { report: service.performance(), processes, cache_history };
    Ok(Answer::json(StatusCode::OK, &answer).timed(started.elapsed(), None, None))
}

/// Upkeep of the shared cache: what `maintain-cache` does.
pub async fn cache(
    service: &Service,
    request: &Request,
    action: &str,
    invocation: &Invocation,
) -> Result<Answer, Problem> {
    parameters::none(request)?;
    let body = parameters::body_or_none(request, MAX_BODY_BYTES)?;
    let asked =
        maintenance::Request::for_action(action, body).map_err(|error| Problem::malformed(&error.to_string()))?;
    let maintained = service.maintain(asked, invocation).await.map_err(|error| match error {
        MaintenanceError::BadRequest(error) => Problem::malformed(&error.to_string()),
        MaintenanceError::CacheUnavailable { .. } => Problem::of_failure("cache_unavailable"),
        MaintenanceError::StoreUnavailable { .. } => Problem::of_failure("store_unavailable"),
        MaintenanceError::EmergencyMode { .. } => Problem::emergency_mode(&error.to_string()),
        _ => Problem::of_failure("internal_error"),
    })?;
    let report = &maintained.report;
    let took = Duration::from_secs_f64(report.processing_time_ms / 1000.0);
    Ok(Answer::json(StatusCode::OK, &maintained).timed(took, None, report.cache.hit_rate))
}
