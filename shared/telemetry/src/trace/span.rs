//! A span with its fields.

use std::{fmt, num::NonZeroU64};

use tracing::field::{Field, Visit};

/// The kind of a span, as OpenTelemetry and `tracing-opentelemetry` call it.
pub(super) const KIND: &str = "otel.kind";
/// The name of a span, if it is not the static one.
pub(super) const NAME: &str = "otel.name";
/// Why a span failed.
pub(super) const ERROR_TYPE: &str = "error.type";

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FieldValue {
    Text(Box<str>),
    Integer(i64),
    Float(f64),
    Flag(bool),
}

/// The fields of a span in the order in which they were recorded.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(&'static str, FieldValue)>);

/// A span that has ended. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) id: NonZeroU64,
    /// The enclosing span; none: the span of the invocation.
    pub(super) parent: Option<NonZeroU64>,
    pub(super) name: &'static str,
    pub(super) fields: Fields,
    pub(super) start_nanos: u64,
    pub(super) end_nanos: u64,
}

impl Span {
    /// The name that people see.
    pub(super) fn shown_name(&self) -> &str {
        self.fields.text(NAME).unwrap_or(self.name)
    }
}

impl Fields {
    fn set(&mut self, field: &Field, value: FieldValue) {
        let name = field.name();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    /// Adds a field that the exporters do not interpret.
    pub(super) fn add(&mut self, name: &'static str, value: FieldValue) {
        self.0.push((name, value));
    }

    /// The text of a field; none if it is missing or no text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(known, value)| match value {
            FieldValue::Text(text) if *known == name => Some(&**text),
            _ => None,
        })
    }

    /// The fields that are attributes of the span. Those that are for the exporters are left out.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'static str, &FieldValue)> {
        self.0.iter().filter(|(name, _)| ![KIND, NAME].contains(name)).map(|(name, value)| (*name, value))
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, FieldValue::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, FieldValue::Integer(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, FieldValue::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, FieldValue::Flag(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, FieldValue::Text(value.into()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, FieldValue::Text(format!("{value:?}").into()));
    }
}
