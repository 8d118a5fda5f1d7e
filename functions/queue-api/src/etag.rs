//! Weak entity tags. They change when the queue changes, not because time passes.
//!
//! `asOf` and the progress of timed work change every millisecond, and are not part of the tag.
//! Everything else in the response is: a task that starts or completes changes the tag without a
//! command.

use lambda_http::http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

/// The tag of `value`, which shows a queue of this version.
pub fn of(version: u64, value: &impl Serialize) -> HeaderValue {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let tag = format!("W/\"{version}-{:016x}\"", xxhash_rust::xxh3::xxh3_64(&bytes));
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether the client already has the response with this tag.
pub fn matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str() else { return false };
    let mut given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.any(|list| list.trim() == "*" || list.split(',').any(|one| weak(one) == weak(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let tag = of(7, &"x");
        let text = tag.to_str().unwrap().to_owned();
        assert!(text.starts_with("W/\"7-"), "{text}");
        let given = |value: &str| {
            matches(&HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(value).unwrap())]), &tag)
        };
        let strong = text.trim_start_matches("W/").to_owned();
        assert!(given(&text) && given(&strong) && given("*") && given(&format!("\"a\", {text} ,\"b\"")));
        assert!(!given("\"a\"") && !given("") && !given(&text[..text.len() - 2]));
        assert!(!matches(&HeaderMap::new(), &tag));
        assert_ne!(of(8, &"x"), tag);
        assert_ne!(of(7, &"y"), tag);
    }
}
