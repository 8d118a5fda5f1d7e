//! Pages of a list of the HTTP API.

use serde::Deserialize;
use serde_json::Value;

use crate::{api::Api, failure::Failure};

/// The most rows of one page.
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// The first rows of a list.
#[derive(Debug)]
pub struct Rows {
    pub items: Vec<Value>,
    /// Whether there are more.
    pub has_more: bool,
}

/// Reads up to `limit` rows of a list, in as many requests as needed.
///
/// # Errors
/// [`Failure`] if a page cannot be read.
pub async fn read(
    api: &Api<'_>,
    segments: &[&str],
    filters: &[(&'static str, Option<String>)],
    limit: usize,
) -> Result<Rows, Failure> {
    let mut rows = Rows { items: Vec::new(), has_more: false };
    let mut cursor = None;
    loop {
        let wanted = (limit - rows.items.len()).min(PAGE);
        let mut query = vec![("limit", Some(wanted.to_string())), ("cursor", cursor)];
        query.extend(filters.iter().cloned());
        let page: Page = api.get(segments, &query).await?;
        rows.items.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() || rows.items.len() >= limit {
            rows.has_more = cursor.is_some();
            return Ok(rows);
        }
    }
}
