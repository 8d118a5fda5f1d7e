//! The routes for operators: `/health` and `/admin`.

use std::time::{Duration, Instant};

use futures::future::join_all;
use lambda_http::http::StatusCode;
use millrace_domain::FailureReason;
use millrace_lambda::queue_depth::{MonitoredQueue, QueueDepth};
use millrace_pipeline::{Failure, Invocation, Platform};
use millrace_queries::{
    health::{self, Status},
    performance::{self, PerformanceReport},
};
use millrace_upkeep::{UpkeepError, UpkeepSettings, statistics_history};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::{answer::Answer, parameters, problem::Problem, request::Request};

/// The most samples of the shared cache in an answer: five hours with one every five minutes.
const MAX_SAMPLES: usize = 60;
/// How long SQS may take to tell the depth of a queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of an upkeep request: it may name ten thousand players.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// The answer of `GET /admin/performance`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Performance<'a> {
    #[serde(flatten)]
    report: PerformanceReport,
    /// The depth of the monitored queues.
    queues: Vec<Depth<'a>>,
    /// The last samples of upkeep, newest first. Null if the shared cache does not answer.
    cache_history: Option<Vec<Value>>,
}

/// The depth of a queue.
#[derive(Serialize)]
struct Depth<'a> {
    name: &'a str,
    depth: Option<Messages>,
    /// Why there is no depth.
    reason: Option<&'static str>,
}

/// The messages of a queue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Messages {
    waiting: u64,
    in_flight: u64,
    delayed: u64,
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

/// `GET /admin/performance`: what the functions did, the depth of queues, and samples of the cache.
pub async fn performance(
    platform: &Platform,
    queues: &[MonitoredQueue],
    request: &Request,
    invocation: &Invocation,
    started: Instant,
) -> Result<Answer, Problem> {
    let span = parameters::span(request, platform.clock.now())?;
    // The other figures are answered even if the shared cache does not answer.
    let (report, queues, cache_history) = tokio::join!(
        performance::performance(platform, span, invocation),
        join_all(queues.iter().map(depth)),
        statistics_history(platform, MAX_SAMPLES, invocation),
    );
    let cache_history =
        cache_history.inspect_err(|error| tracing::warn!(%error, "cannot read samples from the shared cache")).ok();
    let answer = Performance { report, queues, cache_history };
    Ok(Answer::json(StatusCode::OK, &answer).timed(started.elapsed(), None, None))
}

async fn depth(queue: &MonitoredQueue) -> Depth<'_> {
    let asked = timeout(QUEUE_TIMEOUT, queue.depth()).await.unwrap_or_else(|_| Err(Failure::unanswered()));
    let name = queue.name();
    match asked {
        Ok(QueueDepth { waiting, in_flight, delayed }) => {
            Depth { name, depth: Some(Messages { waiting, in_flight, delayed }), reason: None }
        }
        Err(failure) => {
            tracing::warn!(queue = name, reason = failure.reason.code(), detail = %failure.detail,
                "the depth of a queue is unknown");
            Depth { name, depth: None, reason: Some(failure.reason.code()) }
        }
    }
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
