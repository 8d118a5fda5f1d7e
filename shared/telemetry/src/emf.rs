//! Records as lines of the embedded metric format of CloudWatch (EMF).
//!
//! CloudWatch reads the metrics from the line, and the line stays in the log with all its fields.
//! What people look for comes first, and the description of the metrics last.

use std::{
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use millrace_domain::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use crate::{
    metrics::{FUNCTION_DIMENSION, Metric, SERVICE_DIMENSION},
    record::Record,
};

/// The bytes of an ordinary line.
const LINE_BYTES: usize = 4_096;
/// The largest whole number that a floating-point number shows exactly.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// What all lines of a process have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmfSettings {
    /// The namespace of the metrics; none: CloudWatch takes no metrics from the line.
    pub namespace: Option<String>,
    /// The name of the Lambda function.
    pub function_name: String,
}

/// Writes records as lines.
pub struct RecordWriter {
    settings: EmfSettings,
    metrics: MetricTexts,
    line: Mutex<Vec<u8>>,
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
        let metrics = MetricTexts::new(settings.namespace.as_deref());
        Self { settings, metrics, line: Mutex::new(Vec::with_capacity(LINE_BYTES)), output }
    }

    /// Writes the record of an invocation as one line. A failure is logged and changes nothing.
    pub fn write(&self, record: &Record, ending: Ending<'_>) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        let fields = Fields { record, ending, function_name: &self.settings.function_name };
        let formatted = serde_json::to_writer(&mut *line, &fields).map_err(io::Error::from);
        let written = formatted.and_then(|()| {
            // The object goes on with its numbers.
            line.pop();
            write_parts(&mut line, record)?;
            self.metrics.write(&mut line, record, ending.at)?;
            (self.output)(&line)
        });
        if let Err(error) = written {
            tracing::error!(%error, "the metrics of an invocation could not be written");
        }
    }
}

/// What all lines say of the metrics, formatted once: that takes half of the time of a line.
struct MetricTexts {
    /// The keys with what separates them, by the place of the metric in the list.
    keys: Vec<String>,
    description: Option<DescriptionTexts>,
}

/// The parts of the description of the metrics.
struct DescriptionTexts {
    before_definitions: String,
    /// By the place of the metric in the list.
    definitions: Vec<String>,
    after_definitions: String,
}

impl MetricTexts {
    fn new(namespace: Option<&str>) -> Self {
        Self {
            keys: Metric::ALL.map(|metric| format!(",{}:", json!(metric.name()))).into(),
            description: namespace.map(DescriptionTexts::new),
        }
    }

    /// Writes the metrics, their description and the end of the line.
    fn write(&self, line: &mut Vec<u8>, record: &Record, at: Timestamp) -> io::Result<()> {
        for (metric, value) in shown(record) {
            line.extend_from_slice(self.keys[metric as usize].as_bytes());
            serde_json::to_writer(&mut *line, &Number(value))?;
        }
        if let Some(description) = &self.description {
            description.write(line, record, at)?;
        }
        line.extend_from_slice(b"}\n");
        Ok(())
    }
}

