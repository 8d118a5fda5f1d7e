//! Identifiers and names. Values from outside are checked by the type that holds them.
//!
//! Identifiers have 1 to 128 characters of `A-Z a-z 0-9 . _ : - | @ + = ~`, so that subjects of
//! identity providers and e-mail addresses can be player ids. Kinds and resource names have 1 to 64
//! of `A-Z a-z 0-9 . _ : -`. [`CompactString`] keeps up to 24 bytes in place, so most values need
//! no allocation.

use std::{
    borrow::Borrow,
    fmt::{self, Write},
    str::FromStr,
};

use compact_str::CompactString;
use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write as EncodeWrite},
};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Longest identifier of a player, task or command, in characters.
pub const MAX_ID_LENGTH: usize = 128;
/// Longest kind or resource name, in characters.
pub const MAX_NAME_LENGTH: usize = 64;

/// An identifier or name that is not allowed. The message names the value and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not allowed here; allowed: {allowed}{length}")]
pub struct InvalidId {
    value: String,
    allowed: Alphabet,
    length: String,
}

impl InvalidId {
    fn new(value: &str, allowed: Alphabet) -> Self {
        let length = match value.chars().count() {
            n if n > allowed.max_length() => format!(" (it has {n})"),
            _ => String::new(),
        };
        Self { value: clip(value, allowed.max_length()), allowed, length }
    }
}

/// The first `max` characters of `text`, followed by an ellipsis if there are more. Error messages
/// quote their input, which may be a megabyte.
pub fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What a value may consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Identifier,
    Name,
}

