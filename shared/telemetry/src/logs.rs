//! Logs in JSON, one line for each event: time, level, target, message, fields.
//!
//! The fields of the event and of its spans are on one level, so that a query names `request_id`
//! instead of a path. If names collide, the event wins over spans, and inner spans win over outer
//! ones. The log filter of Lambda expects the names `timestamp` and `level`.

use std::{backtrace::BacktraceStatus, fmt, panic::PanicHookInfo, time::SystemTime};

use millrace_domain::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber, subscriber::SetGlobalDefaultError};
use tracing_serde::fields::AsMap as _;
use tracing_subscriber::{
    Layer as _,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
    },
    layer::SubscriberExt as _,
    registry::{LookupSpan, Registry},
};

use crate::{log_settings::LogSettings, trace::TraceLayer};

/// The names of the line itself. A field with such a name gets the prefix `field.`.
const RESERVED: [&str; 3] = ["timestamp", "level", "target"];

/// Starts the logs of this process on standard output. Panics are logged too. With `traces`, the
/// spans of traces are collected.
///
/// # Errors
/// [`SetGlobalDefaultError`] if the logs were started before.
pub fn init(settings: &LogSettings, traces: bool) -> Result<(), SetGlobalDefaultError> {
    let subscriber = subscriber(settings, std::io::stdout);
    match traces {
        true => tracing::subscriber::set_global_default(subscriber.with(TraceLayer::filtered()))?,
        false => tracing::subscriber::set_global_default(subscriber)?,
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// The subscriber that writes logs to `writer`.
pub fn subscriber<W>(settings: &LogSettings, writer: W) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .event_format(JsonLine)
        .fmt_fields(JsonFields::new())
        .with_ansi(false)
        .with_writer(writer);
    Registry::default().with(lines.with_filter(settings.filter()))
}

/// Logs a panic as one line, with a backtrace if `RUST_BACKTRACE` is set.
pub fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        target: "panic",
        panic = true,
        location,
        thread = thread.name().unwrap_or("unnamed"),
        backtrace,
        "{message}"
    );
}

/// Formats an event as one line of JSON.
struct JsonLine;

#[derive(Serialize)]
struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    target: &'a str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Map::new();
        let mut add = |added: Map<String, Value>| {
            fields.extend(added.into_iter().map(|(name, value)| (free_name(&name), value)));
        };
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let formatted = extensions.get::<FormattedFields<N>>();
            if let Some(Ok(of_span)) = formatted.map(|formatted| serde_json::from_str(&formatted.fields)) {
                add(of_span);
            }
        }
        let metadata = event.metadata();
        // A field without a value is null, so that a query can tell it from an unknown field.
        add(metadata.fields().iter().map(|field| (field.name().to_owned(), Value::Null)).collect());
        if let Ok(Value::Object(of_event)) = serde_json::to_value(event.field_map()) {
            add(of_event);
        }
        let line = Line {
            timestamp: SystemTime::now().into(),
            level: metadata.level().as_str(),
            target: metadata.target(),
            fields,
        };
        writeln!(writer, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)
    }
}

fn free_name(name: &str) -> String {
    if RESERVED.contains(&name) { format!("field.{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex, MutexGuard},
    };

    use super::*;

    /// The logged lines.
    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Buffer {
        fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        fn lines(&self) -> Vec<Map<String, Value>> {
            let text = String::from_utf8(self.lock().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
        }
    }

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, what: impl FnOnce()) -> Vec<Map<String, Value>> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(&LogSettings::parse(level).unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, what);
        buffer.lines()
    }

    #[test]
    fn a_line_has_the_fields_of_the_event_and_of_its_spans() {
        let lines = logged("info", || {
            let _invocation = tracing::error_span!("invocation", request_id = "r-1", attempt = 1).entered();
            let _message = tracing::error_span!("message", message_id = "m-1", attempt = 2).entered();
            tracing::info!(player_id = "p-1", tasks = 3_u64, ratio = 0.5, late = true, "a \"task\"\nended");
            tracing::debug!("not at this level");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = &lines[0];
        for (name, expected) in [
            ("level", Value::from("INFO")),
            ("target", "millrace_telemetry::logs::tests".into()),
            ("message", "a \"task\"\nended".into()),
            ("request_id", "r-1".into()),
            ("message_id", "m-1".into()),
            ("player_id", "p-1".into()),
            ("tasks", 3.into()),
            ("ratio", 0.5.into()),
            ("late", true.into()),
            ("attempt", 2.into()),
        ] {
            assert_eq!(line.get(name), Some(&expected), "{name} of {line:?}");
        }
        let timestamp = line["timestamp"].as_str().unwrap();
        assert_eq!(timestamp.len(), "2026-11-20T12:00:00.000Z".len());
        assert!(Timestamp::parse(timestamp).is_ok(), "{timestamp}");
    }

    #[test]
    fn fields_do_not_replace_the_names_of_the_line() {
        let lines = logged("info", || tracing::warn!(level = "low", timestamp = 1, "careful"));
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["field.level"], "low");
        assert_eq!(lines[0]["field.timestamp"], 1);
    }

    #[test]
    fn numbers_are_numbers_and_a_field_without_a_value_is_null() {
        let lines =
            logged("info", || tracing::info!(hit_rate = Some(0.857), lateness_p99_ms = None::<u64>, "processed"));
        assert_eq!((&lines[0]["hit_rate"], &lines[0]["lateness_p99_ms"]), (&Value::from(0.857), &Value::Null));
    }

    #[test]
    fn every_level_includes_the_request_id() {
        for level in ["error", "millrace_telemetry=error", "off,millrace_telemetry=error"] {
            let lines = logged(level, || {
                let span = crate::log_settings::invocation_span("r-2", None);
                span.in_scope(|| tracing::error!("bad"));
            });
            assert_eq!(lines.len(), 1, "{level}");
            assert_eq!(lines[0]["request_id"], "r-2", "{level}");
        }
        assert!(logged("off", || tracing::error!("bad")).is_empty());
    }

    #[tokio::test]
    async fn debug_lines_of_sampled_invocations_are_written() {
        for (rate, expected) in [(0.0, 1), (1.0, 2)] {
            let buffer = Buffer::default();
            let writer = buffer.clone();
            let settings = LogSettings::parse("info").unwrap().with_sample_rate(rate);
            let _logs = tracing::subscriber::set_default(subscriber(&settings, move || writer.clone()));
            tracing::debug!("outside of an invocation");
            let invocation = async {
                tracing::debug!("how it works");
                tracing::debug!(target: "another_crate", "of a library");
                tracing::info!("done");
            };
            settings.run_sampled(invocation).await;
            let messages: Vec<_> = buffer.lines().into_iter().map(|line| line["message"].clone()).collect();
            let all = ["how it works", "done"];
            assert_eq!(messages, all[2 - expected..], "at a rate of {rate}");
        }
    }

    #[test]
    fn a_panic_is_one_line() {
        // The hook is global: it is restored for other tests that panic.
        let lines = logged("info", || {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(log_panic));
            let panicked = std::panic::catch_unwind(|| panic!("no {} left", "queue"));
            std::panic::set_hook(before);
            assert!(panicked.is_err());
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["message"], "no queue left");
        assert_eq!(lines[0]["level"], "ERROR");
        assert_eq!(lines[0]["target"], "panic");
        assert!(lines[0]["location"].as_str().unwrap().contains("logs.rs:"), "{lines:?}");
        assert!(lines[0]["thread"].as_str().is_some());
    }
}
