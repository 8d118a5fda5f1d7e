//! The way of a request: the caller, the route, the rights of the caller, the response.

use std::time::Instant;

use lambda_http::{
    aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::{HeaderValue, StatusCode, header},
};
use millrace_lambda::{
    App, Function, FunctionError, StartError, back_ends,
    queue_depth::MonitoredQueue,
    settings::{Authentication, CorsOrigins},
};
use millrace_pipeline::{Invocation, Platform};
use millrace_telemetry::trace::{self, TARGET};
use millrace_upkeep::UpkeepSettings;
use tracing::{Instrument as _, Span, field::Empty};

use crate::{
    admin,
    answer::{Answer, SERVER_TIMING},
    auth::Caller,
    commands, cors,
    metrics::{Answered, measure},
    players,
    problem::{ID_ALLOWED, Problem},
    reads::Reader,
    request::{Request, Unreadable},
    routes::{NoRoute, Route},
};

/// The function.
pub struct Api {
    platform: Platform,
    upkeep: UpkeepSettings,
    authentication: Authentication,
    origins: CorsOrigins,
    /// The segments that every path begins with.
    base_path: Vec<String>,
    /// The queues whose depth is shown.
    monitored_queues: Vec<MonitoredQueue>,
}

impl Function for Api {
    type Answer = ApiGatewayV2httpResponse;
    const REDELIVERED: bool = false;

    async fn open(app: App) -> Result<Self, StartError> {
        let App { settings, platform } = app;
        Ok(Self {
            monitored_queues: back_ends::open_monitored_queues(&settings).await?,
            platform,
            upkeep: settings.upkeep,
            authentication: settings.authentication,
            origins: settings.cors_origins,
            base_path: settings.http_base_path,
        })
    }

    async fn answer(&self, payload: &[u8], invocation: &Invocation) -> Result<ApiGatewayV2httpResponse, FunctionError> {
        let started = Instant::now();
        let request = match Request::read(payload, &self.base_path) {
            Ok(request) => request,
            Err(Unreadable::NotHttp(error)) => return Err(error),
            Err(Unreadable::Unsupported(problem)) => {
                tracing::error!(detail = problem.detail(), "the event is not supported");
                let (request, answer) = (Request::default(), Answer::from(problem));
                let answered = Answered { request: &request, route: None, status: answer.status };
                invocation.record.update(|record| measure(record, &self.platform, &answered, started.elapsed()));
                return Ok(answer.finish(&request));
            }
        };
        let route = Route::of(&request.method, &request.segments);
        let mut answer = match cors::preflight(&request, &self.origins) {
            Some(answer) => answer,
            None => {
                let span = span_of(&request, &route);
                let answer = self.route(&request, &route, invocation, started).instrument(span.clone()).await;
                let mut answer = answer.unwrap_or_else(Answer::from);
                record_status(&span, answer.status);
                cors::mark(&mut answer.headers, &request, &self.origins);
                answer
            }
        };
        if !answer.headers.contains_key(SERVER_TIMING) {
            answer = answer.timed(started.elapsed(), None, None);
        }
        let answered = Answered { request: &request, route: route.as_ref().ok(), status: answer.status };
        invocation.record.update(|record| measure(record, &self.platform, &answered, started.elapsed()));
        self.platform.performance.add_request(answer.status.as_u16());
        Ok(answer.finish(&request))
    }
}

/// The span of a request. Its trace is a link of the invocation, unless it is the same.
fn span_of(request: &Request, route: &Result<Route, NoRoute>) -> Span {
    request.trace().into_iter().for_each(trace::link);
    tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = route.as_ref().map_or("none", Route::name),
        http.request.method = request.method.as_str(),
        http.response.status_code = Empty,
        "error.type" = Empty,
    )
}

/// By the semantic conventions, a status below 500 is no error of the server.
fn record_status(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
    }
}

impl Api {
    /// Checks who may do what, and takes the route.
    async fn route(
        &self,
        request: &Request,
        route: &Result<Route, NoRoute>,
        invocation: &Invocation,
        started: Instant,
    ) -> Result<Answer, Problem> {
        let caller = Caller::of(&request.authorizer, self.authentication);
        // This check comes first: unauthenticated callers do not learn which routes exist.
        let caller = match caller {
            Err(_) if Route::is_public(&request.segments) => None,
            caller => Some(caller?),
        };
        let route = match route {
            Ok(route) => route,
            Err(NoRoute::Unknown) => return Err(Problem::unknown_route()),
            Err(NoRoute::Method(allowed)) => {
                return Err(Problem::method_not_allowed(request.method.as_str(), allowed));
            }
            Err(NoRoute::Options(allowed)) => {
                let mut answer = Answer::empty(StatusCode::NO_CONTENT);
                answer.headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
                return Ok(answer);
            }
            Err(NoRoute::Id { field, value }) => return Err(Problem::invalid(field, value, ID_ALLOWED)),
        };
        let Some(caller) = caller.filter(|_| *route != Route::Health) else {
            return admin::health(&self.platform, request).await;
        };
        if let Some(player) = route.player() {
            caller.may_use(player).map_err(|scope| Problem::forbidden(scope, "the queue of another player"))?;
        } else {
            caller.may_administer().map_err(|scope| Problem::forbidden(scope, "/admin"))?;
        }
        let reader = |player| Reader { platform: &self.platform, request, invocation, player };
        match route {
            Route::Health => admin::health(&self.platform, request).await,
            Route::Queue(player) => reader(player).queue().await,
            Route::Task(player, task) => reader(player).task(task).await,
            Route::Stats(player) => reader(player).stats().await,
            Route::History(player) => reader(player).history().await,
            Route::Rejections(player) => reader(player).rejections().await,
            Route::Events(player) => reader(player).events().await,
            Route::Commands(player) => commands::apply(&self.platform, request, &caller, player, invocation).await,
            Route::Performance => {
                admin::performance(&self.platform, &self.monitored_queues, request, invocation, started).await
            }
            Route::Players => players::page(&self.platform, request, invocation, started).await,
            Route::RecentPlayers => players::recent(&self.platform, request, invocation, started).await,
            Route::Cache(action) => admin::cache(&self.platform, self.upkeep, request, action, invocation).await,
        }
    }
}