/// The bytes that an alphabet allows. It is a table because every id of a message is checked.
const fn allowed_bytes(punctuation: &[u8]) -> [bool; 256] {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        allowed[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < punctuation.len() {
        allowed[punctuation[at] as usize] = true;
        at += 1;
    }
    allowed
}

impl Alphabet {
    const fn max_length(self) -> usize {
        match self {
            Self::Identifier => MAX_ID_LENGTH,
            Self::Name => MAX_NAME_LENGTH,
        }
    }

    fn allows(self, value: &str) -> bool {
        const IDENTIFIER: [bool; 256] = allowed_bytes(b"._:-|@+=~");
        const NAME: [bool; 256] = allowed_bytes(b"._:-");
        let bytes = match self {
            Self::Identifier => &IDENTIFIER,
            Self::Name => &NAME,
        };
        self.allows_length(value) && value.bytes().all(|byte| bytes[usize::from(byte)])
    }

    fn allows_length(self, value: &str) -> bool {
        (1..=self.max_length()).contains(&value.len())
    }
}

impl fmt::Display for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1 to {} characters of A-Z a-z 0-9 . _ : -", self.max_length())?;
        match self {
            Self::Identifier => f.write_str(" | @ + = ~"),
            Self::Name => Ok(()),
        }
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $alphabet:expr, $description:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(CompactString);

        impl $name {
            /// Checks and keeps `value`.
            ///
            /// # Errors
            /// [`InvalidId`] if `value` is empty, too long or has a character that is not allowed.
            pub fn new(value: &str) -> Result<Self, InvalidId> {
                if $alphabet.allows(value) {
                    Ok(Self(CompactString::from(value)))
                } else {
                    Err(InvalidId::new(value, $alphabet))
                }
            }

            /// Keeps an identifier of a row, of which only the length is checked: a newer release
            /// may allow more characters.
            pub(crate) fn from_row(value: &str) -> Option<Self> {
                $alphabet.allows_length(value).then(|| Self(CompactString::from(value)))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{}: {}", $description, $alphabet)
                    }
                    fn visit_str<E: de::Error>(self, value: &str) -> Result<$name, E> {
                        $name::new(value).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: EncodeWrite>(
                &self,
                encoder: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), EncodeError<W::Error>> {
                encoder.str(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
                Self::from_row(decoder.str()?).ok_or_else(|| DecodeError::message("an identifier has a wrong length"))
            }
        }
    };
}

identifier!(
    /// The owner of one queue: a game player, a tenant, a user.
    PlayerId, Alphabet::Identifier, "a player id"
);
identifier!(
    /// Names a task within its player's queue.
    TaskId, Alphabet::Identifier, "a task id"
);
identifier!(
    /// Names a command. A second delivery with the same id changes nothing.
    CommandId, Alphabet::Identifier, "a command id"
);
identifier!(
    /// What sort of work a task is, such as `harvest.wood`.
    TaskKind, Alphabet::Name, "a kind"
);
identifier!(
    /// The name of a resource, such as `gold`.
    ResourceName, Alphabet::Name, "a resource name"
);

impl CommandId {
    /// `<id>:<index>`: the id of a command without one, made from its message's id and its place
    /// in the message.
    ///
    /// # Errors
    /// [`InvalidId`] if the result is too long, or `id` has a character that is not allowed.
    pub fn with_index(id: &str, index: usize) -> Result<Self, InvalidId> {
        let digits = index.checked_ilog10().unwrap_or(0) as usize + 1;
        let mut name = CompactString::with_capacity(id.len() + 1 + digits);
        name.push_str(id);
        // Writing to a string cannot fail.
        let _ = write!(name, ":{index}");
        Self::new(&name)
    }
}

impl CommandId {
    /// `<id>:<index>`, or `<hash of the id>:<index>` for an id that does not fit. Two ids that do
    /// not fit keep different names, so that no command is taken for another one.
    pub fn named_after(id: &str, index: usize) -> Self {
        Self::with_index(id, index).unwrap_or_else(|_| {
            let hash = xxhash_rust::xxh3::xxh3_128(id.as_bytes());
            Self(CompactString::from(format!("{hash:032x}:{index}")))
        })
    }
}

impl PlayerId {
    /// A hash of the player that is the same in every process and release. Different seeds give
    /// independent values.
    pub fn stable_hash(&self, seed: u64) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(self.0.as_bytes(), seed)
    }

    /// The player's percentile, 0 to 99, by which feature switches are rolled out.
    pub fn percentile(&self) -> u8 {
        (self.stable_hash(0x9d) % 100) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_characters_are_checked() {
        assert!(PlayerId::new("a").is_ok());
        assert!(PlayerId::new(&"x".repeat(128)).is_ok());
        assert!(TaskKind::new(&"x".repeat(64)).is_ok());
        assert!(TaskId::new("A-Z.a_z:0-9").is_ok());
        for subject in ["auth0|64f0c0", "player+tag@game.example", "eu-west-1:00000000-0000", "a=b~c"] {
            assert!(PlayerId::new(subject).is_ok(), "{subject}");
        }
        for character in (0..=255).map(char::from) {
            let in_name = character.is_ascii_alphanumeric() || "._:-".contains(character);
            assert_eq!(TaskKind::new(&character.to_string()).is_ok(), in_name, "{character:?}");
            let in_id = in_name || "|@+=~".contains(character);
            assert_eq!(TaskId::new(&character.to_string()).is_ok(), in_id, "{character:?}");
        }
        for invalid in ["", " ", "a b", "ä", "a/b", "a#b", "a\n"] {
            assert!(PlayerId::new(invalid).is_err(), "{invalid:?}");
        }
        assert!(TaskKind::new(&"x".repeat(65)).is_err());
    }

    #[test]
    fn an_id_with_an_index_is_checked_too() {
        assert_eq!(CommandId::with_index("m-1", 0).unwrap().as_str(), "m-1:0");
        assert_eq!(CommandId::with_index("m-1", 100).unwrap().as_str(), "m-1:100");
        assert_eq!(CommandId::with_index(&"x".repeat(125), 99).unwrap().as_str().len(), 128);
        assert!(CommandId::with_index(&"x".repeat(125), 100).is_err());
        assert!(CommandId::with_index("ä", 1).is_err());
    }

    #[test]
    fn ids_that_do_not_fit_give_different_names() {
        let long = |end: &str| "x".repeat(200) + end;
        let ids = ["a b".to_owned(), "a_b".to_owned(), "ä".to_owned(), long("1"), long("2")];
        let names: std::collections::BTreeSet<CommandId> = ids.iter().map(|id| CommandId::named_after(id, 3)).collect();
        assert_eq!(names.len(), ids.len());
        assert!(names.iter().all(|name| CommandId::new(name.as_str()).is_ok() && name.as_str().ends_with(":3")));
        assert_eq!(CommandId::named_after("m-1", 3).as_str(), "m-1:3");
    }

    #[test]
    fn errors_name_the_value_and_what_is_allowed() {
        let error = PlayerId::new("a b").unwrap_err().to_string();
        assert_eq!(error, "`a b` is not allowed here; allowed: 1 to 128 characters of A-Z a-z 0-9 . _ : - | @ + = ~");
        let error = TaskKind::new("a@b").unwrap_err().to_string();
        assert_eq!(error, "`a@b` is not allowed here; allowed: 1 to 64 characters of A-Z a-z 0-9 . _ : -");
        let error = PlayerId::new(&"x".repeat(129)).unwrap_err().to_string();
        assert!(error.ends_with("(it has 129)"), "{error}");
        let error = PlayerId::new(&"x".repeat(1 << 20)).unwrap_err().to_string();
        assert!(error.len() < 300, "a long value is clipped, {} characters", error.len());
    }

    #[test]
    fn ids_of_rows_may_have_characters_of_a_newer_release() {
        let decoded = |text: &str| minicbor::decode::<TaskId>(&minicbor::to_vec(text).unwrap());
        for text in ["t-1", "a b", "a@b", "ä", &"x".repeat(128)] {
            assert_eq!(decoded(text).unwrap().as_str(), text);
        }
        for text in ["", &"x".repeat(129)] {
            assert!(decoded(text).is_err(), "{text:?}");
        }
        assert!(minicbor::decode::<TaskKind>(&minicbor::to_vec("x".repeat(65)).unwrap()).is_err());
    }

    #[test]
    fn percentiles_are_stable_and_even() {
        assert_eq!(PlayerId::new("p-1").unwrap().percentile(), PlayerId::new("p-1").unwrap().percentile());
        let below = (0..10_000).filter(|n| PlayerId::new(&format!("p-{n}")).unwrap().percentile() < 25).count();
        assert!((2_300..2_700).contains(&below), "{below} of 10,000 below the 25th percentile");
    }
}
