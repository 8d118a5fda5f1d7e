//! What a request adds to the record of its invocation.

use std::time::Duration;

use lambda_http::http::{Method, StatusCode};
use millrace_pipeline::{Platform, measurement::measure_usage};
use millrace_telemetry::{Metric, Record, Usage};

use crate::{request::Request, routes::Route};

/// A request that is answered.
pub struct Answered<'a> {
    /// The request.
    pub request: &'a Request,
    /// Its route; none if it has none.
    pub route: Option<&'a Route>,
    /// The status of the answer.
    pub status: StatusCode,
}

/// Adds a request to the record of its invocation.
pub fn measure(record: &mut Record, platform: &Platform, answered: &Answered<'_>, time: Duration) {
    let Answered { request, route, status } = *answered;
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
    // The pipeline has measured what it has reported.
    if record.get(Metric::EstimatedCost).is_none() {
        measure_usage(record, platform, time, Usage { http_requests: 1, ..Usage::default() });
    }
}
