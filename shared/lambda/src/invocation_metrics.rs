//! The line of metrics of each invocation, written before its answer is sent.

use std::sync::Arc;

use millrace_telemetry::{
    InvocationRecord, Metric,
    emf::{EmfSettings, Ending, RecordWriter},
};

use crate::{
    clock,
    runtime::FunctionError,
    settings::{MetricLines, Settings},
};

/// Writes the line of metrics of each invocation. Clones write to the same log.
#[derive(Clone)]
pub struct InvocationMetrics(Option<Arc<RecordWriter>>);

/// Which invocation has ended, and how.
pub(crate) struct EndedInvocation<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) trace_id: Option<&'a str>,
    pub(crate) cold_start: bool,
    pub(crate) error: Option<&'a FunctionError>,
}

impl InvocationMetrics {
    /// Writes what these settings say.
    pub fn new(settings: &Settings) -> Self {
        let function_name = settings.function_name.clone();
        let namespace = match &settings.metrics {
            MetricLines::Off => return Self(None),
            MetricLines::Logged => None,
            MetricLines::Published { namespace } => Some(namespace.clone()),
        };
        Self(Some(Arc::new(RecordWriter::new(EmfSettings { namespace, function_name }))))
    }

    /// The record of an invocation that begins; none where no metrics are written.
    pub(crate) fn begin(&self) -> InvocationRecord {
        if self.0.is_some() { InvocationRecord::empty() } else { InvocationRecord::default() }
    }

    /// Writes the line of an invocation.
    pub(crate) fn write(&self, record: &InvocationRecord, invocation: &EndedInvocation<'_>) {
        let (Some(writer), Some(mut record)) = (&self.0, record.take()) else { return };
        let EndedInvocation { request_id, trace_id, cold_start, error } = *invocation;
        record.set(Metric::ColdStart, if cold_start { 1.0 } else { 0.0 });
        let error = error.map(|error| (error.error_type, error.message.as_str()));
        writer.write(&record, Ending { request_id, trace_id, at: clock::now(), error });
    }
}
