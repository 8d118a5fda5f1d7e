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

/// A whole number from `min` to `max`. Any other value is refused with a message that quotes it.
pub(super) fn bounded<'de, D: Deserializer<'de>>(deserializer: D, min: u64, max: u64) -> Result<u64, D::Error> {
    struct Visitor {
        min: u64,
        max: u64,
    }
    impl Visitor {
        fn refuse<E: de::Error>(&self, value: impl fmt::Display) -> E {
            E::custom(format!("`{value}` is not allowed; allowed: a whole number from {} to {}", self.min, self.max))
        }
    }
    impl de::Visitor<'_> for Visitor {
        type Value = u64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number from {} to {}", self.min, self.max)
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            if (self.min..=self.max).contains(&value) { Ok(value) } else { Err(self.refuse(value)) }
        }
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
            match u64::try_from(value) {
                Ok(value) => self.visit_u64(value),
                Err(_) => Err(self.refuse(value)),
            }
        }
        fn visit_f64<E: de::Error>(self, value: f64) -> Result<u64, E> {
            Err(self.refuse(value))
        }
    }
    deserializer.deserialize_u64(Visitor { min, max })
}

/// A list of 1 to `max` elements.
pub(super) fn bounded_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    max: usize,
    what: &str,
) -> Result<Vec<T>, D::Error> {
    let list = Vec::<T>::deserialize(deserializer)?;
    if list.is_empty() || list.len() > max {
        return Err(de::Error::custom(format!("{} {what} are given; allowed: 1 to {max}", list.len())));
    }
    Ok(list)
}

/// Refuses more than `max` of something.
pub(super) fn at_most<E: de::Error>(found: usize, max: usize, what: &str) -> Result<(), E> {
    if found > max {
        return Err(E::custom(format!("{found} {what} are given; allowed: at most {max}")));
    }
    Ok(())
}
