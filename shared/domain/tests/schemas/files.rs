//! The schemas themselves: references, enumerations, closed objects.

use std::collections::BTreeSet;

use millrace_domain::{FailureReason, Priority, RejectionReason, event::EventType, record::Table};
use millrace_schemas::{
    mutations::parts,
    schema::{self, Schema},
};
use serde_json::Value;

fn file(name: &str) -> Value {
    let file = schema::files().into_iter().find(|(file, _)| file == name);
    file.unwrap_or_else(|| panic!("docs/schemas has no {name}")).1
}

/// The texts at each place of a schema that has this name.
fn texts_at<'a>(schema: &'a Value, pointer: &str) -> BTreeSet<&'a str> {
    let parts = parts(schema).into_iter().filter(|(place, _)| place.ends_with(pointer));
    parts.filter_map(|(_, text)| text.as_str()).collect()
}

fn enumerated<'a>(schema: &'a Value, definition: &str) -> BTreeSet<&'a str> {
    let values = schema["$defs"][definition]["enum"].as_array().expect("an enumeration");
    values.iter().filter_map(Value::as_str).collect()
}

#[test]
fn every_definition_is_a_schema_that_says_what_it_is() {
    for (name, schema) in schema::files() {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        for (definition, content) in schema["$defs"].as_object().expect("definitions") {
            Schema::new(&format!("{name}#/$defs/{definition}"));
            assert!(content["description"].is_string(), "{name}: {definition} has no description");
        }
    }
}

/// Generators drop what stands beside a reference, or make a type of it for each place.
#[test]
fn references_stand_alone() {
    let mut references = 0;
    for (name, schema) in schema::files() {
        for (place, part) in parts(&schema) {
            if part.get("$ref").is_some() {
                assert_eq!(part.as_object().map(|part| part.len()), Some(1), "{name}: {place}");
                references += 1;
            }
        }
    }
    assert!(references > 100, "{references}");
}

#[test]
fn every_definition_is_used() {
    let texts: Vec<String> = schema::files().iter().map(|(_, schema)| schema.to_string()).collect();
    for (name, schema) in schema::files() {
        for definition in schema["$defs"].as_object().expect("definitions").keys() {
            let ends = [format!("\"#/$defs/{definition}\""), format!("\"{name}#/$defs/{definition}\"")];
            assert!(texts.iter().any(|text| ends.iter().any(|end| text.contains(end))), "{name}: {definition}");
        }
    }
}

#[test]
fn objects_are_closed_or_have_values_of_one_type() {
    for (name, schema) in schema::files() {
        for (place, part) in parts(&schema).into_iter().filter(|(_, part)| part.get("properties").is_some()) {
            // A property may be called `properties`, but not in these schemas.
            assert_eq!(part["additionalProperties"], false, "{name}: {place}");
        }
    }
}

#[test]
fn enumerations_have_the_values_of_the_types() {
    let common = file("common.json");
    let priorities = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical].map(Priority::as_str);
    assert_eq!(enumerated(&common, "Priority"), priorities.into());
    assert_eq!(
        enumerated(&common, "RejectionReason"),
        RejectionReason::ALL.into_iter().map(|reason| reason.as_str()).collect()
    );
    assert_eq!(enumerated(&common, "FailureReason"), FailureReason::ALL.into_iter().map(FailureReason::code).collect());
    let event = file("event.json");
    assert_eq!(texts_at(&event, "/properties/type/const"), EventType::ALL.into_iter().map(EventType::as_str).collect());
    let answer = file("answer.json");
    let tables = answer["$defs"]["Writes"]["properties"]["byTable"]["properties"].as_object().expect("tables");
    assert_eq!(
        tables.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        Table::ALL.into_iter().map(Table::as_str).collect()
    );
}
