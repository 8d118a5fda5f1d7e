//! What is logged: the level of each module, and the invocations whose debug logs are sampled.

use std::str::FromStr as _;

use tracing::{Level, Metadata, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    filter::Targets,
    layer::{Context, Filter},
};

use crate::trace::TARGET;

/// The target of the span around an invocation.
const SPAN_TARGET: &str = "millrace_invocation";
/// How the targets begin whose debug logs are sampled.
const SAMPLED_TARGETS: &str = "millrace";

tokio::task_local! {
    /// Whether the debug logs of the running invocation are written.
    static IS_SAMPLED: bool;
}

/// What is logged.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    directives: String,
    /// The share of invocations whose debug logs are written, 0 to 1.
    sample_rate: f64,
}

impl LogSettings {
    /// Reads a level, or directives such as `info,millrace_store=debug`. None if they are not
    /// allowed.
    pub fn parse(value: &str) -> Option<Self> {
        let parts: Vec<&str> = value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        // The library reads a single word as a target: a misspelt level would switch off all logs.
        let is_level = |part: &str| LevelFilter::from_str(part).is_ok();
        let clear = parts.iter().all(|part| part.contains('=') || is_level(part));
        let directives = parts.join(",");
        let allowed = !parts.is_empty() && clear && Targets::from_str(&directives).is_ok();
        allowed.then_some(Self { directives, sample_rate: 0.0 })
    }

    /// The same with the debug logs of some invocations, of this share from 0 to 1.
    #[must_use]
    pub fn with_sample_rate(self, sample_rate: f64) -> Self {
        Self { sample_rate, ..self }
    }

    /// Runs an invocation. Whether its debug logs are written is decided at random.
    pub async fn run_sampled<T>(&self, invocation: impl Future<Output = T>) -> T {
        if self.sample_rate == 0.0 {
            return invocation.await;
        }
        IS_SAMPLED.scope(fastrand::f64() < self.sample_rate, invocation).await
    }

    /// The filter for a subscriber. The span of an invocation is always on, so that every line has
    /// its request id. Spans of traces are off: they are not for logs.
    pub(crate) fn filter(&self) -> LogFilter {
        // `parse` has accepted these directives.
        let targets = Targets::from_str(&self.directives).unwrap_or_default();
        let targets = targets.with_targets([(SPAN_TARGET, LevelFilter::ERROR), (TARGET, LevelFilter::OFF)]);
        LogFilter { targets, samples: self.sample_rate > 0.0 }
    }
}

/// The span of one invocation, from its arrival until its answer is sent. It has the highest level,
/// so that every level of logs includes it.
pub fn invocation_span(request_id: &str, trace_id: Option<&str>) -> tracing::Span {
    tracing::error_span!(target: SPAN_TARGET, "invocation", request_id, trace_id)
}

/// Lets the lines of the settings pass, and all debug lines of invocations that are sampled.
pub(crate) struct LogFilter {
    targets: Targets,
    samples: bool,
}

impl LogFilter {
    fn may_be_sampled(&self, metadata: &Metadata<'_>) -> bool {
        self.samples && *metadata.level() == Level::DEBUG && metadata.target().starts_with(SAMPLED_TARGETS)
    }
}

impl<S> Filter<S> for LogFilter {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        Filter::<S>::enabled(&self.targets, metadata, context)
            || (self.may_be_sampled(metadata) && IS_SAMPLED.try_with(|is_sampled| *is_sampled).unwrap_or(false))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let interest = Filter::<S>::callsite_enabled(&self.targets, metadata);
        if interest.is_never() && self.may_be_sampled(metadata) { Interest::sometimes() } else { interest }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let hint = Filter::<S>::max_level_hint(&self.targets);
        if self.samples { hint.map(|hint| hint.max(LevelFilter::DEBUG)) } else { hint }
    }
}
