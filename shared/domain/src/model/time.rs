//! Time as a value: milliseconds since the Unix epoch, RFC 3339 UTC with milliseconds in JSON.

use std::{
    fmt,
    ops::Add,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use minicbor::{Decode, Decoder, Encode, decode::Error as DecodeError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::ids::clip;

/// The latest instant that jiff makes from milliseconds, 9999-12-30T22:00:00.000Z. It leaves room
/// for every time zone before the end of the year 9999.
const MAX_MILLIS: u64 = 253_402_207_200_000;

/// An instant of the server's clock, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Timestamp(#[cbor(n(0), decode_with = "decode_millis")] u64);

fn decode_millis<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<u64, DecodeError> {
    Ok(decoder.u64()?.min(MAX_MILLIS))
}

/// A text that is no RFC 3339 UTC time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time; allowed: RFC 3339 UTC such as 2026-11-20T12:00:00.000Z, from 1970 to 9999")]
pub struct InvalidTime(String);

/// A time before 1970 counts as 1970.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Timestamp {
    /// The instant so many milliseconds after the Unix epoch, at most the end of the year 9999.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(MAX_MILLIS))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this instant; 0 if `earlier` is later.
    pub fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses `2026-11-20T12:00:00.000Z`. The fraction may have 0 to 9 digits; three of them count.
    ///
    /// # Errors
    /// [`InvalidTime`] for another form, a zone other than `Z`, or a year outside 1970 to 9999.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime(clip(text, 64));
        let bytes = text.as_bytes();
        // jiff parses ISO 8601, which is wider: RFC 3339 requires seconds and a zone.
        let rfc3339 = bytes.len() >= 20
            && bytes[10] == b'T'
            && bytes[13] == b':'
            && bytes[16] == b':'
            && bytes[bytes.len() - 1] == b'Z';
        if !rfc3339 {
            return Err(invalid());
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| invalid())?;
        let millis = u64::try_from(instant.as_millisecond()).map_err(|_| invalid())?;
        Ok(Self::from_millis(millis))
    }
}

impl Add<u64> for Timestamp {
    type Output = Self;
    /// The instant so many milliseconds later.
    fn add(self, millis: u64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        self + u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = jiff::Timestamp::from_millisecond(self.0.cast_signed()).map_err(|_| fmt::Error)?;
        write!(f, "{instant:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 UTC time such as 2026-11-20T12:00:00.000Z")
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Timestamp, E> {
                Timestamp::parse(value).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_the_system_clock_begin_in_1970() {
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::from(UNIX_EPOCH + second).as_millis(), 1_000);
        assert_eq!(Timestamp::from(UNIX_EPOCH - second), Timestamp::default());
    }

    proptest! {
        #[test]
        fn every_time_is_parsed_as_it_is_written(millis in 0..=MAX_MILLIS) {
            let text = Timestamp(millis).to_string();
            prop_assert_eq!(text.len(), "2026-11-20T12:00:00.000Z".len());
            prop_assert_eq!(Timestamp::parse(&text), Ok(Timestamp(millis)));
        }
    }

    #[test]
    fn times_have_three_digits_of_a_second() {
        let text = "2026-11-20T12:00:00.042Z";
        let time = Timestamp::parse(text).unwrap();
        assert_eq!(time.as_millis(), 1_795_176_000_042);
        assert_eq!(time.to_string(), text);
        assert_eq!(Timestamp::parse("2026-11-20T12:00:00Z").unwrap().to_string(), "2026-11-20T12:00:00.000Z");
        assert_eq!(Timestamp::default().to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-30T22:00:00.000Z");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "now",
            "2026-11-20",
            "2026-11-20T12:00Z",
            "2026-11-20 12:00:00Z",
            "2026-11-20T12:00:00",
            "2026-11-20T12:00:00+02:00",
            "2026-13-20T12:00:00Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_encoded_time_after_the_year_9999_is_the_latest_one() {
        let bytes = minicbor::to_vec(u64::MAX).unwrap();
        assert_eq!(minicbor::decode::<Timestamp>(&bytes).unwrap(), Timestamp(MAX_MILLIS));
    }
}
