//! Amounts of resources: what a player holds, what a task costs and rewards.

use std::fmt;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};
use smallvec::SmallVec;

use crate::{
    ids::ResourceName,
    wire::{Reader, Wire, Writer},
};

/// The largest amount, 2^53-1: the largest whole number that every JSON reader keeps exactly.
pub const MAX_AMOUNT: u64 = (1 << 53) - 1;

/// Amounts by resource name, sorted by name, each name once.
///
/// A sorted vector: a handful of entries is read faster than any map, and equal contents are equal
/// bytes. Two fit in place, which is what most costs and rewards are: queues are copied a lot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources(SmallVec<[(ResourceName, u64); 2]>);

impl Resources {
    /// Nothing of anything.
    pub fn new() -> Self {
        Self(SmallVec::new())
    }

    /// How many resources are named.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no resource is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The amount of `name`, 0 where it is not named.
    pub fn get(&self, name: &str) -> u64 {
        match self.position(name) {
            Ok(at) => self.0[at].1,
            Err(_) => 0,
        }
    }

    /// The amounts by name, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceName, u64)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Whether this holds at least all of `other`.
    pub fn covers(&self, other: &Resources) -> bool {
        other.0.iter().all(|(name, amount)| self.get(name.as_str()) >= *amount)
    }

    /// Adds `amount`, up to [`MAX_AMOUNT`]; what would pass it is returned: it is lost.
    pub fn add(&mut self, name: &ResourceName, amount: u64) -> u64 {
        let at = match self.position(name.as_str()) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (name.clone(), 0));
                at
            }
        };
        let room = MAX_AMOUNT - self.0[at].1;
        let added = amount.min(room);
        self.0[at].1 += added;
        amount - added
    }

    /// Adds all of `other` ([`Resources::add`]); returns what was lost at the limit, by name.
    pub fn add_all(&mut self, other: &Resources) -> Resources {
        let mut lost = Resources::new();
        for (name, amount) in other.iter() {
            let over = self.add(name, amount);
            if over > 0 {
                lost.add(name, over);
            }
        }
        lost
    }

    /// Takes all of `other` away.
    ///
    /// Returns false, and takes nothing, where that is not covered.
    pub fn take_all(&mut self, other: &Resources) -> bool {
        if !self.covers(other) {
            return false;
        }
        for (name, amount) in other.iter() {
            if let Ok(at) = self.position(name.as_str()) {
                self.0[at].1 -= amount;
            }
        }
        true
    }

    /// What is left of these amounts without those of `other`; entries that come to 0 are left out.
    pub fn without(&self, other: &Resources) -> Resources {
        Resources(
            self.0
                .iter()
                .map(|(name, amount)| (name.clone(), amount.saturating_sub(other.get(name.as_str()))))
                .filter(|(_, amount)| *amount > 0)
                .collect(),
        )
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

impl FromIterator<(ResourceName, u64)> for Resources {
    fn from_iter<I: IntoIterator<Item = (ResourceName, u64)>>(amounts: I) -> Self {
        let mut resources = Self::new();
        for (name, amount) in amounts {
            resources.add(&name, amount);
        }
        resources
    }
}

/// One whole number from 0 to [`MAX_AMOUNT`].
struct Amount(u64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::parse::bounded(deserializer, 0, MAX_AMOUNT).map(Amount)
    }
}

impl<C> Encode<C> for Resources {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, context: &mut C) -> Result<(), EncodeError<W::Error>> {
        encoder.map(self.0.len() as u64)?;
        for (name, amount) in &self.0 {
            name.encode(encoder, context)?;
            encoder.u64(*amount)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Resources {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, DecodeError> {
        let length = decoder.map()?.ok_or_else(|| DecodeError::message("amounts have no length"))?;
        let mut amounts = SmallVec::new();
        for _ in 0..length {
            amounts.push((ResourceName::decode(decoder, context)?, decoder.u64()?));
        }
        Ok(Self(amounts))
    }
}

impl Wire for Resources {
    fn write(&self, writer: &mut Writer) {
        self.0.write(writer);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        Self(Wire::read(reader))
    }
}

impl Serialize for Resources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, amount) in &self.0 {
            map.serialize_entry(name, amount)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Resources;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of amounts by resource name, such as {\"gold\": 5}")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Resources, A::Error> {
                let mut resources = Resources::new();
                while let Some((name, Amount(amount))) = map.next_entry::<ResourceName, Amount>()? {
                    match resources.position(name.as_str()) {
                        Ok(_) => {
                            return Err(de::Error::custom(format!("`{name}` is named twice; allowed: each name once")));
                        }
                        Err(at) => resources.0.insert(at, (name, amount)),
                    }
                }
                Ok(resources)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ResourceName {
        ResourceName::new(text).unwrap()
    }

    #[test]
    fn a_balance_stays_at_its_limit_and_says_what_is_lost() {
        let mut held = Resources::new();
        assert_eq!(held.add(&name("gold"), MAX_AMOUNT - 1), 0);
        assert_eq!(held.add(&name("gold"), 3), 2);
        assert_eq!(held.get("gold"), MAX_AMOUNT);
    }

    #[test]
    fn taking_is_all_or_nothing() {
        let mut held: Resources = [(name("gold"), 5), (name("wood"), 1)].into_iter().collect();
        let price: Resources = [(name("gold"), 2), (name("wood"), 2)].into_iter().collect();
        assert!(!held.take_all(&price));
        assert_eq!(held.get("gold"), 5);
        held.add(&name("wood"), 1);
        assert!(held.take_all(&price));
        assert_eq!((held.get("gold"), held.get("wood")), (3, 0));
    }

    #[test]
    fn amounts_are_whole_and_at_most_2_to_the_53_less_1() {
        assert!(serde_json::from_str::<Resources>(r#"{"gold": 9007199254740991}"#).is_ok());
        for bad in [
            r#"{"gold": 9007199254740992}"#,
            r#"{"gold": -1}"#,
            r#"{"gold": 1.5}"#,
            r#"{"gold": "1"}"#,
            r#"{"a b": 1}"#,
            r#"{"a":1,"a":2}"#,
        ] {
            let error = serde_json::from_str::<Resources>(bad).unwrap_err().to_string();
            assert!(error.contains("allowed") || error.contains("expected"), "{bad}: {error}");
        }
    }
}
