//! The routes for operators: `/health` and `/admin`.

use std::time::{Duration, Instant};

use lambda_http::http::StatusCode;
use millrace_domain::FailureReason;
use millrace_pipeline::{Invocation, Platform};
use millrace_queries::{
    health::{self, Status},
    performance::{self, PerformanceReport},
};
use millrace_upkeep::{UpkeepError, UpkeepSettings, recent_reports, statistics_history};
use serde::Serialize;
use serde_json::Value;

use crate::{answer::Answer, parameters, problem::Problem, request::Request};

/// The most samples of the shared cache in an answer: five hours with one every five minutes.
const MAX_SAMPLES: usize = 60;
/// The most reports of processes in an answer.
const MAX_REPORTS: usize = 100;
/// The most bytes of an upkeep request: it may name ten thousand players.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// The answer of `GET /admin/performance`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Performance {
    #[serde(flatten)]
    report: PerformanceReport,
    /// The last reports of processes of all functions, newest first. Null if the shared cache does
    /// not answer.
    processes: Option<Vec<Value>>,
    /// The last samples of upkeep, newest first. Null if the shared cache does not answer.
    cache_history: Option<Vec<Value>>,
}

/// `GET /health`: whether the store and the cache are reachable. Needs no authentication.
pub async fn health(platform: &Platform, request: &Request) -> Result<Answer, Problem> {
    parameters::none(request)?;
    let started = Instant::now();
    let health = health::health(platform).await;
    let status = match health.status {
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(Answer::json(status, &health).timed(started.elapsed(), None, None))
}

/// `GET /admin/performance`: recent figures of this process and of all, and samples of the cache.
pub async fn performance(
    platform: &Platform,
    request: &Request,
    invocation: &Invocation,
    started: Instant,
) -> Result<Answer, Problem> {
    parameters::none(request)?;
    // The figures of this process are answered even if the shared cache does not answer.
    let read = |answer: Result<Vec<Value>, UpkeepError>| {
        answer.inspect_err(|error| tracing::warn!(%error, "cannot read reports from the shared cache")).ok()
    };
    let (processes, cache_history) = tokio::join!(
        recent_reports(platform, MAX_REPORTS, invocation),
        statistics_history(platform, MAX_SAMPLES, invocation),
    );
    let (processes, cache_history) = (read(processes), read(cache_history));
    let answer = Performance { report: performance::performance(platform), processes, cache_history };
    Ok(Answer::json(StatusCode::OK, &answer).timed(started.elapsed(), None, None))
}

/// `POST /admin/cache/{action}`: upkeep of the shared cache, as `maintain-cache` does it.
pub async fn cache(
    platform: &Platform,
    settings: UpkeepSettings,
    request: &Request,
    action: &str,
    invocation: &Invocation,
) -> Result<Answer, Problem> {
    parameters::none(request)?;
    let body = parameters::body_or_none(request, MAX_BODY_BYTES)?;
    let upkeep_request =
        millrace_upkeep::Request::for_action(action, body).map_err(|error| Problem::malformed(&error.to_string()))?;
    let done = millrace_upkeep::run(platform, settings, upkeep_request, invocation).await;
    let done = done.map_err(|error| match error {
        UpkeepError::CacheUnavailable { .. } => Problem::of_failure(FailureReason::CacheUnavailable),
        UpkeepError::StoreUnavailable { .. } => Problem::of_failure(FailureReason::StoreUnavailable),
        UpkeepError::EmergencyMode { .. } => Problem::emergency_mode(&error.to_string()),
        _ => Problem::of_failure(FailureReason::InternalError),
    })?;
    let report = &done.report;
    let took = Duration::from_secs_f64(report.processing_time_ms / 1000.0);
    Ok(Answer::json(StatusCode::OK, &done).timed(took, None, report.cache.hit_rate))
}
