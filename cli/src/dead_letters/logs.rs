//! Why a message failed, from the logs of the function that received it.

use aws_sdk_cloudwatchlogs::{Client, error::DisplayErrorContext};
use serde_json::{Value, json};

use crate::{dead_letters::letter::Letter, fields::text};

/// The most failures that are shown, the first ones.
const MAX_FAILURES: usize = 5;
/// The level and the message of the line that logs a failed command.
const FAILED: &str = "failed";

/// The failures of a letter that a log group has.
///
/// # Errors
/// Why the logs cannot be read, for people.
pub async fn failures(client: &Client, group: &str, letter: &Letter) -> Result<Vec<Value>, String> {
    // A quoted term is matched as it is.
    let pattern = format!("\"{}\"", letter.message_id.replace('"', ""));
    let start = i64::try_from(letter.sent_at).unwrap_or(0);
    let mut pages = client
        .filter_log_events()
        .log_group_name(group)
        .filter_pattern(pattern)
        .start_time(start)
        .into_paginator()
        .send();
    let mut failures = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| DisplayErrorContext(error).to_string())?;
        for event in page.events() {
            let line: Value = event.message().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
            if text(&line, "message") == FAILED && text(&line, "message_id") == letter.message_id {
                let failure = ["timestamp", "reason", "detail"].map(|name| (name, text(&line, name)));
                failures.push(json!(failure.into_iter().collect::<std::collections::BTreeMap<_, _>>()));
            }
        }
        if failures.len() >= MAX_FAILURES {
            break;
        }
    }
    failures.truncate(MAX_FAILURES);
    Ok(failures)
}
