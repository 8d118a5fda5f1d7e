//! Amounts of resources: an object of whole numbers by resource name.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::{
    json::value::{Bounded, at_most},
    model::{
        ids::ResourceName,
        resources::{MAX_AMOUNT, Resources},
    },
};

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NamedAmounts::deserialize(deserializer).map(|named| named.resources)
    }
}

/// The most names that are read. It is above every limit of a command or a row, and keeps the
/// search for a name that is given twice short.
const MAX_NAMES: usize = 4_096;

/// Amounts with the number of names that were given. Amounts of 0 have a name and no entry.
#[derive(Default)]
pub(super) struct NamedAmounts {
    resources: Resources,
    names: usize,
}

impl NamedAmounts {
    /// The amounts, of at most `max` names.
    pub(super) fn at_most<E: de::Error>(self, max: usize) -> Result<Resources, E> {
        at_most(self.names, max, "resources")?;
        Ok(self.resources)
    }
}

impl<'de> Deserialize<'de> for NamedAmounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = NamedAmounts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of amounts by resource name, such as {\"gold\": 5}")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<NamedAmounts, A::Error> {
                let mut named = NamedAmounts::default();
                let mut zeros: Vec<ResourceName> = Vec::new();
                while let Some((name, Bounded(amount))) = map.next_entry::<ResourceName, Bounded<0, MAX_AMOUNT>>()? {
                    if named.resources.contains(&name) || zeros.contains(&name) {
                        return Err(de::Error::custom(format!("`{name}` is named twice; allowed: each name once")));
                    }
                    named.names += 1;
                    at_most(named.names, MAX_NAMES, "resources")?;
                    named.resources.add(&name, amount);
                    if amount == 0 {
                        zeros.push(name);
                    }
                }
                Ok(named)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
