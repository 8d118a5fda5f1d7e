//! What all processes have done lately, as they say in the shared cache.

use millrace_pipeline::{Context, Invocation, Platform};
use serde_json::Value;

use crate::error::UpkeepError;

/// The reports of the last hour
/// ([`ProcessReport`](millrace_pipeline::process_reports::ProcessReport)), the latest first, at
/// most `limit`. Without a shared cache there are none.
///
/// # Errors
/// [`UpkeepError::CacheUnavailable`] where the shared cache cannot be used.
pub async fn recent_reports(
    platform: &Platform,
    limit: usize,
    invocation: &Invocation,
) -> Result<Vec<Value>, UpkeepError> {
    let Some(cache) = platform.cache.upkeep() else { return Ok(Vec::new()) };
    let texts = cache.read_reports(limit, Context::new(platform, invocation).deadline).await?;
    // Reports are shown as they are: another version may write other fields. What is not JSON is
    // not ours.
    let mut reports: Vec<Value> = texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    // Times of this form sort as text.
    reports.sort_by(|one, other| other["to"].as_str().cmp(&one["to"].as_str()));
    reports.truncate(limit);
    Ok(reports)
}
