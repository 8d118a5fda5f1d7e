//! Bounded numbers, bounded lists, and objects.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};

/// A JSON object. A derived struct alone would also accept an array of its fields.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

/// A whole number from `MIN` to `MAX`. `5`, `5.0` and `5e0` are the same number, because some
/// languages write all numbers as floating point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounded<const MIN: u64, const MAX: u64>(pub(super) u64);

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(BoundedVisitor::<MIN, MAX>).map(Self)
    }
}

struct BoundedVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> BoundedVisitor<MIN, MAX> {
    fn refuse<E: de::Error>(value: impl fmt::Debug) -> E {
        E::custom(format!("`{value:?}` is not allowed; allowed: a whole number from {MIN} to {MAX}"))
    }
}

impl<const MIN: u64, const MAX: u64> de::Visitor<'_> for BoundedVisitor<MIN, MAX> {
    type Value = u64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
        if (MIN..=MAX).contains(&value) { Ok(value) } else { Err(Self::refuse(value)) }
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
        u64::try_from(value).map_err(|_| Self::refuse(value)).and_then(|value| self.visit_u64(value))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<u64, E> {
        // All limits are below 2^53, up to which floating point numbers are exact.
        let is_whole = value.fract() == 0.0 && (0.0..=MAX as f64).contains(&value);
        if is_whole { self.visit_u64(value as u64) } else { Err(Self::refuse(value)) }
    }
}

/// Refuses a list that has no element, or more than `max`.
pub(super) fn one_to<T, E: de::Error>(list: Vec<T>, max: usize, what: &str) -> Result<Vec<T>, E> {
    match list.len() {
        found if found == 0 || found > max => Err(E::custom(format!("{found} {what} are given; allowed: 1 to {max}"))),
        _ => Ok(list),
    }
}

/// Refuses more than `max` of something.
pub(super) fn at_most<E: de::Error>(found: usize, max: usize, what: &str) -> Result<(), E> {
    if found > max {
        return Err(E::custom(format!("{found} {what} are given; allowed: at most {max}")));
    }
    Ok(())
}

/// Reads a field for which `null` means that it is absent.
pub(super) fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
