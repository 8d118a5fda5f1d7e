//! What a request adds to the record of its invocation, and to the performance history.

use std::time::Duration;

use lambda_http::http::Method;
use millrace_pipeline::{Invocation, Platform, measurement::measure_usage};
use millrace_telemetry::{Metric, Record, Usage};

use crate::{answer::Answer, request::Request, routes::Route};

/// A request that is answered.
pub struct Answered<'a> {
    /// The request.
    pub request: &'a Request,
    /// Its route; none if it has none.
    pub route: Option<&'a Route>,
    /// The answer.
    pub answer: &'a Answer,
}

/// Measures a request that took this time.
pub fn measure(platform: &Platform, invocation: &Invocation, answered: &Answered<'_>, time: Duration) {
    platform.performance.add_request(answered.answer.status.as_u16());
    if !answered.answer.is_reported {
        measure_usage(platform, invocation, time, Usage::HTTP_REQUEST);
    }
    invocation.record.update(|record| add_request(record, answered));
}

fn add_request(record: &mut Record, answered: &Answered<'_>) {
    let Answered { request, route, answer } = *answered;
    let status = answer.status;
    let reads = request.method != Method::POST && route.is_some_and(|route| route.player().is_some());
    for (metric, count) in [
        (Metric::Requests, true),
        (Metric::RequestsRefused, status.is_client_error()),
        (Metric::RequestsFailed, status.is_server_error()),
        (Metric::Reads, reads && !status.is_client_error() && !status.is_server_error()),
    ] {
        record.add(metric, u64::from(count));
    }
    let route_name = route.map_or("none", Route::name);
    record.add_text("method", request.method.to_string());
    record.add_text("route", route_name);
    record.add_text("status", status.as_str().to_owned());
    if let Some(player) = route.and_then(Route::player) {
        record.add_text("player_id", player.to_string());
    }
    record.set_message(format!("answered: {} {route_name} with {}", request.method, status.as_u16()));
}
