//! Amounts of resources: an object of whole numbers by resource name.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::{
    json::value::bounded,
    model::{
        ids::ResourceName,
        resources::{MAX_AMOUNT, Resources},
    },
};

/// A whole number from 0 to [`MAX_AMOUNT`].
struct Amount(u64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 0, MAX_AMOUNT).map(Amount)
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
                    if !resources.insert(name.clone(), amount) {
                        return Err(de::Error::custom(format!("`{name}` is named twice; allowed: each name once")));
                    }
                }
                Ok(resources)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
