//! Amounts of resources: an object of whole numbers by resource name.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::{
    json::value::Bounded,
    model::{
        ids::ResourceName,
        resources::{MAX_AMOUNT, Resources},
    },
};

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
                while let Some((name, Bounded(amount))) = map.next_entry::<ResourceName, Bounded<0, MAX_AMOUNT>>()? {
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
