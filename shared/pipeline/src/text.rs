//! The text of a payload, which knows where the payload was not UTF-8.

use std::borrow::Cow;

/// The text of a payload. Bytes that are not UTF-8 are replaced, so that the other messages of the
/// payload can be read.
pub struct Text<'a> {
    text: Cow<'a, str>,
    /// Where in the text something was replaced.
    replaced: Vec<usize>,
}

impl<'a> Text<'a> {
    /// The text of a payload.
    pub fn new(payload: &'a [u8]) -> Self {
        if let Ok(text) = std::str::from_utf8(payload) {
            return Self { text: Cow::Borrowed(text), replaced: Vec::new() };
        }
        let (mut text, mut replaced) = (String::with_capacity(payload.len()), Vec::new());
        for chunk in payload.utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                replaced.push(text.len());
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Self { text: Cow::Owned(text), replaced }
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `part`, a slice of the text, came as UTF-8.
    pub fn is_utf8(&self, part: &str) -> bool {
        let start = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        !self.replaced.iter().any(|at| (start..start + part.len()).contains(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_with_other_bytes_is_not_utf8() {
        let text = Text::new(b"one \xff\xfe two \xef\xbf\xbd");
        assert_eq!(text.as_str(), "one \u{fffd}\u{fffd} two \u{fffd}");
        let (first, second) = text.as_str().split_at(10);
        assert!(!text.is_utf8(text.as_str()));
        assert!(!text.is_utf8(first));
        assert!(text.is_utf8(second), "a replacement character that was sent is text");
        assert!(Text::new("größer".as_bytes()).is_utf8("any"));
    }
}
