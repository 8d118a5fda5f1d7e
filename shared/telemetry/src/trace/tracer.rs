//! Begins the trace of an invocation, and exports it before the answer is sent.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;

use super::{
    context::TraceContext,
    exporter::Exporter,
    layer::{INVOCATION, invocation_span},
    recording::Recording,
    resource::Resource,
};

/// Traces the invocations of a process.
#[derive(Debug)]
pub struct Tracer {
    exporter: Exporter,
    resource: Resource,
}

/// The trace of an invocation that runs.
#[derive(Debug)]
pub struct InvocationTrace<'a> {
    tracer: &'a Tracer,
    recording: Arc<Recording>,
    span: Span,
}

impl Tracer {
    /// Traces to this exporter. The [`TraceLayer`](super::TraceLayer) has to be installed too.
    pub fn new(exporter: Exporter, resource: Resource) -> Self {
        Self { exporter, resource }
    }

    /// Begins the trace of an invocation. `context` is what Lambda says about its trace. None if it
    /// is not recorded:
    /// - Lambda says that its trace is not sampled.
    /// - Spans for X-Ray need the segment of the function, and Lambda names none.
    /// - The collector does not answer.
    pub fn begin(
        &self,
        context: Option<TraceContext>,
        request_id: &str,
        cold_start: bool,
    ) -> Option<InvocationTrace<'_>> {
        let is_sampled = context.and_then(|context| context.sampled);
        let is_recorded = match self.exporter {
            Exporter::XRay(_) => is_sampled == Some(true) && context.is_some_and(|context| context.parent.is_some()),
            Exporter::Otlp { .. } => is_sampled != Some(false) && !self.exporter.is_paused(),
        };
        is_recorded.then(|| {
            let recording = Arc::new(Recording::new(context));
            let span = invocation_span(&recording);
            span.record("faas.invocation_id", request_id).record("faas.coldstart", cold_start);
            InvocationTrace { tracer: self, recording, span }
        })
    }
}

impl InvocationTrace<'_> {
    /// The span of the invocation.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Ends the trace and sends its spans, until `deadline` at the latest. After the answer the
    /// execution environment is frozen, and spans would be lost.
    ///
    /// `error_type` says why the invocation failed.
    pub async fn finish(self, error_type: Option<&str>, deadline: Instant) {
        let Self { tracer, recording, span } = self;
        if let Some(error_type) = error_type {
            span.record("error.type", error_type);
        }
        drop(span);
        let finished = recording.finish(INVOCATION);
        if finished.trace.is_sampled {
            tracer.exporter.export(&finished, &tracer.resource, deadline).await;
        }
    }
}
