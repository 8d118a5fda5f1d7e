//! Any JSON value that a sender gives a task, kept as compact JSON text.

use std::{fmt, sync::Arc};

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

/// Longest payload of a task and longest result, in bytes of compact JSON.
pub const MAX_JSON_BYTES: usize = 4 * 1024;
/// Most levels of arrays and objects in a payload or a result.
///
/// An event has a few levels more, and many JSON readers refuse more than 64 levels. An event that
/// its destination refuses could never be published.
pub const MAX_JSON_LEVELS: usize = 32;

/// A JSON value as compact text: no white space outside of strings. Numbers and strings stay as
/// they were written.
///
/// The text is shared, because the task and its events have the same payload.
#[derive(Clone)]
pub struct JsonText(Arc<RawValue>);

/// Why a JSON value is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonTooLarge {
    /// It has more than [`MAX_JSON_BYTES`].
    #[error("{0} bytes of compact JSON are given; allowed: at most {MAX_JSON_BYTES}")]
    Bytes(usize),
    /// It has more than [`MAX_JSON_LEVELS`].
    #[error("{0} levels of arrays and objects are given; allowed: at most {MAX_JSON_LEVELS}")]
    Levels(usize),
}

impl JsonText {
    /// The compact text of a JSON value.
    ///
    /// # Errors
    /// [`JsonTooLarge`] if it has more than [`MAX_JSON_BYTES`] or [`MAX_JSON_LEVELS`].
    pub fn new(value: &RawValue) -> Result<Self, JsonTooLarge> {
        let (text, levels) = compact(value.get());
        if text.len() > MAX_JSON_BYTES {
            return Err(JsonTooLarge::Bytes(text.len()));
        }
        if levels > MAX_JSON_LEVELS {
            return Err(JsonTooLarge::Levels(levels));
        }
        Ok(Self::of_valid(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The length of the text in bytes.
    pub fn size(&self) -> usize {
        self.as_str().len()
    }

    fn of_valid(text: String) -> Self {
        let value = RawValue::from_string(text).expect("JSON without its white space is JSON");
        Self(Arc::from(value))
    }
}

/// JSON without the white space outside of strings, and its levels of arrays and objects.
fn compact(json: &str) -> (String, usize) {
    let (mut compact, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    let (mut open, mut levels) = (0_usize, 0);
    for character in json.chars() {
        if !in_string && matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        match character {
            '[' | '{' if !in_string => open += 1,
            ']' | '}' if !in_string => open -= 1,
            _ => {}
        }
        levels = levels.max(open);
        in_string ^= character == '"' && !escaped;
        escaped = in_string && character == '\\' && !escaped;
        compact.push(character);
    }
    (compact, levels)
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonText {}

impl std::str::FromStr for JsonText {
    type Err = serde_json::Error;
    fn from_str(json: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

/// Serializes the value itself. Only the serializers of `serde_json` can do that.
impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        Self::new(&value).map_err(de::Error::custom)
    }
}

impl<C> Encode<C> for JsonText {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        encoder.str(self.as_str())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for JsonText {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let value = RawValue::from_string(decoder.str()?.to_owned()).map_err(DecodeError::message)?;
        Ok(Self(Arc::from(value)))
    }
}

/// The JSON text as a string, for rows of tables: their values are no JSON.
pub(crate) mod as_string {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::JsonText;

    pub(crate) fn serialize<S: Serializer>(json: &Option<JsonText>, serializer: S) -> Result<S::Ok, S::Error> {
        json.as_ref().map(JsonText::as_str).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<JsonText>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> JsonText {
        text.parse().unwrap()
    }

    #[test]
    fn white_space_is_kept_in_strings_only() {
        let text = " { \"a b\" : [ 1.50 , \"x \\\" y\\\\\" , null ] ,\n\t\"c\" : { } } ";
        assert_eq!(json(text).as_str(), r#"{"a b":[1.50,"x \" y\\",null],"c":{}}"#);
        assert_eq!(json(" \"\\\\\" ").as_str(), r#""\\""#);
        assert_eq!(serde_json::to_string(&json("[ 1, 2 ]")).unwrap(), "[1,2]");
    }

    #[test]
    fn only_compact_bytes_count() {
        let padded = format!("{}\"{}\"", " ".repeat(9_000), "x".repeat(MAX_JSON_BYTES - 2));
        assert_eq!(json(&padded).size(), MAX_JSON_BYTES);
        let error = format!("\"{}\"", "x".repeat(MAX_JSON_BYTES - 1)).parse::<JsonText>().unwrap_err();
        assert_eq!(error.to_string(), "4097 bytes of compact JSON are given; allowed: at most 4096");
    }

    #[test]
    fn levels_of_arrays_and_objects_are_limited() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(nested(MAX_JSON_LEVELS).parse::<JsonText>().is_ok());
        let error = nested(2_000).parse::<JsonText>().unwrap_err();
        assert_eq!(error.to_string(), "2000 levels of arrays and objects are given; allowed: at most 32");
        let objects = format!("{}1{}", r#"{"a":"#.repeat(33), "}".repeat(33));
        assert!(objects.parse::<JsonText>().unwrap_err().to_string().starts_with("33 levels"));
        // Brackets in strings, and values beside each other, are no levels.
        assert!(format!(r#"["{}\"[",{}]"#, "[{".repeat(99), "[],".repeat(99) + "{}").parse::<JsonText>().is_ok());
    }

    #[test]
    fn encoded_text_is_decoded_unless_it_is_no_json() {
        let text = json(r#"{"a":[1]}"#);
        let bytes = minicbor::to_vec(&text).unwrap();
        assert_eq!(minicbor::decode::<JsonText>(&bytes).unwrap(), text);
        assert!(minicbor::decode::<JsonText>(&minicbor::to_vec("{").unwrap()).is_err());
    }
}
