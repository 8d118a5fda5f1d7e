//! The files in `events/regressions/`: inputs that were once misunderstood, with the answers that
//! they must get.

use std::fs;

use serde_json::Value;

use crate::binary::workspace;

/// An input and the answer that it must get.
#[derive(Debug, Clone)]
pub struct Regression {
    /// The file name without its extension, such as `pipes-array-of-commands`.
    pub name: String,
    /// The payload as it is delivered, which need not be JSON.
    pub payload: Vec<u8>,
    /// The fields of the answer that matter.
    pub answer: Value,
}

/// All inputs whose names `is_wanted` accepts, in the order of their names.
///
/// # Panics
/// If an input has no answer, or if there is no such input.
pub fn all(is_wanted: impl Fn(&str) -> bool) -> Vec<Regression> {
    let folder = workspace().join("events/regressions");
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder is readable").file_name().to_string_lossy().into_owned())
        .filter_map(|file| file.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.ends_with(".answer") && is_wanted(name))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "there is no such input in {}", folder.display());
    let regression = |name: String| {
        let answer = serde_json::from_slice(&read(&format!("{name}.answer.json")));
        let answer = answer.unwrap_or_else(|error| panic!("{name}.answer.json: {error}"));
        Regression { payload: read(&format!("{name}.json")), answer, name }
    };
    names.into_iter().map(regression).collect()
}

/// Asserts that `actual` has all fields of `expected`, with their values. Lists must have the same
/// length.
///
/// # Panics
/// If it has not.
pub fn assert_has(actual: &Value, expected: &Value, path: &str) {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            for (name, value) in expected {
                assert_has(actual.get(name).unwrap_or(&Value::Null), value, &format!("{path}.{name}"));
            }
        }
        (Value::Array(actual), Value::Array(expected)) => {
            assert_eq!(actual.len(), expected.len(), "{path}: {actual:#?}");
            for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
                assert_has(actual, expected, &format!("{path}[{index}]"));
            }
        }
        _ => assert_eq!(actual, expected, "{path}"),
    }
}
