//! The target of all spans of traces.

/// The target of all spans of traces. Layers for logs have to leave it out.
pub const TARGET: &str = "millrace_trace";
