//! The line of metrics of each invocation, written before its answer is sent.

use std::sync::Arc;

use millrace_telemetry::{
    Metric, Record,
    emf::{EmfSettings, Ending, RecordWriter},
};

use crate::{clock, runtime::FunctionError, settings::Settings};

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
        let namespace = settings.metrics_namespace.clone();
        Self(namespace.map(|namespace| Arc::new(RecordWriter::new(EmfSettings { namespace, function_name }))))
    }

    /// Writes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Writes the line of an invocation.
    pub(crate) fn write(&self, mut record: Record, invocation: &EndedInvocation<'_>) {
        let Some(writer) = &self.0 else { return };
        let EndedInvocation { request_id, trace_id, cold_start, error } = *invocation;
        record.set(Metric::ColdStart, if cold_start { 1.0 } else { 0.0 });
        let error = error.map(|error| (error.error_type, error.message.as_str()));
        writer.write(&record, Ending { request_id, trace_id, at: clock::now(), error });
    }
}
