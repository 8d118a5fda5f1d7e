//! Amounts of resources: what a player holds, what a task costs and rewards.

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use smallvec::SmallVec;

use crate::model::ids::ResourceName;

/// The largest amount, 2^53-1: the largest whole number that every JSON reader keeps exactly.
pub const MAX_AMOUNT: u64 = (1 << 53) - 1;

/// Amounts by resource name, from 1 to [`MAX_AMOUNT`]. Each name occurs once. An amount of 0 has no
/// entry, so a resource that is spent takes no room.
///
/// The entries are a vector sorted by name, which for a handful of entries is faster than a map.
/// Two entries fit in place, enough for most costs and rewards. Equal amounts have equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources(SmallVec<[(ResourceName, u64); 2]>);

impl Resources {
    /// No resources.
    pub fn new() -> Self {
        Self(SmallVec::new())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The amount of `name`; 0 without an entry.
    pub fn get(&self, name: &str) -> u64 {
        match self.position(name) {
            Ok(at) => self.0[at].1,
            Err(_) => 0,
        }
    }

    /// Whether there is an entry of `name`.
    pub fn contains(&self, name: &ResourceName) -> bool {
        self.position(name.as_str()).is_ok()
    }

    /// The entries, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceName, u64)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Whether every amount is at least that of `other`.
    pub fn covers(&self, other: &Resources) -> bool {
        other.0.iter().all(|(name, amount)| self.get(name.as_str()) >= *amount)
    }

    /// Adds `amount`, up to [`MAX_AMOUNT`]. Returns how much is lost at that limit.
    pub fn add(&mut self, name: &ResourceName, amount: u64) -> u64 {
        if amount == 0 {
            return 0;
        }
        let at = match self.position(name.as_str()) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (name.clone(), 0));
                at
            }
        };
        let added = amount.min(MAX_AMOUNT - self.0[at].1);
        self.0[at].1 += added;
        amount - added
    }

    /// Adds all of `other`, up to [`MAX_AMOUNT`] each. Returns what is lost at that limit.
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

    /// Subtracts all of `other`. Returns false, and changes nothing, if that is not covered.
    pub fn take_all(&mut self, other: &Resources) -> bool {
        if !self.covers(other) {
            return false;
        }
        for (name, amount) in other.iter() {
            if let Ok(at) = self.position(name.as_str()) {
                self.0[at].1 -= amount;
                if self.0[at].1 == 0 {
                    self.0.remove(at);
                }
            }
        }
        true
    }

    /// These amounts less those of `other`, at least 0 each.
    pub fn without(&self, other: &Resources) -> Resources {
        Resources(
            self.0
                .iter()
                .map(|(name, amount)| (name.clone(), amount.saturating_sub(other.get(name.as_str()))))
                .filter(|(_, amount)| *amount > 0)
                .collect(),
        )
    }

    /// The most bytes that the amounts take in a row.
    pub fn size_estimate(&self) -> usize {
        self.iter().map(|(name, _)| entry_size(name)).sum()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

/// The most bytes that one amount takes in a row: the name with its length, and the number.
pub(crate) fn entry_size(name: &ResourceName) -> usize {
    name.as_str().len() + 12
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

impl Serialize for Resources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, amount) in &self.0 {
            map.serialize_entry(name, amount)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ResourceName {
        ResourceName::new(text).unwrap()
    }

    #[test]
    fn adding_stops_at_the_limit_and_returns_what_is_lost() {
        let mut balances = Resources::new();
        assert_eq!(balances.add(&name("gold"), MAX_AMOUNT - 1), 0);
        assert_eq!(balances.add(&name("gold"), 3), 2);
        assert_eq!(balances.get("gold"), MAX_AMOUNT);
    }

    #[test]
    fn taking_is_all_or_nothing() {
        let mut balances: Resources = [(name("gold"), 5), (name("wood"), 1)].into_iter().collect();
        let price: Resources = [(name("gold"), 2), (name("wood"), 2)].into_iter().collect();
        assert!(!balances.take_all(&price));
        assert_eq!(balances.get("gold"), 5);
        balances.add(&name("wood"), 1);
        assert!(balances.take_all(&price));
        assert_eq!((balances.get("gold"), balances.get("wood")), (3, 0));
    }

    #[test]
    fn an_amount_of_zero_has_no_entry() {
        let mut balances = Resources::new();
        assert_eq!(balances.add(&name("gold"), 0), 0);
        assert!(balances.is_empty());
        balances.add(&name("gold"), 5);
        balances.add(&name("wood"), 1);
        assert!(balances.take_all(&[(name("gold"), 5), (name("stone"), 0)].into_iter().collect()));
        assert_eq!(balances, [(name("wood"), 1)].into_iter().collect());
        assert_eq!([(name("gold"), 0)].into_iter().collect::<Resources>(), Resources::new());
    }
}
