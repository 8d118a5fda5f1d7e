//! Records as lines of the embedded metric format of CloudWatch (EMF).
//!
//! CloudWatch reads the metrics from the line, and the line stays in the log with all its fields.

use std::{
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use metrique_writer_core::{
    Entry, EntryWriter, MetricFlags, Observation, Unit, Value, ValueWriter,
    format::Format as _,
    unit::{NegativeScale, PositiveScale},
    value::FlagConstructor as _,
};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective, NoMetricCtor};
use millrace_domain::Timestamp;

use crate::{
    metrics::{self, FUNCTION_DIMENSION, Metric, SERVICE_DIMENSION},
    record::Record,
};

/// The bytes of an ordinary line.
const LINE_BYTES: usize = 4_096;

/// What all lines of a process have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmfSettings {
    /// The namespace of the metrics.
    pub namespace: String,
    /// The name of the Lambda function.
    pub function_name: String,
}

/// Writes records as lines.
pub struct RecordWriter {
    settings: EmfSettings,
    buffers: Mutex<(Emf, Vec<u8>)>,
    output: fn(&[u8]) -> io::Result<()>,
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// The invocation.
    pub request_id: &'a str,
    /// Its X-Ray trace, if it has one.
    pub trace_id: Option<&'a str>,
    /// The time of its end by the clock of the system.
    pub at: Timestamp,
    /// The type and the message of the error, if it failed as a whole.
    pub error: Option<(&'a str, &'a str)>,
}

impl RecordWriter {
    /// A writer to standard output, where Lambda reads the log.
    pub fn new(settings: EmfSettings) -> Self {
        Self::to(settings, |line| {
            let mut output = io::stdout().lock();
            output.write_all(line)?;
            output.flush()
        })
    }

    /// A writer that hands each line to `output`.
    pub fn to(settings: EmfSettings, output: fn(&[u8]) -> io::Result<()>) -> Self {
        let dimensions = vec![vec![SERVICE_DIMENSION.0.to_owned()]];
        let emf = Emf::builder(settings.namespace.clone(), dimensions);
        let emf = emf.directive(MetricDirective {
            namespace: &settings.namespace,
            dimensions: vec![vec![FUNCTION_DIMENSION, SERVICE_DIMENSION.0]],
            metrics: vec![MetricDefinition {
                name: Metric::ColdStart.name(),
                unit: Unit::Count,
                storage_resolution: None,
            }],
        });
        let buffers = Mutex::new((emf.build(), Vec::with_capacity(LINE_BYTES)));
        Self { settings, buffers, output }
    }

    /// Writes the record of an invocation as one line. A failure is logged and changes nothing.
    pub fn write(&self, record: &Record, ending: Ending<'_>) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let (emf, line) = &mut *buffers;
        line.clear();
        let entry = Line { record, ending, settings: &self.settings };
        let written = emf.format(&entry, line).map_err(|error| io::Error::other(error.to_string()));
        if let Err(error) = written.and_then(|()| (self.output)(line)) {
            tracing::error!(%error, "the metrics of an invocation could not be written");
        }
    }
}

struct Line<'a> {
    record: &'a Record,
    ending: Ending<'a>,
    settings: &'a EmfSettings,
}

impl Entry for Line<'_> {
    fn write<'w>(&'w self, writer: &mut impl EntryWriter<'w>) {
        let Ending { request_id, trace_id, at, error } = self.ending;
        writer.timestamp(UNIX_EPOCH + Duration::from_millis(at.as_millis()));
        writer.value("timestamp", at.to_string().as_str());
        writer.value("level", if error.is_some() { "ERROR" } else { "INFO" });
        match error {
            Some((error_type, message)) => {
                writer.value("message", format!("failed: {message}").as_str());
                writer.value("error_type", error_type);
            }
            None => writer.value("message", self.record.message()),
        }
        writer.value(SERVICE_DIMENSION.0, SERVICE_DIMENSION.1);
        writer.value(FUNCTION_DIMENSION, self.settings.function_name.as_str());
        writer.value("request_id", request_id);
        if let Some(trace_id) = trace_id {
            writer.value("trace_id", trace_id);
        }
        for (name, text) in self.record.texts() {
            writer.value(name, text);
        }
        // A zero that is no metric would only make the line longer.
        for (metric, value) in self.record.values().filter(|(metric, value)| metric.is_published() || *value != 0.0) {
            // The directive of the function has the cold starts.
            let is_metric = metric.is_published() && metric != Metric::ColdStart;
            writer.value(metric.name(), &Number { value, unit: unit(metric), is_metric });
        }
        for (breakdown, name, value) in self.record.parts() {
            let name = format!("{}.{name}", breakdown.name());
            writer.value(name, &Number { value, unit: Unit::None, is_metric: false });
        }
    }
}

struct Number {
    value: f64,
    unit: Unit,
    /// Whether CloudWatch takes it as a metric. Otherwise it is a field of the line.
    is_metric: bool,
}

impl Value for Number {
    fn write(&self, writer: impl ValueWriter) {
        let is_whole = self.value.fract() == 0.0 && (0.0..=9e15).contains(&self.value);
        let number =
            if is_whole { Observation::Unsigned(self.value as u64) } else { Observation::Floating(self.value) };
        let flags = if self.is_metric { MetricFlags::empty() } else { NoMetricCtor::construct() };
        writer.metric([number], self.unit, [], flags);
    }
}

fn unit(metric: Metric) -> Unit {
    match metric.definition().unit {
        metrics::Unit::Count => Unit::Count,
        metrics::Unit::Milliseconds => Unit::Second(NegativeScale::Milli),
        metrics::Unit::Percent => Unit::Percent,
        metrics::Unit::Bytes => Unit::Byte(PositiveScale::One),
        metrics::Unit::None => Unit::None,
    }
}