impl DescriptionTexts {
    fn new(namespace: &str) -> Self {
        let namespace = json!(namespace);
        let definitions = Metric::ALL.map(|metric| {
            let definition = metric.definition();
            json!({"Name": definition.name, "Unit": definition.unit}).to_string()
        });
        let service = json!([[SERVICE_DIMENSION.0]]);
        let function = json!([[FUNCTION_DIMENSION, SERVICE_DIMENSION.0]]);
        let cold_start = &definitions[Metric::ColdStart as usize];
        Self {
            before_definitions: format!(r#"[{{"Namespace":{namespace},"Dimensions":{service},"Metrics":["#),
            after_definitions: format!(
                r#"]}},{{"Namespace":{namespace},"Dimensions":{function},"Metrics":[{cold_start}]}}]"#
            ),
            definitions: definitions.into(),
        }
    }

    fn write(&self, line: &mut Vec<u8>, record: &Record, at: Timestamp) -> io::Result<()> {
        write!(line, r#","_aws":{{"Timestamp":{},"CloudWatchMetrics":{}"#, at.as_millis(), self.before_definitions)?;
        let mut separator = "";
        for (metric, _) in shown(record).filter(|(metric, _)| metric.is_published() && *metric != Metric::ColdStart) {
            line.extend_from_slice(separator.as_bytes());
            line.extend_from_slice(self.definitions[metric as usize].as_bytes());
            separator = ",";
        }
        line.extend_from_slice(self.after_definitions.as_bytes());
        line.extend_from_slice(b"}");
        Ok(())
    }
}

/// The metrics of a line. CloudWatch refuses numbers that are not finite. A zero that CloudWatch
/// does not keep would only make the line longer. [`Metric::ColdStart`] is always there.
fn shown(record: &Record) -> impl Iterator<Item = (Metric, f64)> {
    let record_value = |metric| if metric == Metric::ColdStart { Some(0.0) } else { None };
    let values = Metric::ALL.into_iter().filter_map(move |metric| {
        let value = record.get(metric).or_else(|| record_value(metric))?;
        Some((metric, value))
    });
    values.filter(|(metric, value)| value.is_finite() && (metric.is_published() || *value != 0.0))
}

/// Writes the parts of breakdowns. Nothing in their names has to be escaped.
fn write_parts(line: &mut Vec<u8>, record: &Record) -> io::Result<()> {
    for (breakdown, name, value) in record.parts() {
        for text in [",\"", breakdown.name(), ".", name, "\":"] {
            line.extend_from_slice(text.as_bytes());
        }
        serde_json::to_writer(&mut *line, &Number(value))?;
    }
    Ok(())
}

/// The texts of a line.
struct Fields<'a> {
    record: &'a Record,
    ending: Ending<'a>,
    function_name: &'a str,
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Ending { request_id, trace_id, at, error } = self.ending;
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("timestamp", &at)?;
        fields.serialize_entry("level", if error.is_some() { "ERROR" } else { "INFO" })?;
        match error {
            Some((error_type, message)) => {
                fields.serialize_entry("message", &format!("failed: {message}"))?;
                fields.serialize_entry("error_type", error_type)?;
            }
            None => fields.serialize_entry("message", self.record.message())?,
        }
        fields.serialize_entry(SERVICE_DIMENSION.0, SERVICE_DIMENSION.1)?;
        fields.serialize_entry(FUNCTION_DIMENSION, self.function_name)?;
        fields.serialize_entry("request_id", request_id)?;
        if let Some(trace_id) = trace_id {
            fields.serialize_entry("trace_id", trace_id)?;
        }
        for (name, text) in self.record.texts() {
            fields.serialize_entry(name, text)?;
        }
        fields.end()
    }
}

/// A number without a fraction if it has none.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && (0.0..=MAX_WHOLE).contains(&self.0) {
            serializer.serialize_u64(self.0 as u64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::Value;

    use super::*;
    use crate::record::Breakdown;

    thread_local! {
        static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    fn line_of(record: &Record, namespace: Option<&str>) -> Value {
        let settings = EmfSettings { namespace: namespace.map(str::to_owned), function_name: "f".to_owned() };
        let writer = RecordWriter::to(settings, |line| {
            LINE.set(line.to_vec());
            Ok(())
        });
        let ending = Ending {
            request_id: "r-\"1\"",
            trace_id: None,
            at: Timestamp::from_millis(1_800_000_000_000),
            error: None,
        };
        writer.write(record, ending);
        let line = String::from_utf8(LINE.take()).unwrap();
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    #[test]
    fn a_line_names_the_metrics_that_it_has() {
        let mut record = Record::default();
        record.set(Metric::EstimatedCost, 1.25);
        record.set(Metric::Lateness, f64::NAN);
        record.add(Metric::CommandsFailed, 0);
        record.add(Metric::Ticks, 0);
        record.add(Metric::Players, 3);
        record.add_part(Breakdown::Failed, "deadline", 2.0);
        record.add_text("route", "a\nb");
        let line = line_of(&record, Some("A \"quoted\" name"));
        let directives = json!([
            {"Namespace": "A \"quoted\" name", "Dimensions": [["service"]], "Metrics": [
                {"Name": "CommandsFailed", "Unit": "Count"}, {"Name": "EstimatedCost", "Unit": "None"}]},
            {"Namespace": "A \"quoted\" name", "Dimensions": [["function_name", "service"]],
                "Metrics": [{"Name": "ColdStart", "Unit": "Count"}]},
        ]);
        assert_eq!(line["_aws"], json!({"Timestamp": 1_800_000_000_000_u64, "CloudWatchMetrics": directives}));
        let fields = json!({"EstimatedCost": 1.25, "CommandsFailed": 0, "Players": 3, "ColdStart": 0,
            "Failed.deadline": 2, "route": "a\nb", "request_id": "r-\"1\""});
        for (name, value) in fields.as_object().unwrap() {
            assert_eq!(line.get(name), Some(value), "{name} of {line}");
        }
        for absent in ["Ticks", "Lateness"] {
            assert!(line.get(absent).is_none(), "{absent} of {line}");
        }
    }

    #[test]
    fn a_line_without_metrics_is_well_formed() {
        let line = line_of(&Record::default(), Some("Millrace"));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"], json!([]));
    }

    #[test]
    fn a_line_that_is_only_logged_describes_no_metrics() {
        let mut record = Record::default();
        record.add(Metric::CommandsFailed, 2);
        let line = line_of(&record, None);
        assert_eq!((&line["CommandsFailed"], line.get("_aws")), (&json!(2), None));
    }
}
