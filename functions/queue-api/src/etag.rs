//! Entity tags: weak ones, that change when something happens and not because time passes.
//!
//! A queue as of now is another one every millisecond: `asOf`, and the progress of timed work. Neither
//! is part of the tag. Whatever else an answer shows is: a task that starts or completes changes it without
//! any command.

use lambda_http::http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

/// The tag of what `value` shows, of a queue of this version.
pub fn of(version: u64, value: &impl Serialize) -> HeaderValue {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let tag = format!("W/\"{version}-{:016x}\"", xxhash_rust::xxh3::xxh3_64(&bytes));
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether the sender has what `tag` stands for already.
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
