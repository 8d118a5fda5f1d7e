//! Time as a value: milliseconds since the Unix epoch, RFC 3339 UTC with milliseconds in JSON.

use std::{fmt, ops::Add, time::Duration};

use minicbor::{Decode, Decoder, Encode, decode::Error as DecodeError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    ids::clip,
    wire::{Reader, Wire, Writer},
};

/// The latest instant that the time library can write, which leaves room for every zone before the
/// end of the year 9999: 9999-12-30T22:00:00.999Z.
const MAX_MILLIS: u64 = 253_402_207_200_999;

const DAY_MS: u64 = 86_400_000;

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

impl Timestamp {
    /// An instant from milliseconds since the Unix epoch; what lies beyond the year 9999 is held there.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(MAX_MILLIS))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this instant; 0 where `earlier` is later.
    pub fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads `2026-11-20T12:00:00.000Z`; the fraction may have 0 to 9 digits, of which three count.
    ///
    /// # Errors
    /// [`InvalidTime`] for another form, another zone than `Z`, or a year outside 1970 to 9999.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime(clip(text, 64));
        let bytes = text.as_bytes();
        // Stricter than ISO 8601, which the library reads: RFC 3339 has seconds and a zone.
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
        let (year, month, day) = civil(self.0 / DAY_MS);
        let ms = self.0 % DAY_MS;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let fields = [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, ms / 3_600_000),
            (14..16, ms / 60_000 % 60),
            (17..19, ms / 1_000 % 60),
            (20..23, ms % 1_000),
        ];
        for (place, mut number) in fields {
            for digit in text[place].iter_mut().rev() {
                *digit += (number % 10) as u8;
                number /= 10;
            }
        }
        // Digits and what lies between them: always text.
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Year, month and day of a day since 1970-01-01, by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that the leap
/// day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

impl Wire for Timestamp {
    #[inline]
    fn write(&self, writer: &mut Writer) {
        writer.varint(self.0);
    }
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Self {
        Self::from_millis(reader.varint())
    }
}

impl Serialize for Timestamp {
    /// Text where a person may read it, a number in compact formats.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u64(self.0) }
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
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Visitor)
        } else {
            u64::deserialize(deserializer).map(Timestamp::from_millis)
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::fmt::temporal::DateTimePrinter;
    use proptest::prelude::*;

    use super::*;

    /// As the time library writes it.
    fn expected(millis: u64) -> String {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        PRINTER.timestamp_to_string(&jiff::Timestamp::from_millisecond(millis as i64).unwrap())
    }

    #[test]
    fn the_ends_of_every_day_are_written_as_the_time_library_does() {
        for day in 0..MAX_MILLIS / DAY_MS {
            for millis in [day * DAY_MS, (day + 1) * DAY_MS - 1] {
                assert_eq!(Timestamp(millis).to_string(), expected(millis));
            }
        }
    }

    proptest! {
        #[test]
        fn every_time_is_written_as_the_time_library_does(millis in 0..=MAX_MILLIS) {
            prop_assert_eq!(Timestamp(millis).to_string(), expected(millis));
            prop_assert_eq!(Timestamp::parse(&expected(millis)), Ok(Timestamp(millis)));
        }
    }

    #[test]
    fn reads_and_writes_rfc_3339_with_milliseconds() {
        let text = "2026-11-20T12:00:00.042Z";
        let time = Timestamp::parse(text).unwrap();
        assert_eq!(time.as_millis(), 1_795_176_000_042);
        assert_eq!(time.to_string(), text);
        assert_eq!(Timestamp::parse("2026-11-20T12:00:00Z").unwrap().to_string(), "2026-11-20T12:00:00.000Z");
        assert_eq!(Timestamp::default().to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn refuses_other_forms() {
        for bad in [
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
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }
}
