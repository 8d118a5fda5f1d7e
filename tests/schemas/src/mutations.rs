//! A JSON value with one change: a field less, an unknown field, another value.

use serde_json::{Map, Value, json};

/// The name of a field that no schema and no parser knows. Resources cannot have it either.
pub const UNKNOWN_FIELD: &str = "unknown field";

/// A value with one change.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// The JSON pointer of the changed value.
    pub pointer: String,
    /// The whole value with the change.
    pub value: Value,
}

/// The value without one of its fields, for each field at any depth.
pub fn without_a_field(value: &Value) -> Vec<Mutation> {
    let mut mutations = Vec::new();
    for (pointer, object) in objects(value) {
        for name in object.keys() {
            let mut fewer = object.clone();
            fewer.remove(name);
            let pointer_of_field = format!("{pointer}/{}", escape(name));
            let value = replaced(value, &pointer, Value::Object(fewer));
            mutations.push(Mutation { pointer: pointer_of_field, value });
        }
    }
    mutations
}

/// The value with an unknown field, in each object at any depth.
pub fn with_an_unknown_field(value: &Value) -> Vec<Mutation> {
    let with_field = |(pointer, object): (String, &Map<String, Value>)| {
        let mut more = object.clone();
        more.insert(UNKNOWN_FIELD.to_owned(), json!("unknown"));
        Mutation { value: replaced(value, &pointer, Value::Object(more)), pointer }
    };
    objects(value).into_iter().map(with_field).collect()
}

/// The value with another value in place of each of its parts. `others` gives the other values.
pub fn with_another_value(value: &Value, others: impl Fn(&Value) -> Vec<Value>) -> Vec<Mutation> {
    let mut mutations = Vec::new();
    for (pointer, part) in parts(value) {
        for other in others(part).into_iter().filter(|other| other != part) {
            mutations.push(Mutation { value: replaced(value, &pointer, other), pointer: pointer.clone() });
        }
    }
    mutations
}

/// The value with another value at a JSON pointer.
///
/// # Panics
/// If there is no value at the pointer.
pub fn replaced(value: &Value, pointer: &str, other: Value) -> Value {
    let mut changed = value.clone();
    *changed.pointer_mut(pointer).expect("the value has this part") = other;
    changed
}

/// The value and all its parts, with their JSON pointers.
pub fn parts(value: &Value) -> Vec<(String, &Value)> {
    let mut parts = vec![(String::new(), value)];
    let mut next = 0;
    while let Some((pointer, part)) = parts.get(next).cloned() {
        match part {
            Value::Object(fields) => {
                parts.extend(fields.iter().map(|(name, part)| (format!("{pointer}/{}", escape(name)), part)));
            }
            Value::Array(items) => {
                parts.extend(items.iter().enumerate().map(|(at, part)| (format!("{pointer}/{at}"), part)));
            }
            _ => {}
        }
        next += 1;
    }
    parts
}

fn objects(value: &Value) -> Vec<(String, &Map<String, Value>)> {
    parts(value).into_iter().filter_map(|(pointer, part)| Some((pointer, part.as_object()?))).collect()
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
