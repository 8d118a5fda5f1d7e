//! Fields of JSON values as text.

use serde_json::Value;

use crate::text::{amounts, printable};

/// A field as text; empty if it is missing.
pub fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// A field with amounts of resources as text; empty if it is missing.
pub fn resources(value: &Value, name: &str) -> String {
    match value.get(name) {
        None => String::new(),
        Some(field) => amounts(&serde_json::from_value(field.clone()).unwrap_or_default()),
    }
}

/// A number; 0 if it is missing.
pub fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}
